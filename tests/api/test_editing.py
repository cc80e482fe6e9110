"""Changing what waits: what may be changed when, what is refused, and what is written down of it."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.resources import Resources
from api.shapes import instant
from domain.executions import RetryRule, Status
from runtime.clock import utcnow
from store.tables import ExecutionRow
from tests.api.hooks.kit import HEAD, Made, customer, definition, deliver, make
from tests.api.setup import Json, make_key, pointers, read
from tests.fakes_gateway import FakeGateway

FLOW = "  - {key: created, trigger: {type: webhook}, retry: {retries: 3, delay: 60s}, steps: []}\n"
QUEUED = FLOW.replace("steps", "concurrency: {mode: sequential}, steps")
WITHOUT = f"{HEAD}flows:\n  - {{key: other, trigger: {{type: webhook}}, steps: []}}\n"
ENDED = [Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.SKIPPED]


class Shop:
    def __init__(self, app: FastAPI, client: httpx2.AsyncClient, made: Made) -> None:
        self.client, self.made = client, made
        self._resources: Resources = app.state.resources

    async def delivered(self, **values: Any) -> str:
        response = await deliver(self.client, await self.made.url())
        assert response.status_code == 202, response.text
        execution_id = str(response.json()["execution_id"])
        if values:
            async with self._resources.database.transaction() as session:
                await session.execute(update(ExecutionRow).where(ExecutionRow.id == execution_id).values(**values))
        return execution_id

    async def waiting(self, **values: Any) -> str:
        """Its first attempt has failed."""
        usual = {"status": Status.RETRYING, "attempt": 1, "handed_over_at": utcnow()}
        return await self.delivered(**usual | {"next_attempt_at": utcnow() + timedelta(hours=1)} | values)

    async def edit(self, execution_id: str, body: Json, **options: Any) -> httpx2.Response:
        return await self.client.patch(f"/v1/executions/{execution_id}", json=body, **options)

    async def edited(self, execution_id: str, body: Json) -> Json:
        response = await self.edit(execution_id, body)
        assert response.status_code == 200, response.text
        shown: Json = response.json()
        return shown

    async def events(self, execution_id: str) -> list[Json]:
        events: list[Json] = (await read(self.client, f"/v1/instances/{self.made.id}/events"))["data"]
        return [each for each in events if each["action"] == "execution.edited"]


@pytest.fixture
async def shop(app: FastAPI, client: httpx2.AsyncClient) -> Shop:
    return Shop(app, client, await make(app, client, definition(flows=FLOW)))


async def test_next_attempt_is_put_off_and_made_now(shop: Shop, gateway: FakeGateway) -> None:
    execution_id = await shop.waiting()
    later = utcnow() + timedelta(days=2)
    shown = await shop.edited(execution_id, {"next_attempt_at": instant(later)})
    assert (shown["status"], shown["next_attempt_at"]) == ("retrying", instant(later))
    [handover] = gateway.replaced
    assert (handover.execution_id, handover.attempts_made, handover.not_before) == (execution_id, 1, later)
    assert handover.retry == RetryRule(4, 60.0, edition=1)

    response = await shop.client.post(f"/v1/executions/{execution_id}/retry_now")
    assert response.status_code == 200, response.text
    assert datetime.fromisoformat(response.json()["next_attempt_at"]) <= utcnow()
    assert gateway.replaced[1].retry.edition == 2


async def test_time_that_is_over_means_now(shop: Shop) -> None:
    before = utcnow()
    shown = await shop.edited(await shop.waiting(), {"next_attempt_at": "2020-01-01T00:00:00Z"})
    assert before <= datetime.fromisoformat(shown["next_attempt_at"]) <= utcnow()


@pytest.mark.parametrize("left", [0, 10])
async def test_remaining_retries_follow_the_next_attempt(shop: Shop, gateway: FakeGateway, left: int) -> None:
    shown = await shop.edited(await shop.waiting(attempt=2), {"retries_left": left})
    assert (shown["attempt"], shown["max_attempts"]) == (2, 3 + left)
    assert (gateway.replaced[0].attempts_made, gateway.replaced[0].retry.max_attempts) == (2, 3 + left)


async def test_other_deployment_is_read_by_the_next_attempt(shop: Shop, gateway: FakeGateway) -> None:
    """Nothing that Temporal has to know."""
    execution_id = await shop.waiting()
    first = await read(shop.client, f"/v1/executions/{execution_id}")
    await shop.made.deploy(definition(flows=FLOW.replace("60s", "90s")))
    moved = await shop.edited(execution_id, {"deployment_id": "current"})
    assert (moved["version"]["number"], moved["deployment_id"] == first["deployment_id"]) == (2, False)
    back = await shop.edited(execution_id, {"deployment_id": first["deployment_id"]})
    assert (back["version"], back["deployment_id"]) == (first["version"], first["deployment_id"])
    assert gateway.replaced == []


async def test_deployment_of_another_instance_or_without_the_flow_is_refused(
    app: FastAPI, client: httpx2.AsyncClient, shop: Shop
) -> None:
    execution_id = await shop.waiting()
    other = await make(app, client, customer=await customer(client, "other"), version=shop.made.version)
    elsewhere = await Shop(app, client, other).waiting()
    foreign = (await read(client, f"/v1/executions/{elsewhere}"))["deployment_id"]
    for wrong in (foreign, "dep_nothing"):
        response = await shop.edit(execution_id, {"deployment_id": wrong})
        assert pointers(response) == {"#/deployment_id": "invalid_value"}
    await shop.made.deploy(WITHOUT)
    response = await shop.edit(execution_id, {"deployment_id": "current"})
    assert pointers(response) == {"#/deployment_id": "invalid_value"}
    assert await shop.events(execution_id) == []


async def test_what_has_not_begun_keeps_its_turn(shop: Shop, gateway: FakeGateway) -> None:
    """Started, and without a worker to begin it: its workflow has to know of the retries."""
    execution_id = await shop.delivered(handed_over_at=utcnow())
    shown = await shop.edited(execution_id, {"retries_left": 1})
    assert (shown["status"], shown["attempt"], shown["max_attempts"]) == ("queued", 0, 2)
    assert (gateway.replaced[0].attempts_made, gateway.replaced[0].not_before) == (0, None)
    refused = await shop.edit(execution_id, {"next_attempt_at": instant(utcnow())})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_waiting")


async def test_what_is_held_is_changed_in_the_ledger_alone(shop: Shop, gateway: FakeGateway) -> None:
    await shop.client.post(f"/v1/instances/{shop.made.id}/pause", json={"mode": "hold"})
    execution_id = await shop.delivered()
    shown = await shop.edited(execution_id, {"retries_left": 0, "deployment_id": "current"})
    assert (shown["reason"], shown["max_attempts"], gateway.replaced) == ("held", 1, [])


async def test_what_waits_in_a_queue_is_changed_in_the_ledger_alone(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    shop = Shop(app, client, await make(app, client, definition(flows=QUEUED)))
    execution_id = await shop.delivered()
    shown = await shop.edited(execution_id, {"retries_left": 7})
    assert (shown["reason"], shown["max_attempts"], gateway.replaced) == ("queued_behind", 8, [])
    parked = await shop.waiting(status=Status.QUEUED, handed_over_at=None, run_id="run-1", next_attempt_at=None)
    await shop.edited(parked, {"retries_left": 0})
    assert [(each.execution_id, each.queued) for each in gateway.replaced] == [(parked, False)]


@pytest.mark.parametrize("status", [Status.RUNNING, *ENDED])
async def test_what_does_not_wait_is_not_changed(shop: Shop, gateway: FakeGateway, status: Status) -> None:
    execution_id = await shop.waiting(status=status, next_attempt_at=None)
    for body in ({"next_attempt_at": instant(utcnow())}, {"retries_left": 1}, {"deployment_id": "current"}):
        response = await shop.edit(execution_id, body)
        assert (response.status_code, response.json()["code"]) == (409, "not_waiting")
    response = await shop.client.post(f"/v1/executions/{execution_id}/retry_now")
    assert (response.status_code, gateway.replaced) == (409, [])


async def test_what_is_being_canceled_is_not_changed(shop: Shop) -> None:
    execution_id = await shop.waiting()
    await shop.client.post(f"/v1/executions/{execution_id}/cancel")
    response = await shop.edit(execution_id, {"retries_left": 1})
    assert (response.status_code, "being canceled" in response.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"retries_left": 11}, "#/retries_left"),
        ({"retries_left": -1}, "#/retries_left"),
        ({"next_attempt_at": "soon"}, "#/next_attempt_at"),
        ({"next_attempt_at": None}, "#/next_attempt_at"),
        ({"deployment_id": ""}, "#/deployment_id"),
        ({"status": "running"}, "#/status"),
    ],
)
async def test_nonsense_is_refused(shop: Shop, body: Json, pointer: str) -> None:
    assert list(pointers(await shop.edit(await shop.waiting(), body))) == [pointer]


async def test_next_attempt_is_within_thirty_days(shop: Shop) -> None:
    response = await shop.edit(await shop.waiting(), {"next_attempt_at": instant(utcnow() + timedelta(days=31))})
    assert pointers(response) == {"#/next_attempt_at": "too_far"}


async def test_change_is_written_down_with_what_was_before(shop: Shop) -> None:
    at = utcnow() + timedelta(hours=1)
    execution_id = await shop.waiting(next_attempt_at=at)
    now = await shop.edited(execution_id, {"next_attempt_at": "2020-01-01T00:00:00Z", "retries_left": 0})
    [event] = await shop.events(execution_id)
    assert (event["object_id"], event["principal"]) == (execution_id, "bootstrap")
    assert event["details"] == {
        "before": {"next_attempt_at": instant(at), "retries_left": 2},
        "after": {"next_attempt_at": now["next_attempt_at"], "retries_left": 0},
    }
    lines = (await read(shop.client, f"/v1/executions/{execution_id}/logs"))["data"]
    assert [line["message"] for line in lines if line["message"].startswith("Changed while it waited")] != []


async def test_nothing_changed_is_not_written_down(shop: Shop, gateway: FakeGateway) -> None:
    execution_id = await shop.waiting()
    await shop.edited(execution_id, {})
    assert (await shop.events(execution_id), gateway.replaced) == ([], [])


async def test_change_of_what_has_changed_since_is_refused(shop: Shop) -> None:
    execution_id = await shop.waiting()
    tag = (await shop.client.get(f"/v1/executions/{execution_id}")).headers["etag"]
    first = await shop.edit(execution_id, {"retries_left": 1}, headers={"If-Match": tag})
    assert (first.status_code, first.headers["etag"] != tag) == (200, True)
    second = await shop.edit(execution_id, {"retries_left": 2}, headers={"If-Match": tag})
    assert (second.status_code, second.json()["code"]) == (412, "version_conflict")
    third = await shop.edit(execution_id, {"retries_left": 2}, headers={"If-Match": first.headers["etag"]})
    assert third.status_code == 200


async def test_change_while_temporal_is_away_stands(shop: Shop, gateway: FakeGateway) -> None:
    gateway.away = True
    assert (await shop.edited(await shop.waiting(), {"retries_left": 0}))["max_attempts"] == 2


async def test_reader_changes_nothing(shop: Shop) -> None:
    execution_id = await shop.waiting()
    response = await shop.edit(execution_id, {"retries_left": 0}, headers=await make_key(shop.client, "read"))
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


async def test_unknown_execution_is_not_found(shop: Shop) -> None:
    assert (await shop.edit("exec_nothing", {"retries_left": 0})).status_code == 404
