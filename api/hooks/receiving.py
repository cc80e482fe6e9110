"""Reading what somebody sends: any bytes, bounded, counted while they stream."""

from fastapi import Request

from api.hooks.inbound import Delivery
from domain.errors import TooLarge

LARGEST_BODY = 6 * 1024 * 1024


async def received(request: Request, rest: str) -> Delivery:
    """Raises TooLarge."""
    return Delivery(
        method=request.method,
        path=f"/{rest}" if rest else "",
        query=request.query_params.multi_items(),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
        content_type=request.headers.get("content-type"),
        body=await _bounded_body(request),
    )


async def _bounded_body(request: Request) -> bytes:
    """Counted while it streams: a Content-Length may lie or be absent."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > LARGEST_BODY:
        raise _too_large()
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large() -> TooLarge:
    return TooLarge("A webhook's body has at most 6 MiB")
