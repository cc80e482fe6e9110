from typing import Any

import pytest

from domain.errors import Rejected
from domain.replies import JSON, TEXT, Reply, reply, seconds_to_wait


@pytest.mark.parametrize(
    ("headers", "synchronous", "seconds"),
    [
        ({}, False, 0),
        ({}, True, 30),
        ({"prefer": "wait=10"}, False, 10),
        ({"prefer": 'respond-async, wait="5"; x=1'}, False, 5),
        ({"prefer": "WAIT = 600"}, False, 30),
        ({"prefer": "wait=5"}, True, 5),
        ({"prefer": "wait=0"}, True, 0),
        ({"prefer": "await=10"}, False, 0),
        ({"prefer": "wait=-1"}, False, 0),
        ({"prefer": "wait=soon"}, True, 30),
        ({"prismatic-synchronous": "true"}, False, 30),
        ({"prismatic-synchronous": "False"}, True, 0),
        ({"prismatic-synchronous": "maybe"}, False, 0),
    ],
)
def test_how_long_a_caller_waits(headers: dict[str, str], synchronous: bool, seconds: float) -> None:
    assert seconds_to_wait(headers, synchronous=synchronous) == seconds


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, Reply()),
        ({"status": 204}, Reply(204)),
        ({"status": "201", "body": {"ä": 1}}, Reply(201, {"content-type": JSON}, '{"ä": 1}'.encode())),
        ({"body": [1]}, Reply(200, {"content-type": JSON}, b"[1]")),
        ({"body": 0}, Reply(200, {"content-type": JSON}, b"0")),
        ({"body": "<ok/>"}, Reply(200, {"content-type": TEXT}, b"<ok/>")),
        (
            {"headers": {"Content-Type": "text/xml", "X-Count": 3}, "body": "<ok/>"},
            Reply(200, {"content-type": "text/xml", "x-count": "3"}, b"<ok/>"),
        ),
    ],
)
def test_reply_of_a_stop_step(told: dict[str, Any], expected: Reply) -> None:
    assert reply(told) == expected


@pytest.mark.parametrize(
    "told",
    [
        {"status": 199},
        {"status": 600},
        {"status": True},
        {"status": "ok"},
        {"status": "20000"},
        {"headers": {"Set-Cookie": "a=1"}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"x y": "1"}},
        {"headers": {"x": "a\r\nx-evil: 1"}},
        {"headers": {"x": "ä"}},
        {"headers": {"x": "a" * 9000}},
    ],
)
def test_what_is_no_answer_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        reply(told)
    assert caught.value.code == "invalid_reply"
