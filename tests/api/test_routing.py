import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts

from api.app import create_app
from api.auth import SCOPES
from api.routing import GuardedRoute, Unguarded, ensure_guarded, v1_router
from domain.errors import Unavailable
from runtime.settings import Settings, SettingsInvalid
from store.engine import Database
from tests.api.conftest import serving, settings_for
from tests.api.probe import Probe
from tests.fakes_gateway import FakeGateway


def v1_routes(app: FastAPI) -> list[RouteContext]:
    return [each for each in iter_route_contexts(app.routes) if (each.path or "").startswith("/v1")]


def requests_of(app: FastAPI) -> list[tuple[str, str]]:
    paths = [(method, each.path) for each in v1_routes(app) for method in each.methods or ()]
    return [(method, (path or "").replace("{", "").replace("}", "")) for method, path in paths]


def test_every_route_declares_a_scope(app: FastAPI) -> None:
    routes = [each.original_route for each in v1_routes(app)]
    assert len(routes) >= 15
    assert all(isinstance(route, GuardedRoute) and route.rules.scope in SCOPES for route in routes)


def test_reading_and_writing_differ_in_scope(app: FastAPI) -> None:
    for each in v1_routes(app):
        route = each.original_route
        assert isinstance(route, GuardedRoute)
        if route.rules.scope == "read":
            assert route.methods == {"GET"} or route.path == "/v1/definitions/validate"


def test_route_without_a_scope_cannot_be_defined() -> None:
    async def endpoint() -> None: ...

    with pytest.raises(Unguarded, match="endpoint declares no scope"):
        v1_router("open").get("/open")(endpoint)


def test_route_beside_the_router_stops_the_start(sqlite_url: str) -> None:
    app = create_app(settings_for(sqlite_url), gateway=FakeGateway())

    @app.get("/v1/open")
    async def endpoint() -> None: ...

    with pytest.raises(Unguarded, match="/v1/open"):
        ensure_guarded(app)


async def test_no_route_answers_without_a_key(app: FastAPI) -> None:
    async with serving(app, key=None) as client:
        for method, path in requests_of(app):
            response = await client.request(method, path, params={"api_key": "x", "access_token": "y"})
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated"), (method, path)


async def test_every_route_refuses_unknown_parameters(client: httpx2.AsyncClient, app: FastAPI) -> None:
    for method, path in requests_of(app):
        response = await client.request(method, f"{path}?surprise=1")
        assert response.status_code == 422, (method, path)
        assert response.json()["errors"][0]["pointer"] == "#/query/surprise"


async def test_every_single_resource_that_is_absent_is_404(client: httpx2.AsyncClient, app: FastAPI) -> None:
    single = [(method, path) for method, path in requests_of(app) if path.endswith("_id") and method != "PATCH"]
    for method, path in single:
        response = await client.request(method, path)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), (method, path)


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("read", {"read"}),
        ("execute", {"read", "execute"}),
        ("write", {"read", "execute", "write"}),
        ("admin", {"read", "execute", "write", "admin"}),
    ],
)
async def test_scopes_include_the_ones_before(
    client: httpx2.AsyncClient, probe: Probe, scope: str, allowed: set[str]
) -> None:
    made = await client.post("/v1/api_keys", json={"name": scope, "scopes": [scope]})
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    answers = {
        "read": await client.get("/v1/customers", headers=headers),
        "execute": await client.post("/v1/probe/notes", headers=headers),
        "write": await client.post("/v1/customers", json={"name": "Acme"}, headers=headers),
        "admin": await client.get("/v1/api_keys", headers=headers),
    }
    assert {name for name, answer in answers.items() if answer.status_code < 300} == allowed
    refused = {answer.json()["code"] for name, answer in answers.items() if name not in allowed}
    assert refused <= {"forbidden"}


async def test_scope_is_asked_before_the_body_is_looked_at(client: httpx2.AsyncClient) -> None:
    made = await client.post("/v1/api_keys", json={"name": "r", "scopes": ["read"]})
    headers = {"Authorization": f"bearer {made.json()['key']}", "Content-Type": "application/json"}
    assert (await client.post("/v1/customers", content=b"{", headers=headers)).status_code == 403


async def test_get_cannot_write(client: httpx2.AsyncClient, probe: Probe) -> None:
    assert (await client.get("/v1/probe/writes")).status_code == 500
    assert (await client.get("/v1/customers")).json()["data"] == []


async def test_hand_over_happens_after_the_commit(client: httpx2.AsyncClient, probe: Probe) -> None:
    await client.post("/v1/probe/notes")
    assert probe.committed == [1]


async def test_hand_over_does_not_happen_for_what_failed(client: httpx2.AsyncClient, probe: Probe) -> None:
    probe.fail = Unavailable("Later.")
    assert (await client.post("/v1/probe/notes")).status_code == 503
    assert probe.committed == []
    assert (await client.get("/v1/customers")).json()["data"] == []


async def test_hand_over_that_fails_is_no_error(client: httpx2.AsyncClient, probe: Probe) -> None:
    probe.calls = 12
    assert (await client.post("/v1/probe/notes")).status_code == 201
    assert probe.committed == [13]


async def test_two_who_take_the_same_name_at_once(client: httpx2.AsyncClient, probe: Probe) -> None:
    """The service's look was too early; the database still says no."""
    first = await client.post("/v1/probe/blind", json={"name": "Same"})
    second = await client.post("/v1/probe/blind", json={"name": "Same"})
    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json()["code"] == "already_exists"
    assert second.json()["errors"][0]["pointer"] == "#/name"


async def test_start_refuses_a_schema_that_is_not_current(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('empty')}/empty.db"
    app = create_app(settings_for(url), gateway=FakeGateway())
    with pytest.raises(Unavailable, match="flowgraft db upgrade"):
        async with serving(app):
            pass


async def test_start_refuses_to_be_without_a_key(sqlite_url: str) -> None:
    app = create_app(Settings(database_url=sqlite_url), gateway=FakeGateway())
    with pytest.raises(SettingsInvalid, match="ENCRYPTION_KEYS"):
        async with serving(app):
            pass


async def test_start_does_not_need_temporal(sqlite_url: str) -> None:
    async with serving(create_app(settings_for(sqlite_url))) as client:
        assert (await client.get("/v1/customers")).status_code == 200


async def test_postgres_serves_the_same(postgres_url: str) -> None:
    async with serving(create_app(settings_for(postgres_url), gateway=FakeGateway())) as client:
        headers = {"Idempotency-Key": "once"}
        first = await client.post("/v1/customers", json={"name": "Acme", "labels": ["eu"]}, headers=headers)
        again = await client.post("/v1/customers", json={"name": "Acme", "labels": ["eu"]}, headers=headers)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.headers["idempotent-replayed"] == "true"
        listed = await client.get("/v1/customers?label=EU&q=ac")
        assert [each["id"] for each in listed.json()["data"]] == [first.json()["id"]]
        taken = await client.post("/v1/customers", json={"name": "Acme"}, headers={"Idempotency-Key": "two"})
        assert taken.status_code == 409
        assert (await client.get("/v1/logs?q=%25&min_severity=warn")).status_code == 200
        assert (await client.get("/readyz")).json()["status"] == "ready"


async def test_database_is_let_go_at_the_end(app: FastAPI, sqlite_url: str) -> None:
    async with serving(app) as client:
        await client.post("/v1/customers", json={"name": "Acme"})
    other = Database(sqlite_url)
    async with other.transaction():
        pass
    await other.dispose()
