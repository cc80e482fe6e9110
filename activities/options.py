"""Options of a field, listed live: its action runs with the values of the instance as they are saved and drafted."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from activities.connection_fields import is_connected
from activities.connections import LiveConnections, Resolved
from activities.errors import failure_of
from activities.state import NoState
from components.base import ActionContext, Registry
from domain.config import ResolvedConfig, resolve, value_problems
from domain.connections import OAUTH2, REFERENCE
from domain.definitions.model import ConfigField, Definition, OptionsFrom
from domain.errors import Invalid, Problem, StepFailed, Unavailable
from domain.logs import Severity
from domain.oauth import CLIENT_CREDENTIALS
from domain.options import Option, options_in
from domain.text import clean_text, truncate
from domain.values import evaluate, mask
from runtime.clock import utcnow
from runtime.ids import new_secret
from store.connections import Connections
from store.tables import CustomerRow, InstanceRow

LIMIT = 10.0  # seconds that the whole of it may take
SHOWN_ANSWER = 300  # characters of what the target said

CODE = "options_unavailable"

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """All that asking needs, read before: no transaction stays open while a target is asked."""

    field: ConfigField
    source: OptionsFrom
    customer_id: str
    roots: dict[str, Any]
    secrets: Sequence[str]
    connections: Mapping[str, dict[str, Any]]  # key → kind, hosts; values or connection_id


async def question_of(
    session: AsyncSession,
    instance: InstanceRow,
    customer: CustomerRow,
    definition: Definition,
    each: ConfigField,
    values: Mapping[str, Any],
    source: OptionsFrom | None = None,
) -> Question:
    """`values` that do not fit count as not set; `source` is the field's own unless another is given.

    Raises Invalid for a connection that is not there yet.
    """
    fields = definition.fields()
    fitting = {
        key: value for key, value in values.items() if key in fields and not value_problems(fields[key], value, "")
    }
    resolved = resolve(fields, fitting)
    source = source or each.options_from
    assert source is not None, "who asks has looked"
    if source.connection is not None:
        await _pin(session, instance, fields[source.connection], resolved)
    return Question(
        field=each,
        source=source,
        customer_id=customer.id,
        roots={
            "config": resolved.public | resolved.secrets,
            "customer": {"id": customer.id, "external_id": customer.external_id, "name": customer.name},
            "instance": {"id": instance.id, "name": instance.name},
        },
        secrets=list(resolved.secrets.values()),
        connections=resolved.connections,
    )


class LiveOptions:
    def __init__(self, registry: Registry, connections: LiveConnections, limit: float = LIMIT) -> None:
        self._registry = registry
        self._connections = connections
        self._limit = limit

    async def ask(self, question: Question) -> list[Option]:
        """Raises Invalid `options_unavailable`, with what the target said, and Unavailable for a database away."""
        options, secrets = await self._answer(question, partial(options_in, question.source))
        return [Option(mask(each.value, secrets), mask(each.label, secrets)) for each in options]

    async def check(self, question: Question) -> str | None:
        """What is wrong with a connection, by its definition's own check."""
        try:
            await self._answer(question, bool)
        except Invalid as refused:
            return refused.problems[0].detail
        return None

    async def _answer(self, question: Question, read: Callable[[Any], T]) -> tuple[T, list[str]]:
        """What was read in it, and all texts to mask."""
        hidden: list[Sequence[str]] = [question.secrets]
        try:
            async with asyncio.timeout(self._limit):
                found = await self._connections.resolve(question, question.source.connection)
                hidden.append(found.hidden)
                output = await self._run(question, found)
            found_in = read(output)
        except Unavailable:
            raise
        except TimeoutError:
            raise _refused(question, f"{question.source.action} had no answer within {self._limit:g} s") from None
        except Exception as error:
            log.warning("options_not_listed", action=question.source.action, error=type(error).__name__)
            raise _refused(question, mask(_told(error), list(chain(*hidden)))) from error
        return found_in, list(chain(*hidden))

    async def _run(self, question: Question, found: Resolved) -> Any:
        source = question.source
        action = self._registry.get(source.action)
        if action is None:
            raise StepFailed(f"There is no action {source.action} here", code="unknown_action", permanent=True)
        context = ActionContext(
            execution_id="",
            path=f"config.{question.field.key}",
            attempt=1,
            idempotency_key=new_secret(16),
            now=utcnow(),
            timeout=self._limit,
            log=_unheard,
            http=found.http,
            state=NoState(),
            connection=found.connection,
        )
        return await action.run(context, action.inputs.model_validate(evaluate(source.inputs, question.roots)))


async def _pin(session: AsyncSession, instance: InstanceRow, each: ConfigField, resolved: ResolvedConfig) -> None:
    """As a deploy does: an OAuth connection of the instance's own is read live."""
    held = resolved.connections.get(each.key)
    if held is None:
        name = each.label or each.key
        problem = Problem(f"#/config/{each.key}", "missing", f"{name} is not set yet: the options are listed with it")
        raise Invalid(problem.detail, [problem], code=CODE)
    if held["kind"] == OAUTH2 and REFERENCE not in held:
        row = (await Connections(session).own(instance.id)).get(each.key)
        if row is None or not (held["values"]["grant"] == CLIENT_CREDENTIALS or is_connected(row, held["values"])):
            detail = f"{each.label or each.key} is not connected yet: the options are listed with it"
            raise Invalid(detail, [Problem(f"#/config/{each.key}", "not_connected", detail)], code=CODE)
        held[REFERENCE] = row.id


def _told(error: Exception) -> str:
    """What went wrong, and the beginning of what the target answered."""
    if isinstance(error, ValidationError):
        return f"the action cannot take its inputs: {error.errors(include_url=False)[0]['msg']}"
    failure = failure_of(error, None)
    body = str((failure.details or {}).get("body") or "").strip()
    return f"{failure.message}: {truncate(body, SHOWN_ANSWER)}" if body else failure.message


def _refused(question: Question, detail: str) -> Invalid:
    detail = clean_text(detail)
    name = question.field.label or question.field.key
    problem = Problem(f"#/config/{question.field.key}", CODE, detail)
    return Invalid(f"The options of {name} cannot be listed: {detail}", [problem], code=CODE)


def _unheard(level: Severity, message: str) -> None:
    """Nobody reads the log of an action that belongs to no execution."""
