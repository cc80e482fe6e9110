import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.notifications import (
    GIVEN_UP_AFTER,
    JSON,
    PAUSES,
    TEXT,
    VARIABLES,
    envelope,
    pause,
    rendered,
    template_problem,
)

AT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
NASTY = 'Say "no"\n\\ and €'


def test_json_template_stays_json_whatever_the_values_hold() -> None:
    body = rendered('{"text": "$NAME: $ERROR", "list": ["$INSTANCE_ID"]}', {"NAME": "A", "ERROR": NASTY})
    assert body.content_type == JSON
    assert json.loads(body.text) == {"text": f"A: {NASTY}", "list": [""]}


def test_text_template_takes_values_as_they_are() -> None:
    body = rendered("$NAME failed: $ERROR ($5)", {"NAME": "A", "ERROR": NASTY})
    assert (body.text, body.content_type) == (f"A failed: {NASTY} ($5)", TEXT)


def test_longest_name_wins() -> None:
    values = {"CUSTOMER": "Acme", "CUSTOMER_EXTERNAL_ID": "4711"}
    assert rendered("$CUSTOMER/$CUSTOMER_EXTERNAL_ID", values).text == "Acme/4711"


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_may_stand_in_a_template(name: str) -> None:
    template = json.dumps({"value": f"${name}"})
    assert template_problem(template) is None
    assert json.loads(rendered(template, {name: "v"}).text) == {"value": "v"}


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("Hello $NAMES", "no variable $NAMES"),
        ('{"name": $NAME}', "is not JSON"),
        ("[1, 2", "is not JSON"),
        ('{"a": 1, "a": 2}', "is not JSON"),
    ],
)
def test_template_that_cannot_work_is_refused(template: str, what: str) -> None:
    assert what in str(template_problem(template))


def test_envelope_is_that_of_standard_webhooks() -> None:
    body = envelope("instance.deployed", AT, {"x": 1})
    assert body.content_type == JSON
    assert json.loads(body.text) == {
        "type": "instance.deployed",
        "timestamp": "2026-03-01T12:00:00.000005Z",
        "data": {"x": 1},
    }


def test_pauses_grow_and_end() -> None:
    usual = [pause(failed, None, 0.0) for failed in range(1, len(PAUSES) + 2)]
    assert usual == [*PAUSES, None]
    assert [each.total_seconds() for each in PAUSES[:3]] == [5, 300, 1800]
    assert sum(PAUSES, timedelta()) < GIVEN_UP_AFTER


def test_pause_is_spread_by_ten_percent() -> None:
    assert pause(1, None, 1.0) == timedelta(seconds=5.5)
    assert pause(1, None, -1.0) == timedelta(seconds=4.5)


def test_pause_honours_retry_after_within_a_day() -> None:
    assert pause(1, 90.0, 0.0) == timedelta(seconds=90)
    assert pause(2, 90.0, 0.0) == timedelta(seconds=300)
    assert pause(1, 1e9, 0.0) == timedelta(days=1.1)
