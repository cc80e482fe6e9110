import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from api.middleware import Edge
from tests.api.probe import Probe


@pytest.mark.parametrize("path", ["/livez", "/v1/customers", "/v1/customers/absent", "/nowhere", "/openapi.json"])
async def test_every_answer_has_the_headers(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"X-Request-Id": "abc-123"})
    assert response.headers["x-request-id"] == "abc-123"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_request_id_is_in_the_problem_of_a_crash(client: httpx2.AsyncClient, probe: Probe) -> None:
    response = await client.get("/v1/probe/wrong_answer", headers={"X-Request-Id": "abc-123"})
    assert response.json()["request_id"] == response.headers["x-request-id"] == "abc-123"


@pytest.mark.parametrize("unusable", [b"", b"a" * 129, "\u00e4".encode(), b"a\tb", b"\x7f"])
async def test_request_id_that_is_unusable_is_replaced(client: httpx2.AsyncClient, unusable: bytes) -> None:
    response = await client.get("/livez", headers={b"X-Request-Id": unusable})
    assert response.headers["x-request-id"].startswith("req_")


async def test_request_ids_differ(client: httpx2.AsyncClient) -> None:
    ids = {(await client.get("/livez")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


async def test_crash_after_the_answer_began_is_not_hidden() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("in the middle")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(RuntimeError, match="in the middle"):
        await Edge(broken)({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_lifespan_passes_through() -> None:
    seen: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def never() -> Message:
        raise AssertionError

    async def ignore(message: Message) -> None: ...

    await Edge(inner)({"type": "lifespan"}, never, ignore)
    assert seen == ["lifespan"]
