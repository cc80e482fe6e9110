"""Run one step: what the ledger holds already, else the action, then its record in one transaction."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bind_contextvars
from temporalio import activity
from temporalio.common import RawValue

from activities import errors
from activities.connections import LiveConnections, Resolved, failing
from activities.deployments import Deployment, Deployments
from activities.heartbeats import heartbeats
from activities.keeping import Keeping
from activities.metering import count_try
from activities.outbox import announce_lines
from activities.pace import Pace, step_key
from activities.records import Log, Owner, error_json, log_lines, sealed, value_context, write_control_records
from activities.state import NoState, TransactionState
from components.base import Action, ActionContext, Registry, StateAccess
from domain.errors import StepFailed, Unavailable
from domain.executions import StepStatus, idempotency_key
from domain.messages import Failure, RunStepInput, RunStepResult
from domain.values import mask, resolve_secrets
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.engine import Database, violated
from store.logs import Logs
from store.steps import Record, Steps

LARGEST_OUTPUT = 8 * 1024 * 1024
AT_ONCE = timedelta(milliseconds=1)
RECORDING_PATIENCE = 60.0  # seconds that a step waits for a database that is away

T = TypeVar("T")


@dataclass
class Outcome:
    """What an action came to, before and after masking. `failure` or `output`, never both."""

    inputs: Any = None
    output: Any = None
    failure: Failure | None = None


class StepActivities:
    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        registry: Registry,
        deployments: Deployments,
        pace: Pace,
        connections: LiveConnections,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._registry = registry
        self._deployments = deployments
        self._pace = pace
        self._connections = connections
        self._keeping = Keeping()

    @activity.defn(dynamic=True)
    async def run_step(self, arguments: Sequence[RawValue]) -> RunStepResult:
        """Any `component.action`. Raises retryable while the step has tries left, else non-retryable."""
        step: RunStepInput = activity.payload_converter().from_payload(arguments[0].payload, RunStepInput)
        bind_contextvars(execution_id=step.execution_id, step=step.path)
        action = self._registry.get(step.action)
        if action is not None and action.local:
            row = await self._run_in_transaction(step, action)
        elif activity.info().is_local:
            row = await self._try_locally(step, action)
        else:
            async with heartbeats():
                row = await self._run_outside(step, action)
        return self._answer(step, row)

    async def _run_in_transaction(self, step: RunStepInput, action: Action) -> Record:
        """Action, state and record become true together; a failed action's state is rolled back, its record is not."""
        async with self._database.transaction() as session:
            held, tries = await self._held(session, step)
            if held is not None:
                return await self._keep(session, step, held)
            log = Log()
            savepoint = await session.begin_nested()
            state = TransactionState(session, self._keyring, _owner(step))
            began = asyncio.get_running_loop().time()
            outcome = await self._perform(step, action, log, state, session)
            seconds = asyncio.get_running_loop().time() - began
            await (savepoint.commit() if outcome.failure is None else savepoint.rollback())
            row = await self._record(session, step, outcome, log, tries)
        count_try(row, True, seconds)
        return row

    async def _try_locally(self, step: RunStepInput, action: Action | None) -> Record:
        """Raises retryable before anything has happened when too many tries occupy workflow tasks already."""
        if self._pace.is_full:
            raise errors.again(Failure("busy", "Goes on as a regular activity", step.path), AT_ONCE)
        return await self._run_outside(step, action)

    async def _run_outside(self, step: RunStepInput, action: Action | None) -> Record:
        held, tries = await _patiently(partial(self._glance, step))
        if held is not None:
            async with self._database.transaction() as session:
                return await self._keep(session, step, held)
        log = Log()
        began = asyncio.get_running_loop().time()
        with self._pace.timed(step_key(step), local=activity.info().is_local):
            outcome = await self._perform(step, action, log, NoState())
        seconds = asyncio.get_running_loop().time() - began
        row = await _patiently(partial(self._transact_record, step, outcome, log, tries))
        count_try(row, action is not None, seconds)
        return row

    async def _glance(self, step: RunStepInput) -> tuple[Record | None, int]:
        async with self._database.glance() as session:
            return await self._held(session, step)

    async def _transact_record(self, step: RunStepInput, outcome: Outcome, log: Log, tries: int) -> Record:
        async with self._database.transaction() as session:
            return await self._record(session, step, outcome, log, tries)

    async def _held(self, session: AsyncSession, step: RunStepInput) -> tuple[Record | None, int]:
        """What has ended already, in this attempt or, in a replay from the failed step, in the original; and how
        often the step has been tried."""
        steps = Steps(session)
        held = await steps.get(step.execution_id, step.attempt, step.path)
        if held is not None and held.status != StepStatus.RUNNING:
            return held, held.tries
        tries = held.tries if held is not None else 0
        return (await steps.succeeded(step.resume_from, step.path) if step.resume_from else None), tries

    async def _keep(self, session: AsyncSession, step: RunStepInput, held: Record) -> Record:
        """The record of this execution as it is; one of the original's is copied, so that the replay shows it too."""
        if held.execution_id == step.execution_id:
            return held
        kept = Outcome(self._open(held, "inputs"), self._open(held, "output"))
        return await self._record(session, step, kept, Log(), tries=0)

    async def _perform(
        self,
        step: RunStepInput,
        action: Action | None,
        log: Log,
        state: StateAccess,
        session: AsyncSession | None = None,
    ) -> Outcome:
        """Never raises for what an action does wrong: a failure is an outcome."""
        outcome = Outcome(inputs=step.inputs | step.lazy)
        hidden: list[str] = []
        found: Resolved | None = None
        deployment: Deployment | None = None
        try:
            deployment = await self._deployments.get(step.deployment_id, session)
            bind_contextvars(customer_id=deployment.customer_id, instance_id=deployment.instance_id)
            inputs, hidden = self._reveal(deployment, step.inputs)
            outcome.inputs = inputs | {name: bound["template"] for name, bound in step.lazy.items()}
            found = await self._connections.resolve(deployment, step.connection, session)
            outcome.output = await self._call(step, action, inputs, self._context(step, found, log, state))
        except Unavailable as error:
            if not isinstance(state, NoState):
                raise  # The database is away: nothing has happened, so nothing is recorded.
            outcome.failure = errors.failure_of(error, step.path)
        except Exception as error:
            outcome.failure = errors.failure_of(error, step.path)
            if step.waits and deployment is not None:
                outcome.failure.connection_id = failing(deployment, step.connection, outcome.failure.code, found)
        return _masked(outcome, log, [*hidden, *(found.hidden if found else ())])

    def _reveal(self, deployment: Deployment, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        return resolve_secrets(inputs, lambda key, mac: self._deployments.reveal(deployment, key, mac))

    async def _call(
        self, step: RunStepInput, action: Action | None, inputs: dict[str, Any], context: ActionContext
    ) -> Any:
        if action is None:
            raise StepFailed(f"There is no action {step.action} here", code="unknown_action", permanent=True)
        try:
            given = action.inputs.model_validate(inputs)
        except ValidationError as error:
            raise _invalid_input(step.action, error) from error
        try:
            async with asyncio.timeout(step.timeout_seconds):
                output = await action.run(context, given)
        except TimeoutError as error:
            message = f"{step.action} took longer than {step.timeout_seconds:g} s"
            raise StepFailed(message, code="timeout", transient=True) from error
        if len(json.dumps(output)) > LARGEST_OUTPUT:
            raise StepFailed("The step's output is larger than 8 MiB", code="output_too_large", permanent=True)
        return output

    def _context(self, step: RunStepInput, found: Resolved, log: Log, state: StateAccess) -> ActionContext:
        return ActionContext(
            execution_id=step.execution_id,
            path=step.path,
            attempt=step.attempt,
            idempotency_key=idempotency_key(step.execution_id, step.path),
            now=datetime.fromisoformat(step.started_at),
            timeout=step.timeout_seconds,
            log=log,
            http=found.http,
            state=state,
            connection=found.connection,
            lazy=step.lazy,
        )

    # Records

    async def _record(
        self, session: AsyncSession, step: RunStepInput, outcome: Outcome, log: Log, tries: int
    ) -> Record:
        """`tries` were there before. A record that somebody else has ended meanwhile is the one that counts."""
        steps = Steps(session)
        waits = outcome.failure is not None and outcome.failure.connection_id is not None
        row = self._row(step, outcome, tries if waits else tries + 1)
        try:
            await write_control_records(steps, self._keyring, step.execution_id, step.attempt, step.records)
            mine = await steps.record([row])
        except IntegrityError as error:
            if violated(error):
                raise
            # A foreign key: the execution has been deleted.
            gone = Failure("execution_gone", "The execution has been deleted", step.path, permanent=True)
            raise errors.final(gone) from error
        await self._keeping.sift(session, step.instance_id, log)
        await Logs(session).add_many(log_lines(_owner(step), step.attempt, step.path, log))
        announce_lines(session, _owner(step), step.path, log)
        held = None if mine else await steps.get(step.execution_id, step.attempt, step.path)
        return held or row

    def _row(self, step: RunStepInput, outcome: Outcome, tries: int) -> Record:
        component, _, action = step.action.partition(".")
        at = (step.execution_id, step.attempt, step.path)
        output = sealed(self._keyring, *at, "output", outcome.output)
        return Record(
            execution_id=step.execution_id,
            attempt=step.attempt,
            path=step.path,
            key=step.key,
            name=step.name,
            component=component,
            action=action,
            position=step.position,
            iteration=step.iteration,
            status=_status(step, outcome, tries),
            tries=tries,
            started_at=datetime.fromisoformat(step.started_at),
            ended_at=utcnow(),
            inputs=sealed(self._keyring, *at, "inputs", outcome.inputs),
            output=output,
            output_size=len(output or b""),
            error=error_json(outcome.failure),
        )

    def _answer(self, step: RunStepInput, row: Record) -> RunStepResult:
        if row.status == StepStatus.SUCCEEDED:
            return RunStepResult(self._open(row, "output"))
        failure = Failure(**(row.error or {"code": "internal_error", "message": "The step failed"}))
        if row.status == StepStatus.RUNNING and failure.connection_id is None:
            raise errors.again(failure, _try_delay(step, row.tries, failure))
        raise errors.final(failure)

    def _open(self, row: Record, column: str) -> Any:
        sealed_value = getattr(row, column)
        if sealed_value is None:
            return None
        return self._keyring.decrypt_json(sealed_value, value_context(row.execution_id, row.attempt, row.path, column))


async def _patiently(act: Callable[[], Awaitable[T]]) -> T:
    """While the database is away for a moment: an effect that has happened and loses its record would be repeated."""
    deadline = asyncio.get_running_loop().time() + RECORDING_PATIENCE
    while True:
        try:
            return await act()
        except Unavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.5)


