"""What an endpoint can ask for, as annotations. Nothing here decides.

    session: Session               the request's transaction (GET: a snapshot); committed by the route, never by you
    caller: CallerDep              .principal is `bootstrap` or a key's id; goes into events
    resources: ResourcesDep        settings, database, keyring, vault, catalog, gateway, codec, http, connections
    pager: PagerDep                .page for the store, .listing(rows, read, key) for the answer
    precondition: PreconditionDep  .ensure(revision) in the write's transaction: If-Match
    tag: EtagDep                   tag(revision) sets the answer's ETag
    after_commit: AfterCommit      .append(async function without arguments): runs after the commit, before the answer
    body: BodyDep                  the checked bytes, for routes that accept other things than JSON

Filters of a list are one pydantic model, `Annotated[XFilter, Query()]`; a `list[str]` field may be repeated.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.etags import Precondition, etag
from api.paging import DEFAULT_LIMIT, LONGEST_CURSOR, MOST, Pager, requested_page
from api.resources import Resources
from api.strict import Body


async def _session(request: Request) -> AsyncSession:
    session: AsyncSession = request.state.session
    return session


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


async def _body(request: Request) -> Body:
    body: Body = request.state.body
    return body


async def _after_commit(request: Request) -> list[Callable[[], Awaitable[object]]]:
    acts: list[Callable[[], Awaitable[object]]] = request.state.after_commit
    return acts


async def _pager(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=MOST)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=LONGEST_CURSOR)] = None,
) -> Pager:
    return Pager(request, response, requested_page(request, limit, cursor))


async def _precondition(if_match: Annotated[str | None, Header(description="An ETag, or *")] = None) -> Precondition:
    return Precondition(if_match)


async def _etag(response: Response) -> Callable[[int], None]:
    def tag(revision: int) -> None:
        response.headers["ETag"] = etag(revision)

    return tag


Session = Annotated[AsyncSession, Depends(_session)]
CallerDep = Annotated[Caller, Depends(_caller)]
ResourcesDep = Annotated[Resources, Depends(_resources)]
BodyDep = Annotated[Body, Depends(_body)]
AfterCommit = Annotated[list[Callable[[], Awaitable[object]]], Depends(_after_commit)]
PagerDep = Annotated[Pager, Depends(_pager)]
PreconditionDep = Annotated[Precondition, Depends(_precondition)]
EtagDep = Annotated[Callable[[int], None], Depends(_etag)]
