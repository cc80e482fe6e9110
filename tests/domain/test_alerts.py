from datetime import UTC, datetime
from typing import Any

import pytest

from domain.alerts import LONGEST_MESSAGE, Alert, Happening, event_data
from domain.monitors import Place, Trigger, TriggerType
from domain.notifications import VARIABLES

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES: dict[str, dict[str, Any]] = {
    "customer": {"id": "cust_1", "name": "Acme", "external_id": "4711"},
    "integration": {"id": "intg_1", "name": "Order sync"},
    "instance": {"id": "inst_1", "name": "Orders of Acme"},
    "flow": {"id": "flow_1", "key": "order-created", "name": "Order created"},
}
ERROR = {"code": "http_status", "message": "POST /orders answered 500", "step": "tell"}


def happening(kind: str = "execution.failed", **given: Any) -> Happening:
    usual: dict[str, Any] = {
        "place": Place("cust_1", "intg_1", "inst_1", "flow_1"),
        "names": NAMES,
        "execution_id": "exec_1",
        "details": {"error": ERROR, "attempt": 1, "next_attempt_at": "2026-03-01T12:01:00Z"},
    }
    return Happening(kind, AT, **{**usual, **given})


def alert(trigger: Trigger | None, about: Happening) -> Alert:
    return Alert("alert_1", "mon_1", "Orders fail", trigger, about, "https://flows.example.com/v1/executions/exec_1")


@pytest.mark.parametrize(
    ("trigger", "details", "told"),
    [
        (
            Trigger(TriggerType.EXECUTION_FAILED),
            {"error": ERROR},
            "an execution has failed at step tell: http_status: POST /orders answered 500",
        ),
        (
            Trigger(TriggerType.EXECUTION_RETRY_PENDING),
            {"error": ERROR, "attempt": 2, "next_attempt_at": "12:01"},
            "attempt 2 of an execution has failed at step tell: http_status: POST /orders answered 500; "
            "the next one is at 12:01",
        ),
        (Trigger(TriggerType.EXECUTION_FAILED), {}, "an execution has failed: failed: The execution failed"),
        (Trigger(TriggerType.EXECUTION_SUCCEEDED), {}, "an execution has succeeded"),
        (Trigger(TriggerType.EXECUTION_STARTED), {}, "an execution has started"),
        (
            Trigger(TriggerType.EXECUTION_SLOW, seconds=60),
            {"duration_seconds": 61.4},
            "an execution has taken 61 s, limit 60 s",
        ),
        (Trigger(TriggerType.EXECUTION_OVERDUE, minutes=30), {}, "no execution for 30 minutes"),
        (
            Trigger(TriggerType.BOOKS_UNBALANCED),
            {"imbalance": 2},
            "2 accepted executions are neither ended nor in flight nor held",
        ),
        (Trigger(TriggerType.QUEUE_BACKLOG, waiting=5), {"waiting": 7}, "7 executions are waiting, limit 5"),
        (Trigger(TriggerType.LOG_SEVERITY, severity="warn"), {"severity": "error", "message": "Ouch"}, "error: Ouch"),
        (
            Trigger(TriggerType.CONNECTION_ERROR),
            {"name": "Shop API", "message": "401"},
            "the connection Shop API does not work: 401",
        ),
        (
            Trigger(TriggerType.CONNECTION_ERROR),
            {"key": "shop"},
            "the connection shop does not work: it must be authorised again",
        ),
        (Trigger(TriggerType.INSTANCE_ENABLED), {}, "the instance was enabled"),
        (Trigger(TriggerType.INSTANCE_DISABLED), {}, "the instance was disabled"),
        (Trigger(TriggerType.INSTANCE_REMOVED), {}, "the instance is being removed"),
        (None, {}, "This is a test: notifications of this monitor arrive here."),
    ],
)
def test_message_says_where_and_what(trigger: Trigger | None, details: dict[str, Any], told: str) -> None:
    assert alert(trigger, happening(details=details)).message == f"Orders of Acme · Order created: {told}"


def test_message_without_names_and_beyond_all_measure() -> None:
    endless = {"error": ERROR | {"message": "x" * 10_000}}
    bare = alert(Trigger(TriggerType.EXECUTION_FAILED), happening(names={}, details=endless))
    assert bare.message.startswith("an execution has failed at step tell")
    assert len(bare.message) == LONGEST_MESSAGE


def test_variables_have_a_value_each() -> None:
    values = alert(Trigger(TriggerType.EXECUTION_FAILED), happening()).variables()
    assert tuple(values) == VARIABLES
    assert values == {
        "SUBJECT": "Flowgraft alert: Orders fail",
        "NAME": "Orders fail",
        "INSTANCE": "Orders of Acme",
        "INSTANCE_ID": "inst_1",
        "EXECUTION_ID": "exec_1",
        "CUSTOMER": "Acme",
        "CUSTOMER_EXTERNAL_ID": "4711",
        "FLOW": "Order created",
        "TRIGGER": "execution_failed",
        "STEP": "tell",
        "URL": "https://flows.example.com/v1/executions/exec_1",
        "ERROR": "http_status: POST /orders answered 500",
        "TIME": "2026-03-01T12:00:00Z",
    }


def test_variables_of_what_is_not_known_are_empty() -> None:
    values = alert(None, Happening("monitor.test", AT, Place())).variables()
    assert values["TRIGGER"] == "test"
    assert {values[name] for name in ("INSTANCE", "CUSTOMER_EXTERNAL_ID", "EXECUTION_ID", "STEP", "ERROR")} == {""}


def test_email_says_the_same_in_lines() -> None:
    subject, text = alert(Trigger(TriggerType.EXECUTION_FAILED), happening()).email()
    assert subject == "Flowgraft alert: Orders fail"
    assert "Customer:    Acme\n" in text
    assert "Error:       http_status: POST /orders answered 500\n" in text
    assert "Integration: Order sync\n" in text


def test_event_says_what_is_known() -> None:
    about = happening("instance.deployed", execution_id=None, object_id="inst_1", principal="key_1", details={"v": 2})
    assert event_data(about) == {**NAMES, "object_id": "inst_1", "principal": "key_1", "details": {"v": 2}}