def _owner(step: RunStepInput) -> Owner:
    return Owner(step.execution_id, step.instance_flow_id, step.instance_id, step.customer_id)


def _status(step: RunStepInput, outcome: Outcome, tries: int) -> StepStatus:
    """Running means: this try failed and another one follows, some day where it waits for its connection."""
    if outcome.failure is None:
        return StepStatus.SUCCEEDED
    if outcome.failure.connection_id is not None:
        return StepStatus.RUNNING
    return StepStatus.RUNNING if outcome.failure.transient and tries < step.tries else StepStatus.FAILED


def _try_delay(step: RunStepInput, tries: int, failure: Failure) -> timedelta:
    factor = 2 ** (tries - 1) if step.exponential else 1
    seconds = max(step.delay_seconds * factor, failure.retry_after or 0.0)
    return timedelta(seconds=min(seconds, 3600.0))


def _masked(outcome: Outcome, log: Log, hidden: Sequence[str]) -> Outcome:
    if not hidden:
        return outcome
    log.lines = [(at, level, mask(message, hidden)) for at, level, message in log.lines]
    failure = outcome.failure
    if failure is not None:
        failure.message, failure.details = mask(failure.message, hidden), mask(failure.details, hidden)
    return Outcome(mask(outcome.inputs, hidden), mask(outcome.output, hidden), failure)


def _invalid_input(action: str, error: ValidationError) -> StepFailed:
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return StepFailed(f"{action} got inputs it cannot take: {'; '.join(problems)}", code="invalid_input")
