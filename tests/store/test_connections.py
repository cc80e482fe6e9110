from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from store.connections import DEPLOYMENT, ConnectionFilter, Connections, OAuthStates
from store.engine import Database, violated
from store.paging import Page
from store.tables import ConnectionRow, OAuthStateRow
from tests.factories import NOW, STAMPS, Deployed, an_id, customer, deployed, saved

SECOND = timedelta(seconds=1)


def connection(**given: Any) -> ConnectionRow:
    fresh = an_id("conn")
    usual = {"id": fresh, "kind": "http/bearer", "name": fresh, "owner": "organization", "status": "active"}
    return ConnectionRow(**STAMPS | usual | {"token_version": 0, "revision": 1} | given)


def own(of: Deployed, key: str, **given: Any) -> ConnectionRow:
    return connection(name=None, owner=None, instance_id=of.instance.id, customer_id=of.customer.id, key=key, **given)


async def a_deployed(database: Database) -> Deployed:
    async with database.transaction() as session:
        return await deployed(session)


async def test_lease_goes_to_one_until_it_ends(database: Database) -> None:
    row = connection()
    await saved(database, row)

    async def leased(owner: str, version: int, at: float) -> bool:
        async with database.transaction() as session:
            now = NOW + at * SECOND
            return await Connections(session).lease(row.id, version, owner, now, now + 20 * SECOND)

    assert await leased("one", version=0, at=0)
    assert not await leased("other", version=0, at=19)
    assert not await leased("other", version=1, at=30)
    assert await leased("other", version=0, at=20)
    async with database.transaction() as session:
        await Connections(session).release(row.id, "one", status="error")  # too late: it is the other's
    async with database.snapshot() as session:
        found = await session.get_one(ConnectionRow, row.id)
    assert (found.lease_owner, found.status) == ("other", "active")


async def test_change_is_for_the_version_that_was_seen(database: Database) -> None:
    row = connection()
    await saved(database, row)
    async with database.transaction() as session:
        connections = Connections(session)
        assert await connections.change(row.id, 0, token_version=1, tokens=b"new")
        assert not await connections.change(row.id, 0, token_version=1, tokens=b"late")
        assert not await connections.change("conn_gone", 0, status="error")
        found = await connections.get(row.id)
    assert found is not None
    assert (found.tokens, found.token_version) == (b"new", 1)


async def test_uses_are_counted_by_instance(database: Database) -> None:
    first, second, row, idle = await a_deployed(database), await a_deployed(database), connection(), connection()
    await saved(database, row, idle)
    async with database.transaction() as session:
        connections = Connections(session)
        await connections.use(first.instance.id, "shop", row.id)
        await connections.use(first.instance.id, "shop", row.id)
        await connections.deployed(first.instance.id, {"shop": row.id, "other": row.id})
        await connections.use(second.instance.id, "shop", row.id)
        assert await connections.used_by([row.id, idle.id]) == {row.id: 2}
        await connections.use(first.instance.id, "shop", None)
        assert await connections.used_by([row.id]) == {row.id: 2}
        await connections.deployed(first.instance.id, {})
        await connections.use(second.instance.id, "shop", idle.id)
        assert await connections.used_by([row.id, idle.id]) == {idle.id: 1}


async def test_connection_in_use_cannot_be_removed(database: Database) -> None:
    made, row = await a_deployed(database), connection()
    await saved(database, row)
    async with database.transaction() as session:
        await Connections(session).use(made.instance.id, "shop", row.id, DEPLOYMENT)
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            await Connections(session).delete(row.id)


async def test_errors_are_of_own_and_of_used_connections(database: Database) -> None:
    first, second, fine = await a_deployed(database), await a_deployed(database), await a_deployed(database)
    shared = connection(status="needs_reauth", error=None)
    await saved(database, shared, own(first, "shop", status="error", error="no"), own(fine, "shop", error="declined"))
    async with database.transaction() as session:
        await Connections(session).use(second.instance.id, "shop", shared.id)
        ids = [each.instance.id for each in (first, second, fine)]
        assert await Connections(session).errors(ids) == {first.instance.id: "no", second.instance.id: "needs_reauth"}
        assert await Connections(session).errors([fine.instance.id]) == {}


async def test_names_are_unique_per_owner(database: Database) -> None:
    owner = customer()
    await saved(database, owner, connection(name="Shop"))
    await saved(database, connection(name="Shop", owner=owner.id, customer_id=owner.id))
    with pytest.raises(IntegrityError) as caught:
        await saved(database, connection(name="Shop"))
    assert violated(caught.value) == "connections.owner,name"


async def test_list_has_reusable_ones_only(database: Database) -> None:
    made, shop, ledger = await a_deployed(database), connection(name="Shop API"), connection(name="Ledger", kind="x")
    await saved(database, shop, ledger, own(made, "shop"))

    async def found(**given: Any) -> list[str]:
        async with database.snapshot() as session:
            return [row.id for row in await Connections(session).list(ConnectionFilter(**given), Page(10))]

    assert await found() == [ledger.id, shop.id]
    assert await found(q="shop a") == [shop.id]
    assert await found(kinds=["x"]) == [ledger.id]
    assert await found(owners=[made.customer.id]) == []
    assert await found(statuses=["pending", "active"]) == [ledger.id, shop.id]


async def test_state_is_begun_once_and_taken_once(database: Database) -> None:
    row = connection()
    usual = {"connection_id": row.id, "principal": "bootstrap", "sealed": b"x"}
    state = OAuthStateRow(id="s1", expires_at=NOW + 600 * SECOND, **usual)
    late = OAuthStateRow(id="s2", expires_at=NOW, **usual)
    await saved(database, row, state, late)
    async with database.transaction() as session:
        states = OAuthStates(session)
        assert not await states.begin("s2", "h2", "b2", NOW)
        assert await states.begin("s1", "h1", "b1", NOW)
        assert not await states.begin("s1", "h3", "b3", NOW)
        begun = await states.by_state("h1")
        assert begun is not None
        assert (begun.id, begun.browser_hash) == ("s1", "b1")
        assert await states.take("s1")
        assert not await states.take("s1")
        await states.purge(NOW + SECOND)
        assert await states.get("s2") is None


async def test_another_value_mends_fixed_inputs_only(database: Database) -> None:
    made = await a_deployed(database)
    fixed = own(made, "shop", status="error", error="no")
    live = own(made, "crm", kind="http/oauth2", values=b"x", status="needs_reauth", error="gone")
    await saved(database, fixed, live)
    async with database.transaction() as session:
        for key in ("shop", "crm"):
            await Connections(session).forgive(made.instance.id, key)
        rows = await Connections(session).own(made.instance.id)
        assert {key: (row.status, row.error) for key, row in rows.items()} == {
            "shop": ("active", None),
            "crm": ("needs_reauth", "gone"),
        }
