"""The small endpoint that `flowgraft dev` serves, so that the example instances have something to call."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from socket import socket

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def order(request: Request) -> JSONResponse:
    number = request.path_params["number"]
    lines = [{"sku": "BOLT-8", "quantity": 100}, {"sku": "NUT-8", "quantity": 120}]
    return JSONResponse({"id": number, "total": 1250.5, "currency": "EUR", "lines": lines})


async def shipment(request: Request) -> JSONResponse:
    """The same key gives the same shipment, as a careful third party would do it."""
    key = request.headers.get("idempotency-key", "")
    return JSONResponse({"id": f"ship-{sha256(key.encode()).hexdigest()[:8]}", "accepted": True}, 201)


async def invoice(request: Request) -> JSONResponse:
    return JSONResponse({"message": "The ledger is closed for maintenance"}, 503)


app = Starlette(
    routes=[
        Route("/orders/{number}", order, methods=["GET"]),
        Route("/shipments", shipment, methods=["POST"]),
        Route("/invoices", invoice, methods=["POST"]),
    ]
)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the supervisor's."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def served(port: int, application: Starlette = app) -> AsyncIterator[None]:
    """The application answers while the block runs."""
    config = uvicorn.Config(application, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off")
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await server.listening.wait()
        yield
    finally:
        server.should_exit = True
        await serving
