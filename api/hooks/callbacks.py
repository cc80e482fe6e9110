"""`POST /hooks/callbacks/{token}`: what an execution waits for, stored before it is answered."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from activities.callbacks import callback_context, secret_of
from api.hooks.inbound import Inbound
from api.hooks.receiving import received
from api.hooks.router import ANY_BODY, REFUSALS
from api.resources import Resources
from domain.callbacks import Place, parse, sign
from domain.errors import Conflict, Gone, NotFound
from domain.executions import TERMINAL
from runtime.clock import utcnow
from runtime.crypto import Keyring, same_secret
from store.callbacks import CallbacksTaken
from store.executions import Executions

router = APIRouter(tags=["hooks"], generate_unique_id_function=lambda route: f"callbacks_{route.name}")
REFUSED: dict[int | str, dict[str, Any]] = {status: REFUSALS[status] for status in (404, 409, 410, 413, 503)}
SHOWN = ("body", "headers", "query", "method", "content_type", "raw")


class CallbackRead(BaseModel):
    """Taken: stored, and the execution goes on with it."""

    execution_id: str = Field(examples=["exec_01m87xc1jzcfffz88vsyj5f88f"])


@router.post("/hooks/callbacks/{token}", status_code=202, responses=REFUSED, openapi_extra=ANY_BODY)
async def call_back(request: Request, token: str) -> CallbackRead:
    """Call an execution back that waits, or will. Once: a second call answers 409 `already_called`.

    410 `gone` when its attempt is over or nobody waits any more.
    """
    resources: Resources = request.app.state.resources
    place = _place(resources.keyring, token)
    inbound = Inbound(await received(request, ""))
    value: dict[str, Any] = {name: inbound.root[name] for name in SHOWN if name in inbound.root}
    async with resources.database.transaction() as session:
        row = await Executions(session).get(place.execution_id)
        if row is None or row.status in TERMINAL or row.attempt != place.attempt or row.ended_at is not None:
            raise Gone("Nobody waits for this any more")
        taken, sealed = CallbacksTaken(session), resources.keyring.encrypt_json(value, callback_context(*place))
        if not await taken.take(place, sealed, utcnow()):
            first = await taken.get(place)
            if first is not None and first.sealed is None:
                raise Gone("Nobody waits for this any more")
            raise Conflict("It has been called back already", code="already_called")
        workflow_id = row.workflow_id or row.id
    await resources.gateway.tell_called_back(workflow_id, place.path)
    return CallbackRead(execution_id=place.execution_id)


def _place(keyring: Keyring, token: str) -> Place:
    """Raises NotFound: nothing tells a forged token from one that never was."""
    found = parse(token)
    if found is not None:
        place, signature = found
        if same_secret(sign(secret_of(keyring, place.execution_id, place.attempt), place.path), signature):
            return place
    raise NotFound("There is no such callback")
