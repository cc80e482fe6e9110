"""Deploy: the switch, then schedules; then, apart, deploy-trigger flows, of which a failing one undoes nothing."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from dataclasses import asdict

    from activities.deploy_flows import DeployFlowActivities
    from activities.deploys import DeployActivities
    from activities.jobs import JobActivities
    from domain.messages import (
        DEPLOY_FLOWS_WORKFLOW,
        DEPLOY_WORKFLOW,
        DeployFlowsInput,
        DeployFlowsReport,
        DeployInput,
        DeployResult,
        JobEnd,
    )
    from workflows import failures, policies


@workflow.defn(name=DEPLOY_WORKFLOW)
class DeployWorkflow:
    """Its id names the instance, so that one deploy runs at a time. It ends when the deploy stands."""

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
        if result.deploy_executions or result.once_executions:
            await workflow.start_child_workflow(
                DeployFlowsWorkflow.run,
                DeployFlowsInput(message.instance_id, message.job_id, result),
                id=message.job_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                search_attributes=workflow.info().typed_search_attributes,
                static_summary=f"deploy flows {message.instance_id}",
            )
        else:
            await _end(_succeeded(message.job_id, result))
        return result


@workflow.defn(name=DEPLOY_FLOWS_WORKFLOW)
class DeployFlowsWorkflow:
    """Starts what a deploy has accepted and watches it for a while; the job ends, and says how it went, with it."""

    @workflow.run
    async def run(self, message: DeployFlowsInput) -> None:
        accepted = [*message.result.deploy_executions, *message.result.once_executions]
        await workflow.execute_activity_method(
            DeployActivities.start_accepted, accepted, summary="Start", **policies.CHORE
        )
        report = await self._watched(message)
        end = _succeeded(message.job_id, message.result)
        end.result = (end.result or {}) | {"deploy_executions": [asdict(each) for each in report.outcomes]}
        await _end(end)

    async def _watched(self, message: DeployFlowsInput) -> DeployFlowsReport:
        deadline = workflow.now() + policies.WATCHED
        delay = policies.FIRST_LOOK
        while True:
            report: DeployFlowsReport = await workflow.execute_local_activity_method(
                DeployFlowActivities.look_at_flows, message, **policies.LEDGER
            )
            if report.ended or workflow.now() >= deadline:
                return report
            await workflow.sleep(delay)
            delay = min(delay * 1.5, policies.LONGEST_LOOK)


def _succeeded(job_id: str, result: DeployResult) -> JobEnd:
    return JobEnd(job_id, "succeeded", result=asdict(result))


async def _end(end: JobEnd) -> None:
    await workflow.execute_local_activity_method(JobActivities.end_job, end, **policies.LEDGER)
