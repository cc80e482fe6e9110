"""The application: `uvicorn --factory api.app:create_app`. Nothing happens at import.

A noun is a folder: `schemas.py` (shapes), `service.py` (use cases: session first, no FastAPI, no SQL, no commit),
`router.py` (parse, call, answer; about ten lines a route). Its router is made by `routing.v1_router(tag)`, its
endpoints carry `@requires(scope)`, its arguments come from `deps.py`, its shapes from `shapes.py`; then it is listed in
`ROUTERS`. The rest is done for it: caller and scope, unknown input, one transaction, idempotency, problems.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI

from api import codec, docs, health, metrics, openapi, problems, schema
from api.alert_groups.router import router as alert_groups
from api.alerts.router import router as alerts
from api.api_keys.router import router as api_keys
from api.audit.router import router as audit
from api.connections.own import router as instance_connections
from api.connections.router import router as connections
from api.customers.router import router as customers
from api.event_endpoints.router import deliveries as event_deliveries
from api.event_endpoints.router import router as event_endpoints
from api.executions.router import router as executions
from api.flows.queues import router as flow_queues
from api.flows.router import router as flows
from api.flows.testing import router as flow_tests
from api.gateway import Gateway
from api.hooks.callbacks import router as callbacks
from api.hooks.replies import Replies
from api.hooks.router import router as hooks
from api.hooks.service import Hooks
from api.instances.config import router as instance_config
from api.instances.drafts import router as instance_drafts
from api.instances.endpoint import router as instance_endpoint
from api.instances.lifecycle import router as instance_lifecycle
from api.instances.pauses import router as instance_pauses
from api.instances.router import router as instances
from api.integrations.router import definitions
from api.integrations.router import router as integrations
from api.integrations.versions import router as versions
from api.jobs.router import router as jobs
from api.keys.router import router as keys
from api.labels.router import router as labels
from api.live.closing import when_told_to_stop
from api.live.router import router as live
from api.live.streams import Streams
from api.log_streams.router import router as log_streams
from api.logs.router import router as logs
from api.maintenance.router import router as maintenance_windows
from api.middleware import Edge
from api.monitors.router import router as monitors
from api.oauth.router import router as oauth
from api.replays.router import router as replays
from api.resources import open_resources
from api.routing import ensure_guarded
from api.state.router import router as state
from api.upgrades.router import router as upgrades
from api.usage.router import router as usage
from api.views.router import router as views
from runtime.logs import configure_logs
from runtime.metrics import tell_build
from runtime.settings import Settings, load_settings
from runtime.version import version

ROUTERS: tuple[APIRouter, ...] = (
    callbacks,
    hooks,  # first, because routes are tried one after the other, and most requests are deliveries
    customers,
    integrations,
    definitions,
    versions,
    replays,
    upgrades,
    instances,
    instance_config,
    instance_drafts,
    instance_endpoint,
    instance_lifecycle,
    instance_pauses,
    instance_connections,
    connections,
    oauth,
    flows,
    flow_tests,
    flow_queues,
    executions,
    state,
    usage,
    jobs,
    logs,
    log_streams,
    live,
    monitors,
    alerts,
    alert_groups,
    maintenance_windows,
    event_endpoints,
    event_deliveries,
    labels,
    views,
    audit,
    api_keys,
    keys,
    health.router,
    schema.router,
    codec.guarded,
    codec.router,
    docs.router,
)


def create_app(settings: Settings | None = None, *, gateway: Gateway | None = None) -> FastAPI:
    """`settings` default to the environment, `gateway` to Temporal. Who brings settings has set up logs too."""
    if settings is None:
        settings = load_settings()
        configure_logs(settings.log_level)
    app = FastAPI(
        title="Flowgraft",
        version=version(),
        lifespan=_lifespan(settings, gateway),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    for router in ROUTERS:
        app.include_router(router)
    if settings.metrics_port is None:
        app.include_router(metrics.router)
    ensure_guarded(app)
    problems.install(app)
    openapi.install(app)
    docs.install(app)
    app.add_middleware(Edge)
    return app


def _lifespan(settings: Settings, gateway: Gateway | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings, gateway) as resources:
            app.state.resources = resources
            app.state.hooks, app.state.replies = Hooks(resources), Replies(resources)
            app.state.streams = streams = Streams(resources.database, settings.max_streams)
            tell_build(settings.commit)
            async with metrics.served(resources):
                with when_told_to_stop(streams.end):
                    yield

    return lifespan
