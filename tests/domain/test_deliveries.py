from typing import Any

import pytest

from domain.definitions.model import WebhookTrigger
from domain.deliveries import dedupe_value, ensure_invocable
from domain.errors import Conflict


def test_deployed_and_enabled_is_invocable() -> None:
    ensure_invocable(enabled=True, deployed=True)


@pytest.mark.parametrize(
    ("enabled", "deployed", "code"),
    [
        (True, False, "instance_not_deployed"),
        (False, True, "instance_paused"),
        (False, False, "instance_not_deployed"),
    ],
)
def test_what_is_not_invocable(enabled: bool, deployed: bool, code: str) -> None:
    with pytest.raises(Conflict) as caught:
        ensure_invocable(enabled=enabled, deployed=deployed)
    assert caught.value.code == code


def found(dedupe: dict[str, str] | None, headers: dict[str, str], body: Any = None) -> str | None:
    trigger = WebhookTrigger.model_validate({"type": "webhook", "dedupe": dedupe})
    return dedupe_value(trigger, {"headers": headers, "body": body})


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ({}, None),
        ({"idempotency-key": "a"}, "a"),
        ({"webhook-id": "b"}, "b"),
        ({"Idempotency-Key": "a", "webhook-id": "b"}, "a"),
        ({"idempotency-key": "", "webhook-id": "b"}, "b"),
    ],
)
def test_usual_headers(headers: dict[str, str], value: str | None) -> None:
    assert found(None, headers) == value


def test_header_of_the_trigger_stands_alone() -> None:
    assert found({"header": "X-Event-Id"}, {"x-event-id": "e1", "idempotency-key": "a"}) == "e1"
    assert found({"header": "X-Event-Id"}, {"idempotency-key": "a"}) is None


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ({"event": {"id": "e1"}}, "e1"),
        ({"event": {"id": 7}}, "7"),
        ({"event": {"id": None}}, None),
        ({"event": {"id": ""}}, None),
        ({"event": "text"}, None),
        ("text", None),
        (None, None),
    ],
)
def test_path_into_the_body_stands_alone(body: Any, value: str | None) -> None:
    assert found({"body": "event.id"}, {"idempotency-key": "a"}, body) == value


def test_long_value_is_cut_so_that_it_can_be_indexed() -> None:
    assert len(found(None, {"idempotency-key": "x" * 5000}) or "") == 200
