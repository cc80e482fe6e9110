"""`/metrics` for Prometheus: on the API's own port, or on one that the public cannot reach; and what a request adds."""

import asyncio
import math
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta

import uvicorn
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette
from starlette.routing import Route

from api.deps import ResourcesDep
from api.resources import Resources
from domain.errors import Unavailable
from domain.retention import Retention
from runtime import metrics
from runtime.clock import utcnow
from store.conservation import Conservation
from store.gauges import Gauges
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
    _forget()
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(COUNTING_SECONDS), resources.database.snapshot() as session:
            await _count(session, resources.settings.retention)
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


def _forget() -> None:
    """No numbers rather than old ones while the database is away."""
    for by_label in (metrics.INSTANCES, metrics.EXECUTIONS_OPEN, metrics.OLDEST_OPEN_SECONDS):
        by_label.clear()
    for single in (metrics.IMBALANCE, metrics.EXECUTIONS_PARKED, metrics.RETENTION_LAG_SECONDS):
        single.set(math.nan)


async def _count(session: AsyncSession, retention: Retention) -> None:
    gauges, now = Gauges(session), utcnow()
    for state, count in (await Instances(session).count_by_state()).items():
        metrics.INSTANCES.labels(state).set(count)
    metrics.IMBALANCE.set(await Conservation(session).imbalance())
    for each in await gauges.open_executions():
        metrics.EXECUTIONS_OPEN.labels(each.status, each.reason).set(each.number)
        metrics.OLDEST_OPEN_SECONDS.labels(each.status, each.reason).set((now - each.oldest_at).total_seconds())
    metrics.EXECUTIONS_PARKED.set(await gauges.parked())
    oldest = await gauges.oldest_end()
    late = now - oldest - max(retention.executions, retention.unresolved) if oldest else timedelta()
    metrics.RETENTION_LAG_SECONDS.set(max(late, timedelta()).total_seconds())
