from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from store.tables import InstanceFlowRow, InstanceRow, IntegrationRow
from tests.api.hooks.kit import BY_HEADER, Made, customer, definition, deliver, make, refused
from tests.api.setup import Json, read

TEXTS = {
    "flow": definition(),
    "instance": definition(f"mode: instance_specific, {BY_HEADER}"),
    "integration": definition(f"mode: shared_instance, {BY_HEADER}, customer: query.account"),
}
EVENTS = {
    "flow": "flow.url_rotated",
    "instance": "instance.endpoint_rotated",
    "integration": "integration.endpoint_rotated",
}
TABLES: dict[str, type[Any]] = {"flow": InstanceFlowRow, "instance": InstanceRow, "integration": IntegrationRow}
HOUR = 3600


class Address:
    """Of a flow, an instance or an integration: what is rotated, and how it is reached."""

    def __init__(self, kind: str, made: Made) -> None:
        self.kind, self.made, self.client = kind, made, made.client

    async def path(self) -> str:
        if self.kind == "flow":
            return f"/v1/flows/{(await self.made.flow())['id']}"
        if self.kind == "instance":
            return f"/v1/instances/{self.made.id}"
        return f"/v1/integrations/{self.made.version['integration_id']}"

    async def rotate(self, body: Json | None = None, **headers: str) -> httpx2.Response:
        verb = "rotate_url" if self.kind == "flow" else "rotate_endpoint"
        return await self.client.post(f"{await self.path()}/{verb}", json=body, headers=headers)

    async def shown(self) -> tuple[str, str | None]:
        """Its URL, and until when the one before goes on."""
        read_ = await read(self.client, await self.path())
        found = read_ if self.kind == "flow" else read_["endpoint"]
        return found["webhook_url" if self.kind == "flow" else "url"], found["previous_url_until"]

    async def answer(self, url: str) -> tuple[int, str | None]:
        response = await deliver(self.client, f"{url}?account=a", headers={"x-acme-flow": "created"})
        return (202, None) if response.status_code == 202 else refused(response)

    async def let_pass(self) -> None:
        """The overlap."""
        table = TABLES[self.kind]
        past = update(table).where(table.previous_token.is_not(None))
        async with self.made.app.state.resources.database.transaction() as session:
            await session.execute(past.values(previous_token_until=datetime.now(UTC) - timedelta(seconds=1)))


@pytest.fixture(params=TEXTS)
async def address(request: pytest.FixtureRequest, app: FastAPI, client: httpx2.AsyncClient) -> Address:
    made = await make(app, client, TEXTS[request.param], customer=await customer(client, "a"))
    return Address(request.param, made)


async def test_rotated_url_is_gone_at_once(address: Address) -> None:
    old, _ = await address.shown()
    assert await address.answer(old) == (202, None)  # from now on the process remembers the token
    response = await address.rotate()
    assert response.status_code == 200, response.text
    new, until = await address.shown()
    assert (new != old, until) == (True, None)
    assert await address.answer(old) == (410, "gone")
    assert await address.answer(new) == (202, None)


async def test_old_url_goes_on_for_the_overlap(address: Address) -> None:
    old, _ = await address.shown()
    await address.rotate({"overlap_seconds": HOUR})
    new, until = await address.shown()
    assert until is not None
    left = datetime.fromisoformat(until) - datetime.now(UTC)
    assert timedelta(seconds=HOUR - 60) < left <= timedelta(seconds=HOUR)
    for url in (old, new):
        assert await address.answer(url) == (202, None)
    await address.let_pass()
    assert await address.answer(old) == (410, "gone")
    assert await address.answer(new) == (202, None)
    assert await address.shown() == (new, None)


async def test_second_rotation_ends_the_oldest(address: Address) -> None:
    first, _ = await address.shown()
    await address.rotate({"overlap_seconds": HOUR})
    second, _ = await address.shown()
    assert await address.answer(first) == (202, None)
    await address.rotate({"overlap_seconds": HOUR})
    third, _ = await address.shown()
    assert [await address.answer(url) for url in (first, second, third)] == [(410, "gone"), (202, None), (202, None)]
    await address.rotate()
    assert [await address.answer(url) for url in (second, third)] == [(410, "gone")] * 2


async def test_rotation_is_an_event_and_moves_the_etag(address: Address) -> None:
    path = await address.path()
    etag = (await address.client.get(path)).headers["etag"]
    response = await address.rotate({"overlap_seconds": 60}, **{"If-Match": etag})
    assert response.headers["etag"] != etag
    assert refused(await address.rotate(None, **{"If-Match": etag})) == (412, "version_conflict")
    (event, *_) = (await read(address.client, "/v1/audit"))["data"]
    assert (event["action"], event["details"]["overlap_seconds"]) == (EVENTS[address.kind], 60)


@pytest.mark.parametrize("overlap", [-1, 30 * 86400 + 1, "60", True, None])
async def test_overlaps_that_are_none_are_refused(app: FastAPI, client: httpx2.AsyncClient, overlap: Any) -> None:
    address = Address("flow", await make(app, client))
    before = await address.shown()
    response = await address.rotate({"overlap_seconds": overlap})
    assert refused(response) == (422, "validation_failed")
    assert response.json()["errors"][0]["pointer"] == "#/overlap_seconds"
    assert await address.shown() == before


async def test_refusals_at_an_old_url_are_noted(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client)
    address = Address("flow", made)
    old, _ = await address.shown()
    await address.rotate({"overlap_seconds": HOUR})
    await address.let_pass()
    assert await address.answer(old) == (410, "gone")
    assert await made.refusals() == ["gone: The instance of this webhook has been deleted, or its URL was changed"]


async def test_old_url_of_a_deleted_instance_is_gone_too(app: FastAPI, client: httpx2.AsyncClient) -> None:
    for kind in ("flow", "instance"):
        made = await make(app, client, TEXTS[kind], customer=await customer(client, kind))
        address = Address(kind, made)
        old, _ = await address.shown()
        await address.rotate({"overlap_seconds": HOUR})
        await client.delete(f"/v1/instances/{made.id}", params={"confirm_name": "Events"})
        assert await address.answer(old) == (410, "gone")


async def test_endpoint_that_is_not_there_cannot_be_rotated(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client)
    for kind in ("instance", "integration"):
        assert refused(await Address(kind, made).rotate()) == (409, "state_conflict")


async def test_own_url_of_a_flow_can_be_changed_behind_an_endpoint(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client)
    own = await made.url()
    await made.deploy(TEXTS["instance"])
    common = await made.url()
    address = Address("flow", made)
    assert (await address.rotate()).json()["webhook_url"] == common
    assert await address.answer(own) == (410, "gone")
    assert await address.answer(common) == (202, None)
