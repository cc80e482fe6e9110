"""One comparison of Temporal's list with the ledger, started every minute by a Temporal Schedule."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconcile import ReconcileActivities
    from domain.messages import RECONCILE_WORKFLOW
    from domain.sweeps import ReconcileReport
    from workflows import policies


@workflow.defn(name=RECONCILE_WORKFLOW)
class ReconcileWorkflow:
    @workflow.run
    async def run(self) -> ReconcileReport:
        return await workflow.execute_activity_method(
            ReconcileActivities.reconcile, summary="Compare", **policies.CHORE
        )
