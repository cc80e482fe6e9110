"""One request, one transaction: committed once the answer is built, before it is sent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.auth import Caller
from api.idempotency import Claim, claim_of, forget, remember, remembered
from api.problems import pointer, problem_response
from api.resources import Resources
from api.strict import Body, StrictRequest
from domain.errors import Conflict, FlowgraftError, Problem
from store.engine import violated

READING = frozenset({"GET", "HEAD"})
KEPT_ERRORS = frozenset({404, 409, 410, 412})  # what the same request would meet again

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Exchange:
    resources: Resources
    caller: Caller
    request: StrictRequest
    body: Body
    handler: Callable[[StrictRequest], Awaitable[Response]]
    detached: bool


async def serve(exchange: Exchange) -> Response:
    if exchange.request.method in READING:
        return await _read(exchange)
    claim = claim_of(exchange.request, exchange.caller.principal, exchange.body)
    try:
        response = await (_detached if exchange.detached else _write)(exchange, claim)
    except IntegrityError as error:
        raise _lost_race(error) from error
    await _after_commit(exchange.request)
    return response


async def _read(exchange: Exchange) -> Response:
    if exchange.detached:
        return await exchange.handler(exchange.request)
    async with exchange.resources.database.snapshot() as session:
        exchange.request.state.session = session
        return await exchange.handler(exchange.request)


async def _write(exchange: Exchange, claim: Claim | None) -> Response:
    async with exchange.resources.database.transaction() as session:
        exchange.request.state.session = session
        if claim is None:
            return await exchange.handler(exchange.request)
        earlier = await remembered(session, exchange.resources.keyring, claim)
        if earlier is not None:
            return earlier
        response = await _attempt(exchange, session)
        await remember(session, exchange.resources.keyring, claim, response)
        return response


async def _attempt(exchange: Exchange, session: AsyncSession) -> Response:
    """Undoes what the handler wrote when its answer is an error that is kept beside the claim."""
    try:
        async with session.begin_nested():
            return await exchange.handler(exchange.request)
    except FlowgraftError as error:
        return _kept(exchange, error)


async def _detached(exchange: Exchange, claim: Claim | None) -> Response:
    if claim is None:
        return await exchange.handler(exchange.request)
    database, keyring = exchange.resources.database, exchange.resources.keyring
    async with database.transaction() as session:
        earlier = await remembered(session, keyring, claim)
    if earlier is not None:
        return earlier
    try:
        response = await _attempt_detached(exchange)
    except BaseException:
        async with database.transaction() as session:
            await forget(session, claim)
        raise
    async with database.transaction() as session:
        await remember(session, keyring, claim, response)
    return response


async def _attempt_detached(exchange: Exchange) -> Response:
    try:
        return await exchange.handler(exchange.request)
    except FlowgraftError as error:
        return _kept(exchange, error)


def _kept(exchange: Exchange, error: FlowgraftError) -> Response:
    exchange.request.state.after_commit.clear()
    response = problem_response(exchange.request.scope, error)
    if response.status_code not in KEPT_ERRORS:
        raise error
    return response


def _lost_race(error: IntegrityError) -> Conflict:
    """Services look before they write; this is for what another request did in between."""
    table, _, columns = violated(error).partition(".")
    if not columns:
        return Conflict("Something that this refers to has just been changed or deleted.")
    problems = [Problem(pointer([column]), "already_exists", "Is taken.") for column in columns.split(",")]
    return Conflict(f"Another of the {table.replace('_', ' ')} has this {columns}.", problems, code="already_exists")


async def _after_commit(request: StrictRequest) -> None:
    """Hand-overs to Temporal and the like: the ledger has them, so what fails here is made up for by upkeep."""
    for act in request.state.after_commit:
        try:
            await act()
        except Exception:
            log.exception("after_commit_failed")
