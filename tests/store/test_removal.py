from collections import Counter

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.engine import Database
from store.executions import Acceptance, Executions
from store.removal import NAMED_OTHERWISE, STAY, Removal, parts
from store.tables import Base, ConfigValueRow, ExecutionRow, InstanceRow, JobRow, LogRow, PayloadRow
from tests.factories import NOW, Deployed, an_id, deployed, execution, job, save
from tests.furnishing import belonging, furnish

# Nobody's in particular: what the organisation has, and what is kept for a time of its own (tombstones, answers to
# repeated requests).
NOBODYS = {
    "api_keys",
    "hours",
    "idempotency",
    "integration_state",
    "integrations",
    "saved_views",
    "sweeps",
    "tombstones",
    "upgrades",
    "versions",
}
NOBODYS |= {"alert_groups", "delivery_attempts", "event_endpoints", "monitor_conditions", "outbox", "targets"}
OWNERS = {"instance_id", "customer_id", "execution_id", "instance_flow_id", *NAMED_OTHERWISE.values()}


def test_every_table_is_removed_or_has_a_reason_to_stay() -> None:
    """A new table shows up here: it names its owner, or it belongs to the list above, or to `STAY`."""
    assert set(Base.metadata.tables) - belonging() - STAY == NOBODYS - belonging()
    named = {name for name, table in Base.metadata.tables.items() if OWNERS & set(table.c.keys())}
    assert named - belonging() == STAY & named


def test_children_are_removed_before_their_parents() -> None:
    for names in ([table for table, _ in parts("instance_id", "")], [table for table, _ in parts("customer_id", "")]):
        for position, table in enumerate(names):
            parents = {key.column.table for key in table.foreign_keys} & set(names)
            assert all(names.index(parent) > position for parent in parents), table.name


async def furnished(session: AsyncSession) -> tuple[Deployed, ExecutionRow]:
    made = await deployed(session)
    row = execution(made.instance, made.flow)
    row.payload_id = row.id
    payload = PayloadRow(id=row.id, instance_id=made.instance.id, head=b"", body=b"", created_at=NOW)
    await Executions(session).accept(Acceptance(row, payload, {"order": "7"}))
    await furnish(session, made, row)
    return made, row


async def counts(session: AsyncSession) -> Counter[str]:
    found: Counter[str] = Counter()
    for name in belonging():
        found[name] = await session.scalar(select(func.count()).select_from(Base.metadata.tables[name])) or 0
    return +found


async def removed(session: AsyncSession, made: Deployed) -> Counter[str]:
    """As a delete does it; what went, by table."""
    gone: Counter[str] = Counter()
    while rows := await Executions(session).of_instance(made.instance.id, after="", limit=10):
        ids = [row.id for row in rows]
        gone += await Removal(session).executions(ids, ids)
    while some := await Removal(session).some_of_instance(made.instance.id, limit=1):
        gone += some
    return gone + await Removal(session).instance(made.instance.id)


async def test_removal_leaves_nothing_spares_others_and_counts(database: Database) -> None:
    async with database.transaction() as session:
        spared, _ = await furnished(session)
        before = await counts(session)
        made, _ = await furnished(session)
        assert set(before) == belonging()
        of_one = await counts(session) - before
    async with database.transaction() as session:
        gone = await removed(session, made)
        gone += await Removal(session).customer(made.customer.id)
        assert gone == of_one + Counter(removed_executions=1)  # that there was one execution, until the customer went
        assert await counts(session) == before
        assert await session.get(InstanceRow, spared.instance.id) is not None


async def test_removal_of_an_instance_leaves_its_customer_what_is_its_own(database: Database) -> None:
    async with database.transaction() as session:
        made, _ = await furnished(session)
        await removed(session, made)
        left = set(await counts(session))
    assert "customers" in left
    assert left <= {table.name for table, _ in parts("customer_id", "")}
    assert not left & {table.name for table, _ in parts("instance_id", "")} - {"data_keys", "oauth_states"}


async def test_rows_go_in_pieces_children_first(database: Database) -> None:
    async with database.transaction() as session:
        made, row = await furnished(session)
        lines = [LogRow(id=an_id("log"), **_line(made)) for _ in range(5)]
        values = [ConfigValueRow(instance_id=made.instance.id, key=an_id("key"), updated_at=NOW) for _ in range(3)]
        await save(session, *lines, *values)
        pieces: Counter[str] = Counter()
        while some := await Removal(session).some_of_instance(made.instance.id, limit=2):
            assert max(some.values()) <= 2
            pieces += some
        assert (pieces["logs"], pieces["config_values"]) == (6, 4)
        # Executions are not among them: their histories have to go first.
        assert await session.get(ExecutionRow, row.id) is not None


async def test_jobs_that_delete_outlive_their_object(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        kinds = ("deploy", "drain", "delete")
        await save(session, *(job(kind=kind, object_id=made.instance.id) for kind in kinds))
        await Removal(session).instance(made.instance.id)
        assert list(await session.scalars(select(JobRow.kind))) == ["delete"]


@pytest.mark.parametrize("table", sorted(NAMED_OTHERWISE))
def test_owner_of_another_name_is_a_column(table: str) -> None:
    assert NAMED_OTHERWISE[table] in Base.metadata.tables[table].c


async def test_payload_stays_while_a_replay_needs_it(database: Database) -> None:
    async with database.transaction() as session:
        made, original = await furnished(session)
        replay = execution(made.instance, made.flow, replay_of=original.id, payload_id=original.id)
        await Executions(session).accept(Acceptance(replay))
        await Removal(session).executions([original.id], [original.id])
        assert await session.get(PayloadRow, original.id) is not None


def _line(made: Deployed) -> dict[str, object]:
    return {
        "timestamp": NOW,
        "severity": 2,
        "message": "m",
        "type": "management",
        "instance_id": made.instance.id,
        "customer_id": made.customer.id,
    }
