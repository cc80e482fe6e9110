"""Retention: kind after kind, activity after activity, until nothing is left that is kept no longer."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.retention import RetentionActivities
    from domain.messages import RETENTION_WORKFLOW
    from domain.retention import Kind
    from domain.sweeps import RetentionInput, RetentionReport
    from workflows import policies


@workflow.defn(name=RETENTION_WORKFLOW)
class RetentionWorkflow:
    @workflow.run
    async def run(self, message: RetentionInput | None = None) -> RetentionReport:
        """Begins where it is told, when its history was left behind; what is over is judged by when it began."""
        given = message or RetentionInput(Kind.EXECUTIONS, workflow.now().isoformat())
        while True:
            report: RetentionReport = await workflow.execute_activity_method(
                RetentionActivities.remove_expired, given, summary=given.kind, **policies.CHORE
            )
            if report.done:
                break
            given = RetentionInput(report.kind, given.now, report.after, report.removed)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(given)
        await workflow.execute_local_activity_method(RetentionActivities.end_retention, report, **policies.LEDGER)
        return report
