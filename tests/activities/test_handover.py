from dataclasses import replace
from datetime import timedelta

import pytest

from activities.acceptance import Request, accept
from activities.handover import Handover, handover_of, retry_policy, small, summary
from activities.payloads import Payload
from domain.executions import RetryRule, Status
from domain.messages import ExecutionInput
from store.executions import Executions
from store.tables import ExecutionTagRow, PayloadRow
from tests.activities.kit import Kit, definition

FLOW = {"retry": {"retries": 2, "delay": "5s", "backoff": "exponential"}}


def payload(size: int = 10) -> Payload:
    return Payload("POST", "/hooks/x", [], [], "text/plain", b"x" * size)


async def accepted(kit: Kit, size: int = 10) -> Handover:
    made = await kit.made(definition(FLOW))
    deployment = await kit.deployments.get(made.deployment.id)
    request = Request(made.flow, made.instance, made.customer, deployment, payload(size), tags={"order": "7"})
    async with kit.database.transaction() as session:
        return await accept(session, kit.payloads, request)


async def test_acceptance_writes_execution_payload_and_tags(kit: Kit) -> None:
    handover = await accepted(kit)
    row = await kit.execution(handover.execution_id)
    assert (row.status, row.workflow_id, row.max_attempts, row.payload_size) == (Status.QUEUED, row.id, 3, 10)
    assert row.handed_over_at is None
    [kept], [tag] = await kit.rows(PayloadRow), await kit.rows(ExecutionTagRow)
    assert kit.payloads.open(kept).body == b"x" * 10
    assert b"xxx" not in kept.body
    assert (tag.execution_id, tag.key, tag.value) == (row.id, "order", "7")


async def test_large_payload_stays_behind(kit: Kit) -> None:
    small_one, large_one = await accepted(kit), await accepted(kit, size=64 * 1024)
    assert small_one.trigger is not None
    assert small_one.trigger["body"] == "x" * 10
    assert large_one.trigger is None


async def test_handover_from_the_ledger_is_the_accepted_one(kit: Kit) -> None:
    handover = await accepted(kit)
    async with kit.database.snapshot() as session:
        view = await Executions(session).view(handover.execution_id)
    assert view is not None
    assert handover_of(view) == replace(handover, trigger=None)


async def test_replay_shares_its_originals_payload(kit: Kit) -> None:
    made = await kit.made(definition({}))
    deployment = await kit.deployments.get(made.deployment.id)
    base = Request(made.flow, made.instance, made.customer, deployment)
    async with kit.database.transaction() as session:
        first = await accept(session, kit.payloads, replace(base, payload=payload()))
        original = await Executions(session).get(first.execution_id)
        replay = await accept(session, kit.payloads, replace(base, payload_of=original, replay_of=first.execution_id))
    row = await kit.execution(replay.execution_id)
    assert (row.payload_id, row.payload_size, row.replay_of) == (first.execution_id, 10, first.execution_id)
    assert len(await kit.rows(PayloadRow)) == 1
    async with kit.database.snapshot() as session:
        assert (await kit.payloads.trigger(session, row))["body"] == "x" * 10


async def test_start_gives_temporal_what_people_look_for(temporal_kit: Kit) -> None:
    handover = await accepted(temporal_kit)
    await temporal_kit.starter.start(handover, delivery=True)
    handle = temporal_kit.temporal.get_workflow_handle(handover.execution_id)
    described = await handle.describe()
    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert attributes["CustomerId"] == handover.customer_id
    assert attributes["IntegrationVersion"] == "1"
    assert "ReplayOf" not in attributes
    assert (await described.memo())["summary"] == handover.summary
    first = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    assert first.retry_policy.maximum_attempts == 3
    assert first.priority.fairness_key == handover.customer_id
    assert b"xxx" not in first.input.payloads[0].data
    [given] = await temporal_kit.temporal.data_converter.decode(first.input.payloads, [ExecutionInput])
    assert (given.execution_id, given.trigger) == (handover.execution_id, handover.trigger)
    await handle.terminate()


async def test_repeated_start_neither_starts_nor_signals_again(temporal_kit: Kit) -> None:
    handover = await accepted(temporal_kit)
    await temporal_kit.starter.start(handover, delivery=True)
    for _ in range(2):
        await temporal_kit.starter.start(handover)
    handle = temporal_kit.temporal.get_workflow_handle(handover.execution_id)
    events = (await handle.fetch_history()).events
    assert sum(event.HasField("workflow_execution_signaled_event_attributes") for event in events) == 1
    await handle.terminate()
    for delivery in (True, False):
        await temporal_kit.starter.start(handover, delivery=delivery)


@pytest.mark.parametrize(
    ("rule", "made", "attempts", "interval", "coefficient"),
    [
        (RetryRule(), 0, 1, 60, 1.0),
        (RetryRule(3, 5.0, exponential=True), 0, 3, 5, 2.0),
        (RetryRule(3, 0.1), 2, 1, 1, 1.0),
        (RetryRule(3, 5.0), 9, 1, 5, 1.0),
    ],
)
def test_retry_policy(rule: RetryRule, made: int, attempts: int, interval: int, coefficient: float) -> None:
    policy = retry_policy(rule, made)
    assert (policy.maximum_attempts, policy.initial_interval) == (attempts, timedelta(seconds=interval))
    assert (policy.backoff_coefficient, policy.maximum_interval) == (coefficient, timedelta(hours=24))


def test_summary_fits_temporals_200_bytes() -> None:
    text = summary("Ä" * 150, "Orders", 3, "Order created", "webhook")
    assert len(text.encode()) <= 200
    assert summary("Acme", "Orders", 3, "New", "webhook") == "Acme · Orders v3 · New · webhook"


def test_small_counts_characters_of_json() -> None:
    assert small({"body": "x" * 65_000}) is not None
    assert small({"body": "x" * 65_536}) is None
