from datetime import UTC, datetime
from typing import Any

import pytest

from domain.logs import SEVERITIES
from domain.monitors import (
    EVENT_NOUNS,
    FIRED_BY,
    LIMITS,
    LINES,
    OF_INSTANCE,
    Listeners,
    Place,
    Trigger,
    TriggerType,
    Watch,
    Watches,
    is_event,
    matches,
    read_trigger,
)

HERE = Place("cust_1", "intg_1", "inst_1", "flow_1")
ANY = Place()
FAILED = Trigger(TriggerType.EXECUTION_FAILED)
DISABLED = Trigger(TriggerType.INSTANCE_DISABLED)
SCOPES = {
    "anywhere": Place(),
    "customer": Place(customer_id="cust_1"),
    "integration": Place(integration_id="intg_1"),
    "instance": Place(instance_id="inst_1"),
    "flow": Place(instance_id="inst_1", flow_id="flow_1"),
}
OTHERS = [
    Place(customer_id="cust_2"),
    Place(integration_id="intg_2"),
    Place(instance_id="inst_2"),
    Place(instance_id="inst_1", flow_id="flow_2"),
]


def watch(trigger: Trigger = FAILED, at: Place = ANY, monitor_id: str = "mon_1") -> Watch:
    return Watch(monitor_id, trigger, at)


def log(severity: Any) -> Trigger:
    return Trigger(TriggerType.LOG_SEVERITY, severity=severity)


def test_every_trigger_says_what_it_is_fired_by() -> None:
    assert set(FIRED_BY) == set(TriggerType)
    assert all(is_event(kind) or kind == LINES for kinds in FIRED_BY.values() for kind in kinds)
    assert not is_event(LINES)


def test_trigger_is_read_as_it_is_shown() -> None:
    slow = Trigger(TriggerType.EXECUTION_SLOW, seconds=2.5)
    assert slow.shown() == {"type": "execution_slow", "seconds": 2.5}
    assert read_trigger(slow.shown()) == slow
    assert set(LIMITS.values()) == {"seconds", "minutes", "severity", "waiting"}


@pytest.mark.parametrize("scope", SCOPES)
def test_watch_is_found_where_it_watches(scope: str) -> None:
    found = Watches([watch(at=SCOPES[scope]), *(watch(at=other, monitor_id="mon_2") for other in OTHERS)]).at(HERE)
    assert [each.monitor_id for each in found] == ["mon_1"]


def test_watch_of_an_instance_as_a_whole_does_not_ask_for_the_flow() -> None:
    of_flow = SCOPES["flow"]
    at_instance = Place("cust_1", "intg_1", "inst_1")
    assert [each.trigger for each in Watches([watch(FAILED, of_flow), watch(DISABLED, of_flow)]).at(at_instance)] == [
        DISABLED
    ]
    assert {TriggerType.CONNECTION_ERROR, TriggerType.INSTANCE_REMOVED} <= OF_INSTANCE


@pytest.mark.parametrize(
    ("trigger", "kind", "details", "fires"),
    [
        (FAILED, "execution.failed", {}, True),
        (FAILED, "execution.retry_pending", {}, False),
        (Trigger(TriggerType.EXECUTION_RETRY_PENDING), "execution.retry_pending", {}, True),
        (Trigger(TriggerType.EXECUTION_SLOW, seconds=5), "execution.succeeded", {"duration_seconds": 5.0}, True),
        (Trigger(TriggerType.EXECUTION_SLOW, seconds=5), "execution.canceled", {"duration_seconds": 4.9}, False),
        (Trigger(TriggerType.EXECUTION_SLOW, seconds=5), "execution.failed", {}, False),
        (log("warn"), LINES, {"severity": "warn"}, True),
        (log("warn"), LINES, {"severity": "fatal"}, True),
        (log("warn"), LINES, {"severity": "info"}, False),
        (Trigger(TriggerType.CONNECTION_ERROR), "connection.needs_reauth", {}, True),
        (DISABLED, "instance.suspended", {}, True),
        (DISABLED, "instance.resumed", {}, False),
        (Trigger(TriggerType.EXECUTION_OVERDUE, minutes=1), "execution.failed", {}, False),
    ],
)
def test_watch_fires_by(trigger: Trigger, kind: str, details: dict[str, Any], fires: bool) -> None:
    assert watch(trigger).fires(kind, details) is fires


@pytest.mark.parametrize("scope", SCOPES)
def test_listeners_want_what_a_watch_is_fired_by(scope: str) -> None:
    listeners = Listeners([watch(at=SCOPES[scope])])
    assert listeners.want("execution.failed", HERE)
    assert not listeners.want("execution.succeeded", HERE)
    elsewhere = Place("cust_9", "intg_9", "inst_9", "flow_9")
    assert listeners.want("execution.failed", elsewhere) is (scope == "anywhere")


def test_listeners_cannot_be_sure_of_an_integration_that_is_not_named() -> None:
    listeners = Listeners([watch(at=SCOPES["integration"])])
    assert listeners.want("execution.failed", Place("cust_9", None, "inst_9", "flow_9"))


def test_listeners_cannot_be_sure_who_uses_a_shared_connection() -> None:
    listeners = Listeners([watch(Trigger(TriggerType.CONNECTION_ERROR), SCOPES["instance"])])
    assert listeners.want("connection.error", Place())
    assert not listeners.want("connection.error", Place("cust_1", None, "inst_2"))


def test_listeners_want_lines_from_the_least_severity_on() -> None:
    listeners = Listeners([watch(log("error"), SCOPES["instance"]), watch(log("warn"), SCOPES["flow"])])
    other_flow = Place("cust_1", None, "inst_1", "flow_2")
    wanted = {name: listeners.want_lines(SEVERITIES.index(name), HERE) for name in SEVERITIES}
    assert wanted == {"trace": False, "debug": False, "info": False, "warn": True, "error": True, "fatal": True}
    assert not listeners.want_lines(SEVERITIES.index("warn"), other_flow)
    assert listeners.want_lines(SEVERITIES.index("error"), other_flow)
    assert not listeners.want_lines(SEVERITIES.index("fatal"), Place("cust_1", None, "inst_2"))
    assert not Listeners([watch()]).want_lines(SEVERITIES.index("fatal"), HERE)


def test_nobody_wants_anything_without_listeners() -> None:
    assert not any(Listeners().want(kind, HERE) for kinds in FIRED_BY.values() for kind in kinds)


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["*"], {"instance.deployed", "execution.failed"}),
        (["instance.*"], {"instance.deployed"}),
        (["execution.failed", "execution.started"], {"execution.failed"}),
        (["instance.paused"], set()),
        ([], set()),
    ],
)
def test_endpoints_want_events_by_their_patterns(patterns: list[str], wanted: set[str]) -> None:
    kinds = ["instance.deployed", "execution.failed"]
    listeners = Listeners(patterns=patterns)
    assert {kind for kind in kinds if matches(kind, patterns)} == wanted
    assert {kind for kind in kinds if listeners.want(kind, HERE)} == wanted
    assert not listeners.want(LINES, HERE)
    assert not listeners.want("customer.created", HERE)


def test_events_are_of_the_five_nouns() -> None:
    assert {noun for noun in ("customer", "job", *EVENT_NOUNS) if is_event(f"{noun}.x")} == set(EVENT_NOUNS)


def test_watch_may_begin_later() -> None:
    late = datetime(2026, 1, 1, tzinfo=UTC)
    assert watch().since < Watch("mon_1", FAILED, Place(), late).since
