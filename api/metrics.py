"""`/metrics` for Prometheus: on the API's own port, or on one that the public cannot reach; and what a request adds."""

import asyncio
import math
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.routing import Route

from api.deps import ResourcesDep
from api.resources import Resources
from domain.errors import Unavailable
from runtime import metrics
from store.conservation import Conservation
from store.instances import Instances

HOOKS = "/hooks/{token}"
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
COUNTING_SECONDS = 2.0

router = APIRouter(include_in_schema=False)


class Beside(uvicorn.Server):
    """A second server of one process: the signals are for the first."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@router.get("/metrics")
async def public(resources: ResourcesDep) -> Response:
    """Everything this process knows, in Prometheus' format."""
    return await _exposition(resources)


@asynccontextmanager
async def served(resources: Resources) -> AsyncIterator[None]:
    """The same on `FLOWGRAFT_METRICS_PORT`, where that is set."""
    settings = resources.settings
    if settings.metrics_port is None:
        yield
        return

    async def private(request: Request) -> Response:
        return await _exposition(resources)

    app = Starlette(routes=[Route("/metrics", private)])
    server = Beside(
        uvicorn.Config(
            app,
            host=settings.metrics_host,
            port=settings.metrics_port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
    )
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """A request that was answered, known by its route's pattern."""
    known = method if method in METHODS else "other"
    metrics.HTTP_REQUESTS.labels(known, route, status).inc()
    metrics.HTTP_SECONDS.labels(known, route).observe(seconds)
    if route.startswith(HOOKS):
        metrics.WEBHOOK_REQUESTS.labels(status).inc()
        if status < 300:
            metrics.WEBHOOK_ACK_SECONDS.observe(seconds)


async def _exposition(resources: Resources) -> Response:
    await _count_instances(resources)
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _count_instances(resources: Resources) -> None:
    """No numbers rather than old ones while the database is away."""
    metrics.INSTANCES.clear()
    metrics.IMBALANCE.set(math.nan)
    try:
        async with asyncio.timeout(COUNTING_SECONDS), resources.database.snapshot() as session:
            counts = await Instances(session).count_by_state()
            metrics.IMBALANCE.set(await Conservation(session).imbalance())
    except (Unavailable, TimeoutError):
        return
    for state, count in counts.items():
        metrics.INSTANCES.labels(state).set(count)
