"""Removing what belongs to an instance, children before parents."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

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


class Removal:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def executions(self, ids: Sequence[str], workflow_ids: Sequence[str]) -> None:
        """Executions with their steps, tags, logs and blobs; a payload goes when no execution refers to it."""
        await self.session.execute(delete(StepRow).where(StepRow.execution_id.in_(ids)))
        await self.session.execute(delete(ExecutionTagRow).where(ExecutionTagRow.execution_id.in_(ids)))
        await self.session.execute(delete(LogRow).where(LogRow.execution_id.in_(ids)))
        await self.session.execute(delete(BlobRow).where(BlobRow.workflow_id.in_(workflow_ids)))
        await self.session.execute(delete(ExecutionRow).where(ExecutionRow.id.in_(ids)))
        used = select(ExecutionRow.payload_id).where(ExecutionRow.payload_id.in_(ids))
        await self.session.execute(delete(PayloadRow).where(PayloadRow.id.in_(ids), PayloadRow.id.not_in(used)))

    async def instance(self, instance_id: str) -> None:
        """The instance and all that is left of it. Its executions are gone already."""
        flows = select(InstanceFlowRow.id).where(InstanceFlowRow.instance_id == instance_id)
        await self.session.execute(
            delete(FlowApiKeyRow)
            .where(FlowApiKeyRow.instance_flow_id.in_(flows))
            .execution_options(synchronize_session=False)
        )
        for table in (LogRow, PayloadRow, StateRow, ConfigValueRow):
            await self.session.execute(delete(table).where(table.instance_id == instance_id))
        await self.session.execute(update(InstanceRow).where(InstanceRow.id == instance_id).values(deployment_id=None))
        await self.session.execute(delete(InstanceFlowRow).where(InstanceFlowRow.instance_id == instance_id))
        await self.session.execute(delete(DeploymentRow).where(DeploymentRow.instance_id == instance_id))
        await self.session.execute(delete(InstanceRow).where(InstanceRow.id == instance_id))
