"""What a queue lets begin."""

import pytest

from domain.definitions.model import Concurrency
from domain.queues import WIDEST, QueueRule, Waiting, next_to_begin, settings_of

ABAC = [Waiting("1", "a"), Waiting("2", "b"), Waiting("3", "a"), Waiting("4", "c")]


@pytest.mark.parametrize(
    ("rule", "running", "chosen"),
    [
        (QueueRule(limit=1), [], ["1"]),
        (QueueRule(limit=1), [""], []),
        (QueueRule(limit=3), [""], ["1", "2"]),
        (QueueRule(limit=2), ["", "", ""], []),  # the limit has been lowered
        (QueueRule(limit=3, per_key=True), [], ["1", "2", "4"]),
        (QueueRule(limit=3, per_key=True), ["a"], ["2", "4"]),
        (QueueRule(limit=2, per_key=True), ["x"], ["1"]),
        (QueueRule(), ["", ""], ["1", "2", "3", "4"]),
    ],
)
def test_next_to_begin(rule: QueueRule, running: list[str], chosen: list[str]) -> None:
    assert next_to_begin(rule, ABAC, running) == chosen


def test_no_more_begin_than_one_look_should() -> None:
    assert next_to_begin(QueueRule(limit=100), ABAC, [], most=2) == ["1", "2"]


def test_a_parallel_flow_has_no_queue() -> None:
    assert settings_of(None) is None
    assert settings_of(Concurrency()) is None


@pytest.mark.parametrize(
    ("concurrency", "rule"),
    [
        (Concurrency(mode="sequential"), QueueRule(limit=1)),
        (Concurrency(mode="sequential", key="{{ trigger.body.a }}"), QueueRule(limit=WIDEST, per_key=True)),
        (Concurrency(mode="throttled", limit=5, on_failure="hold"), QueueRule(limit=5, hold=True)),
        (Concurrency(mode="sequential", when_failed="park"), QueueRule(limit=1, park_seconds=86400.0)),
        (Concurrency(mode="sequential", when_failed="park", park_for="5m"), QueueRule(limit=1, park_seconds=300.0)),
        (Concurrency(mode="sequential", when_failed="go_on"), QueueRule(limit=1)),
        (
            Concurrency(mode="throttled", limit=2, max_length=7, when_full="drop_oldest"),
            QueueRule(limit=2, max_length=7, drop_oldest=True),
        ),
    ],
)
def test_the_rule_of_a_flow_survives_its_row(concurrency: Concurrency, rule: QueueRule) -> None:
    assert QueueRule.of(settings_of(concurrency)) == rule
