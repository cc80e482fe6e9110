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
from api.api_keys.router import router as api_keys
from api.customers.router import router as customers
from api.executions.router import router as executions
from api.flows.router import router as flows
from api.flows.testing import router as flow_tests
from api.gateway import Gateway
from api.hooks.router import router as hooks
from api.hooks.service import Hooks
from api.instances.config import router as instance_config
from api.instances.lifecycle import router as instance_lifecycle
from api.instances.router import router as instances
from api.integrations.router import definitions
from api.integrations.router import router as integrations
from api.integrations.versions import router as versions
from api.jobs.router import router as jobs
from api.logs.router import router as logs
from api.middleware import Edge
from api.resources import open_resources
from api.routing import ensure_guarded
from runtime.logs import configure_logs
from runtime.metrics import tell_build
from runtime.settings import Settings, load_settings
from runtime.version import version

ROUTERS: tuple[APIRouter, ...] = (
    customers,
    integrations,
    definitions,
    versions,
    instances,
    instance_config,
    instance_lifecycle,
    flows,
    flow_tests,
    executions,
    hooks,
    jobs,
    logs,
    api_keys,
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
            app.state.hooks = Hooks(resources)
            tell_build(settings.commit)
            async with metrics.served(resources):
                yield

    return lifespan
