"""The real application over ASGI, on SQLite, with a fake gateway."""

import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import httpx2
import pytest
import structlog
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from api.app import create_app
from runtime.settings import Settings
from tests.api.probe import Probe
from tests.fakes_gateway import FakeGateway

ADMIN_KEY = "bootstrap-key-of-the-tests-0001"
ORIGIN = "http://127.0.0.1:8233"
CAPABILITY = "capability-of-the-tests-01"


def settings_for(url: str) -> Settings:
    return Settings(
        database_url=url,
        bootstrap_api_key=ADMIN_KEY,
        encryption_keys="k1:" + base64.b64encode(bytes(32)).decode(),
        codec_capability=CAPABILITY,
        codec_ui_origin=ORIGIN,
        allowed_networks=(ip_network("127.0.0.0/8"),),
        allowed_redirect_origins=("https://app.example.com",),
        temporal_address="127.0.0.1:7233",
    )


@dataclass(frozen=True)
class Documented:
    """The application, none of whose answers may have a status that its OpenAPI document does not know."""

    app: FastAPI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def checked(message: Message) -> None:
            path: str = getattr(scope.get("route"), "path_format", "")
            operation = self.app.openapi()["paths"].get(path, {}).get(scope["method"].lower())
            if message["type"] == "http.response.start" and operation is not None:
                status = str(message["status"])
                known = operation["responses"].keys() & {status, "default"}
                assert known or path.startswith("/v1/probe"), f"{scope['method']} {path} answers {status}"
            await send(message)

        await self.app(scope, receive, checked)


@asynccontextmanager
async def serving(app: FastAPI, key: str | None = ADMIN_KEY) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the running application. What crashes inside shows as the answer that a client would get."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx2.ASGITransport(app=Documented(app))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://flowgraft.test", headers=headers) as client,
    ):
        yield client


@dataclass(frozen=True)
class Shared:
    path: Path
    app: FastAPI
    gateway: FakeGateway
    probe: Probe


@pytest.fixture(scope="session", autouse=True)
def _short_logs() -> None:
    """The default renders the variables of every frame of a traceback, which takes seconds."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ]
    )


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Building the application takes longer than most tests, so each process builds one."""
    path = tmp_path_factory.mktemp("api") / "flowgraft.db"
    gateway, probe = FakeGateway(), Probe()
    app = create_app(settings_for(f"sqlite+aiosqlite:///{path}"), gateway=gateway)
    app.include_router(probe.router)
    return Shared(path, app, gateway, probe)


@pytest.fixture
def sqlite_url(shared: Shared, sqlite_template: Path) -> str:
    """An empty database where the shared application looks for it.

    A new file each time: a connection of the test before, closed late, would write its rows into the old one.
    """
    for old in ("", "-wal", "-shm"):
        shared.path.with_name(shared.path.name + old).unlink(missing_ok=True)
    shutil.copyfile(sqlite_template, shared.path)
    return f"sqlite+aiosqlite:///{shared.path}"


@pytest.fixture
def gateway(shared: Shared) -> FakeGateway:
    vars(shared.gateway).update(vars(FakeGateway()))
    return shared.gateway


@pytest.fixture
def probe(shared: Shared) -> Probe:
    """Routes of the tests' own, in the application that `client` talks to."""
    shared.probe.reset()
    return shared.probe


@pytest.fixture
def app(shared: Shared, sqlite_url: str, gateway: FakeGateway) -> FastAPI:
    return shared.app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(app) as client:
        yield client
