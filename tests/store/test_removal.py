from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import table_of
from store.engine import Database
from store.executions import Acceptance, Executions
from store.instances import Instances
from store.logs import Logs
from store.removal import Removal
from store.state import State
from store.tables import (
    BlobRow,
    ConfigValueRow,
    DeploymentRow,
    ExecutionRow,
    ExecutionTagRow,
    FlowApiKeyRow,
    InstanceFlowRow,
    InstanceRow,
    LogRow,
    PayloadRow,
    StateRow,
    StepRow,
)
from tests.factories import NOW, Deployed, an_id, deployed, execution, save
from tests.store.test_steps import step

OF_INSTANCE = (InstanceRow, InstanceFlowRow, DeploymentRow, ConfigValueRow, FlowApiKeyRow, StateRow)
OF_EXECUTION = (ExecutionRow, StepRow, ExecutionTagRow, LogRow, BlobRow, PayloadRow)


async def furnished(session: AsyncSession) -> tuple[Deployed, ExecutionRow]:
    """A deployed instance with one row in each table that belongs to it."""
    made = await deployed(session)
    row = execution(made.instance, made.flow)
    row.payload_id = row.id
    payload = PayloadRow(id=row.id, instance_id=made.instance.id, head=b"", body=b"", created_at=NOW)
    await Executions(session).accept(Acceptance(row, payload, {"order": "7"}))
    line = {"id": an_id("log"), "timestamp": NOW, "severity": 2, "message": "m", "type": "execution"}
    await Logs(session).add_many([line | {"execution_id": row.id, "instance_id": made.instance.id}])
    await Instances(session).put_config_value(made.instance.id, "region", value={"value": "eu"}, at=NOW)
    await State(session).hold("flow", made.flow.id, "cursor", made.instance.id, NOW)
    await save(
        session,
        step(row.id),
        BlobRow(id=an_id("blob"), workflow_id=row.id, data=b"", created_at=NOW),
        FlowApiKeyRow(id=an_id("key"), instance_flow_id=made.flow.id, hash="h", created_at=NOW),
    )
    return made, row


async def counts(session: AsyncSession) -> set[int | None]:
    tables = [table_of(row) for row in (*OF_INSTANCE, *OF_EXECUTION)]
    return {await session.scalar(select(func.count()).select_from(table)) for table in tables}


async def test_removal_leaves_nothing_and_spares_others(database: Database) -> None:
    async with database.transaction() as session:
        made, row = await furnished(session)
        await furnished(session)
    async with database.transaction() as session:
        assert await counts(session) == {2}
        await Removal(session).executions([row.id], [row.id])
        await Removal(session).instance(made.instance.id)
    async with database.snapshot() as session:
        assert await counts(session) == {1}
        assert await session.get(InstanceRow, made.instance.id) is None


async def test_payload_stays_while_a_replay_needs_it(database: Database) -> None:
    async with database.transaction() as session:
        made, original = await furnished(session)
        replay = execution(made.instance, made.flow, replay_of=original.id, payload_id=original.id)
        await Executions(session).accept(Acceptance(replay))
        await Removal(session).executions([original.id], [original.id])
        assert await session.scalar(select(PayloadRow.id)) == original.id
