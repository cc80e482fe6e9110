"""The gateway: the only file of the API that knows Temporal. It never touches a row of its own accord."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import structlog
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.handover import Handover, Starter
from activities.job_starts import JobStarter
from activities.log_streams import start_log_stream
from activities.replacing import Replacer
from activities.schedules import Schedules
from activities.watching import tell_now
from api.gateway import WorkflowLink
from api.handing_over import HandingOver
from domain.errors import Conflict, Invalid, NotFound, Problem, Unavailable
from domain.messages import CALLBACK_SIGNAL, DeployInput, DeployResult, deploy_workflow_id
from runtime.settings import Settings
from runtime.temporal import INSTANCE_ID, connect
from store.engine import Database
from store.queues import QueueOf
from store.tables import JobRow
from workflows.deployment import DeployWorkflow

CALL_SECONDS = 1.0  # `rpc_timeout` does not bound a call whose connection is refused
DEPLOY_SECONDS = 30.0
NOT_BEGUN_SECONDS = 0.1
REPLACE_SECONDS = 3.0  # some calls, one after another
AWAY_SECONDS = 1.0  # after a call that failed, how long nobody else waits for Temporal

T = TypeVar("T")

log = structlog.get_logger()


class TemporalGateway:
    def __init__(self, client: Client, database: Database, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._starter = Starter(client, settings.task_queue, settings.public_url)
        self._replacer = Replacer(client, self._starter)
        self._schedules = Schedules(client, database, settings.task_queue)
        self._jobs = JobStarter(client, database, settings.task_queue)
        self._away_until = 0.0
        self._again = HandingOver(self._start)

    @classmethod
    async def connect(cls, settings: Settings, database: Database, converter: DataConverter) -> "TemporalGateway":
        """Lazy: the API starts and accepts while Temporal is away."""
        return cls(await connect(settings, converter, lazy=True), database, settings)

    async def hand_over(self, handover: Handover, *, delivery: bool = False) -> bool:
        started = await self._start(handover, delivery=delivery)
        if not started:
            self._again.later(handover)
        for workflow_id in handover.supersedes if started else ():
            await self.cancel(workflow_id)  # upkeep repeats it
        return started

    async def close(self) -> None:
        await self._again.close()

    async def _start(self, handover: Handover, *, delivery: bool = False) -> bool:
        if asyncio.get_running_loop().time() < self._away_until:
            return False
        return await self._try(self._starter.start(handover, delivery=delivery))

    async def nudge(self, queue: QueueOf) -> bool:
        return await self._try(self._starter.nudge(queue))

    async def replace(self, handover: Handover) -> bool:
        return await self._try(self._replacer.replace(handover), seconds=REPLACE_SECONDS)

    async def cancel(self, workflow_id: str) -> bool:
        try:
            await self._bounded(self._client.get_workflow_handle(workflow_id).cancel())
        except RPCError as error:
            return error.status == RPCStatusCode.NOT_FOUND
        except Unavailable:
            return False
        return True

    async def tell_called_back(self, workflow_id: str, path: str) -> bool:
        handle = self._client.get_workflow_handle(workflow_id)
        return await self._try(handle.signal(CALLBACK_SIGNAL, path))

    async def ended(self, workflow_id: str, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._end_of(workflow_id)
        except (TimeoutError, RPCError):
            return False

    async def _end_of(self, workflow_id: str) -> bool:
        while True:
            try:
                await self._client.get_workflow_handle(workflow_id).result()
                return True
            except WorkflowFailureError:
                return True
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
            await asyncio.sleep(NOT_BEGUN_SECONDS)  # its queue has no slot for it yet

    async def deploy(self, message: DeployInput) -> DeployResult | None:
        try:
            handle = await self._bounded(
                self._client.start_workflow(
                    DeployWorkflow.run,
                    message,
                    id=deploy_workflow_id(message.instance_id),
                    task_queue=self._settings.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    # By this a delete finds the deploys' histories, too.
                    search_attributes=TypedSearchAttributes([SearchAttributePair(INSTANCE_ID, message.instance_id)]),
                    static_summary=f"deploy {message.instance_id}",
                )
            )
        except WorkflowAlreadyStartedError as error:
            raise Conflict("Another deploy of this instance is under way", code="deploy_in_progress") from error
        except RPCError as error:
            raise Unavailable("Temporal is away; nothing has changed", retry_after=1) from error
        try:
            return await asyncio.wait_for(handle.result(), DEPLOY_SECONDS)
        except TimeoutError:
            return None
        except WorkflowFailureError as error:
            raise _deploy_error(error.cause) from error

    async def start_job(self, job: JobRow) -> bool:
        return await self._try(self._jobs.start(job))

    async def sync_schedules(self, instance_id: str) -> bool:
        return await self._try(self._schedules.sync_instance(instance_id), seconds=5.0)

    async def tell_now(self) -> bool:
        return await self._try(tell_now(self._client, self._settings.task_queue))

    async def start_log_stream(self, stream_id: str) -> bool:
        return await self._try(start_log_stream(self._client, self._settings.task_queue, stream_id, wake=True))

    async def healthy(self) -> bool:
        return await self._try(self._client.workflow_service.get_system_info(GetSystemInfoRequest()))

    def link(self, workflow_id: str, run_id: str | None) -> WorkflowLink:
        base = self._settings.temporal_ui_url
        path = f"/namespaces/{self._client.namespace}/workflows/{workflow_id}"
        url = f"{base}{path}/{run_id}/history" if run_id else f"{base}{path}"
        return WorkflowLink(workflow_id, run_id, url if base else None)

    async def _try(self, call: Awaitable[object], seconds: float = CALL_SECONDS) -> bool:
        try:
            await self._bounded(call, seconds)
        except (Unavailable, RPCError) as error:
            log.warning("temporal_away", detail=str(error)[:200])
            self._away_until = asyncio.get_running_loop().time() + AWAY_SECONDS
            return False
        return True

    async def _bounded(self, call: Awaitable[T], seconds: float = CALL_SECONDS) -> T:
        """A lazy client that cannot connect raises a plain RuntimeError."""
        try:
            return await asyncio.wait_for(call, seconds)
        except (TimeoutError, RuntimeError) as error:
            raise Unavailable("Temporal is away; nothing has changed", retry_after=1) from error


def _deploy_error(cause: BaseException | None) -> Exception:
    """The deploy workflow's failure as the error that its activity raised."""
    if not isinstance(cause, ApplicationError):
        return Unavailable("The deploy was interrupted", retry_after=1)
    details = cause.details[0] if cause.details else {}
    problems = [Problem(**problem) for problem in (details.get("details") or {}).get("problems", [])]
    match cause.type:
        case "config_invalid" | "validation_failed":
            return Invalid(cause.message, problems, code=cause.type)
        case "not_found":
            return NotFound(cause.message)
        case "state_conflict" | "instance_suspended":
            return Conflict(cause.message, code=cause.type)
    return Unavailable(f"The deploy failed: {cause.message}")
