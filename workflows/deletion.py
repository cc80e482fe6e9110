"""Delete: remove-trigger flows first, then everything else; whatever is killed in between goes on where it was."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.deletion import DeletionActivities
    from activities.deploys import DeployActivities
    from activities.jobs import JobActivities
    from domain.messages import DELETE_CUSTOMER_WORKFLOW, DELETE_WORKFLOW, DeleteInput, JobEnd
    from workflows import policies


@workflow.defn(name=DELETE_WORKFLOW)
class DeleteInstanceWorkflow:
    @workflow.run
    async def run(self, message: DeleteInput) -> None:
        await _remove_instance(message)
        await _succeeded(message.job_id)


@workflow.defn(name=DELETE_CUSTOMER_WORKFLOW)
class DeleteCustomerWorkflow:
    """Its instances one after another, each as its own delete would, some in one history; then the customer."""

    @workflow.run
    async def run(self, message: DeleteInput) -> None:
        plan = await workflow.execute_local_activity_method(
            DeletionActivities.plan_customer_removal, message, **policies.LEDGER
        )
        for instance_id in plan.instance_ids:
            await _remove_instance(DeleteInput(instance_id, message.job_id, message.principal))
        if plan.more:
            workflow.continue_as_new(message)
        await workflow.execute_local_activity_method(DeletionActivities.remove_customer, message, **policies.LEDGER)
        await _succeeded(message.job_id)


async def _remove_instance(message: DeleteInput) -> None:
    plan = await workflow.execute_local_activity_method(
        DeletionActivities.accept_remove_flows, message, **policies.LEDGER
    )
    if plan.remove_executions:
        await workflow.execute_activity_method(
            DeployActivities.start_accepted, plan.remove_executions, summary="Remove flows", **policies.CHORE
        )
        await workflow.execute_activity_method(
            DeletionActivities.await_executions, plan.remove_executions, summary="Remove flows", **policies.CHORE
        )
    await workflow.execute_activity_method(
        DeletionActivities.remove_schedules, message, summary="Schedules", **policies.CHORE
    )
    await workflow.execute_activity_method(
        DeletionActivities.stop_executions, message, summary="Stop executions", **policies.CHORE
    )
    await workflow.execute_activity_method(
        DeletionActivities.remove_executions, message, summary="Executions", **policies.CHORE
    )
    await workflow.execute_activity_method(
        DeletionActivities.remove_instance, message, summary="Everything else", **policies.CHORE
    )


async def _succeeded(job_id: str) -> None:
    end = JobEnd(job_id, "succeeded")
    await workflow.execute_local_activity_method(JobActivities.end_job, end, **policies.LEDGER)
