"""Callers who wait: what they get when the execution has ended, and when it has not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from activities.records import value_context
from runtime.clock import utcnow
from store.executions import Executions
from store.steps import Record, Steps
from tests.api.hooks.kit import definition, make
from tests.fakes_gateway import FakeGateway

SYNC = definition(flows="  - {key: created, trigger: {type: webhook, respond: sync}, steps: []}\n")
ASYNC = definition()
End = Callable[[str], Awaitable[None]]


def ending(app: FastAPI, status: str = "succeeded", **steps: Any) -> End:
    """While somebody waits the execution ends so, with these steps and their outputs."""

    async def end(execution_id: str) -> None:
        async with app.state.resources.database.transaction() as session:
            now = utcnow()
            await Executions(session).move(execution_id, 1, {"status": status, "attempt": 1, "ended_at": now})
            keyring = app.state.resources.keyring
            records = [
                Record(
                    execution_id=execution_id,
                    attempt=1,
                    path=path,
                    key=path,
                    name=path,
                    component="flow" if path == "stop" else "http",
                    action="stop" if path == "stop" else "get",
                    position=position,
                    iteration=[],
                    status="succeeded",
                    started_at=now,
                    output=keyring.encrypt_json(value, value_context(execution_id, 1, path, "output")),
                )
                for position, (path, value) in enumerate(steps.items())
            ]
            if records:
                await Steps(session).record(records)

    return end


async def post(client: httpx2.AsyncClient, url: str, **headers: str) -> httpx2.Response:
    return await client.post(url, json={"id": 1}, headers=headers)


async def test_synchronous_flow_answers_with_its_stop_step(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    made = await make(app, client, SYNC)
    told = {"status": 201, "headers": {"X-Order": "7"}, "body": {"order": 7}}
    gateway.end = ending(app, first=1, stop=told, last=2)
    response = await post(client, await made.url())
    assert (response.status_code, response.json(), response.headers["x-order"]) == (201, {"order": 7}, "7")
    ((execution_id, seconds),) = gateway.awaited
    assert (response.headers["flowgraft-execution-id"], seconds) == (execution_id, 30)
    assert response.headers["content-security-policy"] == "sandbox"


async def test_flow_without_a_stop_answers_with_its_last_value(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    made = await make(app, client, SYNC)
    gateway.end = ending(app, first=1, last=[2])
    response = await post(client, await made.url())
    assert (response.status_code, response.json()) == (200, [2])


@pytest.mark.parametrize(
    ("status", "expected"),
    [("failed", (500, "execution_failed")), ("canceled", (409, "execution_canceled"))],
)
async def test_other_ends_are_problems_that_say_no_more(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, status: str, expected: tuple[int, str]
) -> None:
    made = await make(app, client, SYNC)
    gateway.end = ending(app, status)
    response = await post(client, await made.url())
    assert (response.status_code, response.json()["code"]) == expected
    assert gateway.awaited[0][0] in response.json()["detail"]


async def test_bad_answer_is_a_problem(app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    made = await make(app, client, SYNC)
    gateway.end = ending(app, stop={"status": "later"})
    response = await post(client, await made.url())
    assert (response.status_code, response.json()["code"]) == (500, "invalid_reply")


async def test_who_waits_too_long_gets_a_receipt(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    made = await make(app, client, SYNC)
    response = await post(client, await made.url())
    body = response.json()
    assert (response.status_code, response.headers["location"]) == (202, body["url"])
    assert gateway.awaited == [(body["execution_id"], 30)]


async def test_preference_of_the_caller_counts(app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    made = await make(app, client, ASYNC)
    gateway.end = ending(app, first="done")
    assert (await post(client, await made.url())).status_code == 202
    assert gateway.awaited == []
    response = await post(client, await made.url(), prefer="wait=5")
    assert (response.status_code, response.text, response.headers["preference-applied"]) == (200, "done", "wait=5")
    assert gateway.awaited[-1][1] == 5


async def test_duplicate_gets_the_same_answer(app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    made = await make(app, client, SYNC)
    gateway.end = ending(app, stop={"body": "once"})
    url, key = await made.url(), {"idempotency-key": "a"}
    first, second = [await post(client, url, **key) for _ in range(2)]
    assert (first.text, second.text) == ("once", "once")
    assert len({execution_id for execution_id, _ in gateway.awaited}) == 1
    assert second.headers["idempotent-replayed"] == "true"


async def test_what_a_pause_holds_is_not_waited_for(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    made = await make(app, client, SYNC)
    await client.post(f"/v1/instances/{made.id}/pause", json={"mode": "hold"})
    assert (await post(client, await made.url())).status_code == 202
    assert gateway.awaited == []


async def test_many_who_wait_hold_no_connection_to_the_database(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    made = await make(app, client, SYNC)
    gate, inner = asyncio.Event(), ending(app, stop={"body": "x"})

    async def end(execution_id: str) -> None:
        await gate.wait()
        await inner(execution_id)

    gateway.end = end
    url = await made.url()
    waiting = [asyncio.create_task(post(client, url)) for _ in range(60)]
    async with asyncio.timeout(30):
        while len(gateway.awaited) < len(waiting):
            await asyncio.sleep(0.01)
    assert (await client.get(f"/v1/instances/{made.id}")).status_code == 200
    gate.set()
    assert {(await each).text for each in waiting} == {"x"}
