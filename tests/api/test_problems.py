from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.errors import STATUSES, status_of
from api.problems import ProblemRead, problem_response
from domain import errors
from domain.errors import FlowgraftError, MethodNotAllowed, Problem, Rejected
from store.engine import Database
from tests.api.conftest import serving
from tests.api.probe import Probe
from tests.fakes_gateway import FakeGateway

SCOPE = {"type": "http", "state": {"request_id": "req_1"}}


def leaves(kind: type[FlowgraftError]) -> Iterator[type[FlowgraftError]]:
    children = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    if not children:
        yield kind
    for child in children:
        yield from leaves(child)


def an_error(leaf: type[FlowgraftError]) -> FlowgraftError:
    if issubclass(leaf, MethodNotAllowed):
        return leaf("Because.", ["GET"])
    return leaf("Because.")


@pytest.mark.parametrize("leaf", list(leaves(FlowgraftError)), ids=lambda leaf: leaf.__name__)
def test_every_leaf_has_a_status(leaf: type[FlowgraftError]) -> None:
    assert leaf in STATUSES
    response = problem_response(SCOPE, an_error(leaf))
    problem = ProblemRead.model_validate_json(bytes(response.body))
    assert response.status_code == problem.status == STATUSES[leaf]
    assert problem.code == leaf.code
    assert problem.type == f"/problems/{leaf.code}"
    assert (problem.detail, problem.request_id) == ("Because.", "req_1")


def test_error_without_a_status_is_our_own_fault() -> None:
    assert status_of(Rejected("hm")) == 500


def test_rate_limit_is_429_and_says_when() -> None:
    response = problem_response(SCOPE, errors.Unavailable("Slow down.", code="rate_limited", retry_after=0.2))
    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"


def test_unavailable_says_when() -> None:
    assert problem_response(SCOPE, errors.Unavailable("Away.", retry_after=7.2)).headers["retry-after"] == "8"
    assert problem_response(SCOPE, errors.Unavailable("Away.")).headers["retry-after"] == "5"


def test_definition_errors_say_where_in_the_text() -> None:
    found = Problem("#/flows/0", "missing", "steps is missing", 3, 5, "flows[0]")
    response = problem_response(SCOPE, errors.Invalid("Wrong.", [found]))
    item = ProblemRead.model_validate_json(bytes(response.body)).errors[0]
    assert (item.line, item.column, item.path) == (3, 5, "flows[0]")


def test_conflict_can_point_at_a_field() -> None:
    found = Problem("#/name", "already_exists", "Taken.")
    response = problem_response(SCOPE, errors.Conflict("Taken.", [found], code="already_exists"))
    assert ProblemRead.model_validate_json(bytes(response.body)).errors[0].pointer == "#/name"


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status", "code"),
    [
        ("GET", "/nowhere", {}, b"", 404, "not_found"),
        ("GET", "/v1/nowhere", {}, b"", 404, "not_found"),
        ("GET", "/v1/customers/", {}, b"", 404, "not_found"),
        ("GET", "/v1/customers/cust_absent", {}, b"", 404, "not_found"),
        ("GET", "/v1/versions/ver_1/diff", {}, b"", 404, "not_found"),
        ("PUT", "/v1/customers", {}, b"", 405, "method_not_allowed"),
        ("HEAD", "/v1/customers", {}, b"", 405, "method_not_allowed"),
        ("GET", "/v1/customers", {"Authorization": "Bearer wrong"}, b"", 401, "unauthenticated"),
        ("GET", "/v1/customers?limit=x", {}, b"", 422, "validation_failed"),
        ("GET", "/v1/customers?cursor=x", {}, b"", 400, "invalid_cursor"),
        ("POST", "/v1/customers", {"Content-Type": "application/json"}, b"{", 400, "malformed_json"),
        ("POST", "/v1/customers", {"Content-Type": "text/plain"}, b"a", 415, "unsupported_media_type"),
        ("POST", "/v1/customers", {"Idempotency-Key": "a" * 256}, b"", 400, "idempotency_key_invalid"),
        ("GET", "/v1/probe/wrong_answer", {}, b"", 500, "internal_error"),
        ("GET", "/v1/probe/writes", {}, b"", 500, "internal_error"),
    ],
)
async def test_every_error_is_a_problem(
    client: httpx2.AsyncClient,
    probe: Probe,
    method: str,
    path: str,
    headers: dict[str, str],
    content: bytes,
    status: int,
    code: str,
) -> None:
    response = await client.request(method, path, headers=headers, content=content)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    if method != "HEAD":
        problem = ProblemRead.model_validate_json(response.content)
        assert (problem.code, problem.status) == (code, status)
        assert problem.request_id == response.headers["x-request-id"]
        assert problem.title


async def test_405_names_every_method_of_the_path(client: httpx2.AsyncClient) -> None:
    assert (await client.put("/v1/customers")).headers["allow"] == "GET, POST"
    assert (await client.put("/v1/customers/cust_1")).headers["allow"] == "DELETE, GET, PATCH"


async def test_401_says_how_to_come_in(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/customers", headers={"Authorization": "Basic YTpi"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_crash_tells_nothing_of_its_cause(client: httpx2.AsyncClient, probe: Probe) -> None:
    probe.fail = RuntimeError("the secret of the house")
    response = await client.post("/v1/probe/notes")
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "secret" not in response.text


async def test_database_that_is_busy_is_503(app: FastAPI, sqlite_url: str) -> None:
    async with serving(app) as client:
        other = Database(sqlite_url)
        async with other.transaction() as session:
            await session.execute(text("SELECT 1"))
            response = await client.post("/v1/customers", json={"name": "Acme"}, timeout=30)
        await other.dispose()
    assert response.status_code == 503
    assert response.json()["code"] == "unavailable"
    assert int(response.headers["retry-after"]) >= 1


async def test_temporal_that_is_away_changes_no_answer(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    gateway.away = True
    made = (await client.post("/v1/customers", json={"name": "Acme"})).json()
    response = await client.delete(f"/v1/customers/{made['id']}?confirm_name=Acme")
    assert response.status_code == 202
