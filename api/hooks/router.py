"""`/hooks/{token}`: any bytes, bounded, accepted with 202 once they are stored."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.hooks.receiving import received
from api.hooks.replies import Replies
from api.hooks.service import Hooks, Receipt
from api.problems import refusals
from api.resources import Resources
from domain.replies import seconds_to_wait

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
ANY_BODY: dict[str, Any] = {"requestBody": {"content": {"*/*": {"schema": {}, "example": {"id": 42}}}}}
REFUSALS = refusals(
    {
        401: "A key is wanted or wrong: `unauthenticated`. Not signed as it should be: `signature_invalid`.",
        404: "No such webhook, or the request names no flow or customer of it: `not_found`.",
        405: "The trigger does not take this method.",
        409: "`instance_paused`, `instance_suspended`, `instance_not_deployed`; `ambiguous`: several instances. "
        "To who waits: `execution_canceled`, `execution_skipped`.",
        410: "The instance has been deleted, or the URL was changed: `gone`.",
        413: "More than 6 MiB.",
        429: "The flow's queue is full: `queue_full`.",
        500: "To who waits: the flow has failed, `execution_failed`, or its answer is none, `invalid_reply`.",
        503: "Try later: see `Retry-After`.",
    }
)
OWN: dict[int | str, dict[str, Any]] = {
    "default": {"description": "To who waits: the flow's own answer, of any status"}
}

router = APIRouter(tags=["hooks"], generate_unique_id_function=lambda route: f"hooks_{route.name}")


class ReceiptRead(BaseModel):
    """Accepted: stored, and it cannot be lost."""

    execution_id: str = Field(examples=["exec_01m87xc1jzcfffz88vsyj5f88f"])
    url: str
    duplicate: bool = Field(description="True: the same dedupe key was accepted before, and this is its execution")


@router.post(
    "/hooks/{token}", status_code=202, response_model=ReceiptRead, responses=REFUSALS | OWN, openapi_extra=ANY_BODY
)
@router.api_route("/hooks/{token}", methods=METHODS, status_code=202, include_in_schema=False)
@router.api_route("/hooks/{token}/{rest:path}", methods=METHODS, status_code=202, include_in_schema=False)
async def receive(request: Request, token: str, rest: str = "") -> Response:
    """Accept a delivery: stored, it cannot be lost. A repeated one gets the first one's execution.

    Who waits, because the flow is synchronous or by `Prefer: wait=N`, gets the flow's own answer if it ends in time.
    """
    resources: Resources = request.app.state.resources
    hooks: Hooks = request.app.state.hooks
    receipt = await hooks.accept(token, partial(received, request, rest))
    replies: Replies = request.app.state.replies
    seconds = seconds_to_wait(request.headers, synchronous=receipt.synchronous) if receipt.waits else 0.0
    if seconds:
        answer = await replies.of(request, receipt.execution_id, seconds)
        if answer is not None:
            answer.headers.update(_told(receipt, f"wait={seconds:g}" if "prefer" in request.headers else None))
            return answer
    url = f"{resources.settings.public_url}/v1/executions/{receipt.execution_id}"
    headers = {"Location": url} | _told(receipt)
    content: dict[str, Any] = {"execution_id": receipt.execution_id, "url": url, "duplicate": receipt.duplicate}
    return JSONResponse(content, 202, headers)


def _told(receipt: Receipt, preference: str | None = None) -> dict[str, str]:
    """What every answer to a delivery that was accepted says."""
    told = {"Flowgraft-Execution-Id": receipt.execution_id}
    told |= {"Idempotent-Replayed": "true"} if receipt.duplicate else {}
    return told | ({"Preference-Applied": preference} if preference else {})
