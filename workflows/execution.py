"""The workflow of one execution. Each attempt is a Temporal run of the same workflow id."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.executions import ExecutionActivities
    from domain.definitions.model import Flow
    from domain.durations import parse_duration
    from domain.executions import Status, scheduled_execution_id
    from domain.messages import (
        CALLBACK_SIGNAL,
        CALLED_SIGNAL,
        CONNECTION_SIGNAL,
        DELIVERY_SIGNAL,
        EXECUTION_WORKFLOW,
        TURN_SIGNAL,
        CloseInput,
        ExecutionInput,
        Failure,
        Opened,
        OpenInput,
    )
    from domain.polling import NO_CHANGES
    from workflows import failures, policies
    from workflows.calling import Calling
    from workflows.failures import AttemptFailed
    from workflows.interpreter import Interpreter
    from workflows.waiting import Waiting

OUTCOME = SearchAttributeKey.for_keyword("Outcome")
SCHEDULED_BY = SearchAttributeKey.for_keyword("TemporalScheduledById")
SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn(name=EXECUTION_WORKFLOW)
class ExecutionWorkflow:
    """Opens the execution, interprets its flow, closes it with the outcome; raises what Temporal shall repeat."""

    def __init__(self) -> None:
        self._interpreter: Interpreter | None = None
        self._turn = False
        self._waiting = Waiting()
        self._calling = Calling()

    @workflow.signal(name=TURN_SIGNAL)
    def turn(self) -> None:
        """Its queue has a slot for its next attempt."""
        self._turn = True

    @workflow.signal(name=CONNECTION_SIGNAL)
    def connection(self) -> None:
        """The connection that it waits for works again."""
        self._waiting.tell()

    @workflow.signal(name=CALLBACK_SIGNAL)
    def called_back(self, path: str) -> None:
        """Something came in for a step that waits, or will."""
        self._waiting.called_back.add(path)

    @workflow.signal(name=CALLED_SIGNAL)
    def called(self, execution_id: str) -> None:
        """An execution that it has called has ended."""
        self._calling.tell(execution_id)

    @workflow.signal(name=DELIVERY_SIGNAL)
    def delivery(self, execution_id: str) -> None:
        """Makes the webhook visible in the history. Idempotent, and `run` never waits for it."""

    @workflow.run
    async def run(self, given: ExecutionInput) -> str:
        attempt = _Attempt.of(given)
        try:
            opened = await attempt.open(with_trigger=given.trigger is None)
            while opened.parked:
                await workflow.wait_condition(lambda: self._turn)
                self._turn = False
                opened = await attempt.open(with_trigger=given.trigger is None)
            if not opened.proceed:
                return attempt.execution_id
            if not await self._interpret(attempt, opened, given.trigger):
                await self._close(attempt, Status.SKIPPED, reason=NO_CHANGES)
                return attempt.execution_id
        except AttemptFailed as error:
            raise await self._fail(attempt, error.failure) from error
        except (asyncio.CancelledError, FailureError) as error:
            if not is_cancelled_exception(error):
                raise await self._fail(attempt, failures.of_activity(error, None)) from error
            await self._close(attempt, Status.CANCELED, reason="canceled")
            raise
        await self._close(attempt, Status.SUCCEEDED)
        return attempt.execution_id

    async def _interpret(self, attempt: "_Attempt", opened: Opened, trigger: dict[str, Any] | None) -> bool:
        """False: there was nothing to run with."""
        attempt.deployment_id = opened.deployment_id
        flow = Flow.model_validate(opened.flow)
        self._interpreter = Interpreter(
            attempt.execution_id,
            attempt.number,
            opened,
            flow,
            trigger or opened.trigger or {},
            self._waiting,
            self._calling,
        )
        try:
            async with asyncio.timeout(parse_duration(flow.timeout) / timedelta(seconds=1)) as self._waiting.timeout:
                return await self._interpreter.run()
        except TimeoutError as error:
            raise AttemptFailed(failures.flow_timeout(flow.timeout)) from error

    async def _fail(self, attempt: "_Attempt", failure: Failure) -> ApplicationError:
        """Close the attempt and say to Temporal whether and when the next one is."""
        if not attempt.may_repeat(failure):
            await self._close(attempt, Status.FAILED, failure=failure)
            return failures.final(failure)
        delay = attempt.given.retry.delay(attempt.number, failure.retry_after)
        await self._close(attempt, Status.RETRYING, failure=failure, next_attempt_at=workflow.now() + delay)
        return failures.again(failure, delay)

    async def _close(
        self,
        attempt: "_Attempt",
        status: Status,
        *,
        failure: Failure | None = None,
        reason: str | None = None,
        next_attempt_at: datetime | None = None,
    ) -> None:
        if workflow.info().typed_search_attributes:
            workflow.upsert_search_attributes([OUTCOME.value_set(status)])
        records = self._interpreter.records if self._interpreter else []
        close = attempt.closing(status, failure, reason, next_attempt_at, records)
        await workflow.execute_local_activity_method(ExecutionActivities.close_execution, close, **policies.LEDGER)


class _Attempt:
    """Which attempt of which execution this run is."""

    def __init__(self, given: ExecutionInput, execution_id: str, nominal_at: str | None) -> None:
        self.given = given
        self.execution_id = execution_id
        self.nominal_at = nominal_at
        self.deployment_id = given.deployment_id
        self.number = given.base_attempt + workflow.info().attempt
        self.opened = False  # canceled while it waited, an attempt has never begun

    @classmethod
    def of(cls, given: ExecutionInput) -> "_Attempt":
        if given.execution_id:
            return cls(given, given.execution_id, None)
        attributes = workflow.info().typed_search_attributes
        nominal = attributes.get(SCHEDULED_AT) or workflow.info().workflow_start_time
        schedule = attributes.get(SCHEDULED_BY) or given.instance_flow_id
        return cls(given, scheduled_execution_id(schedule, nominal), nominal.astimezone(UTC).isoformat())

    def may_repeat(self, failure: Failure) -> bool:
        return self.given.retry.repeats(self.number, transient=failure.transient, permanent=failure.permanent)

    async def open(self, *, with_trigger: bool) -> Opened:
        info = workflow.info()
        message = OpenInput(
            instance_flow_id=self.given.instance_flow_id,
            execution_id=self.execution_id,
            deployment_id=self.given.deployment_id,
            attempt=self.number,
            max_attempts=self.given.retry.max_attempts,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            nominal_at=self.nominal_at,
            with_trigger=with_trigger,
            edition=self.given.retry.edition,
        )
        opened: Opened = await workflow.execute_local_activity_method(
            ExecutionActivities.open_execution, message, **policies.LEDGER
        )
        self.opened = not opened.parked
        return opened

    def closing(
        self,
        status: Status,
        failure: Failure | None,
        reason: str | None,
        next_attempt_at: datetime | None,
        records: list[Any],
    ) -> CloseInput:
        info = workflow.info()
        return CloseInput(
            instance_flow_id=self.given.instance_flow_id,
            execution_id=self.execution_id,
            deployment_id=self.deployment_id,
            attempt=self.number if self.opened else self.number - 1,
            max_attempts=self.given.retry.max_attempts,
            status=status,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            failure=failure,
            next_attempt_at=next_attempt_at.isoformat() if next_attempt_at else None,
            reason=reason,
            nominal_at=self.nominal_at,
            records=records,
            edition=self.given.retry.edition,
        )
