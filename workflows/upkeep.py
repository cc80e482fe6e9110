"""Upkeep: one look over the ledger, started every few seconds by a Temporal Schedule."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.upkeep import UpkeepActivities
    from domain.messages import UPKEEP_WORKFLOW
    from domain.sweeps import SweepReport
    from workflows import policies


@workflow.defn(name=UPKEEP_WORKFLOW)
class UpkeepWorkflow:
    @workflow.run
    async def run(self) -> SweepReport:
        return await workflow.execute_activity_method(UpkeepActivities.sweep, summary="Sweep", **policies.SWEEP)
