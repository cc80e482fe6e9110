"""What follows a deploy: its deploy-trigger flows, looked at until they have ended."""

from temporalio import activity

from domain.executions import TERMINAL, Status
from domain.messages import DeployFlowsInput, DeployFlowsReport, Failure, FlowOutcome
from runtime.clock import utcnow
from store.engine import Database
from store.executions import Executions
from store.jobs import Jobs


class DeployFlowActivities:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def look_at_flows(self, message: DeployFlowsInput) -> DeployFlowsReport:
        """How they are by now; the job says how many have ended. One that is gone, with its instance, has ended."""
        async with self._database.transaction() as session:
            outcomes = []
            for execution_id in message.result.deploy_executions:
                view = await Executions(session).view(execution_id)
                if view is not None:
                    error = _failure(view.row.error)
                    outcomes.append(FlowOutcome(execution_id, view.flow_key, view.row.status, error))
            ended = [each for each in outcomes if each.status in TERMINAL]
            failed = sum(each.status == Status.FAILED for each in ended)
            jobs, now = Jobs(session), utcnow()
            await jobs.enter(message.job_id, "deploy_flows", now)
            await jobs.change(message.job_id, now, total=len(outcomes), done=len(ended), failed=failed)
        return DeployFlowsReport(ended=len(ended) == len(outcomes), outcomes=outcomes)


def _failure(error: dict[str, object] | None) -> Failure | None:
    """Without its details, which stand on the execution."""
    if error is None:
        return None
    step = error.get("step")
    return Failure(str(error["code"]), str(error["message"]), str(step) if step is not None else None)
