"""Deploy: the switch, then schedules, then deploy-trigger flows; a failing one of these never undoes the deploy."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from dataclasses import asdict

    from activities.deploys import DeployActivities
    from activities.jobs import JobActivities
    from domain.messages import DEPLOY_WORKFLOW, DeployInput, DeployResult, JobEnd
    from workflows import failures, policies


@workflow.defn(name=DEPLOY_WORKFLOW)
class DeployWorkflow:
    """Its id names the instance, so that one deploy runs at a time."""

    @workflow.run
    async def run(self, message: DeployInput) -> DeployResult:
        try:
            result: DeployResult = await workflow.execute_local_activity_method(
                DeployActivities.switch_deployment, message, **policies.LEDGER
            )
        except (ActivityError, ApplicationError) as error:
            await _end(JobEnd(message.job_id, "failed", failures.of_activity(error, None)))
            raise failures.passed_on(error) from error
        await workflow.execute_activity_method(
            DeployActivities.apply_schedules, message.instance_id, summary="Schedules", **policies.CHORE
        )
        if result.deploy_executions:
            await workflow.execute_activity_method(
                DeployActivities.start_accepted, result.deploy_executions, summary="Deploy flows", **policies.CHORE
            )
        await _end(JobEnd(message.job_id, "succeeded", result=asdict(result)))
        return result


async def _end(end: JobEnd) -> None:
    await workflow.execute_local_activity_method(JobActivities.end_job, end, **policies.LEDGER)
