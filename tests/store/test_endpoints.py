from typing import Any

from store.endpoints import Endpoints, Owner
from store.engine import Database
from tests import factories
from tests.factories import NOW

SHARED: dict[str, Any] = {"endpoint_mode": "shared_instance"}


async def test_tokens_lead_to_who_was_given_them(database: Database) -> None:
    async with database.transaction() as session:
        made = await factories.deployed(session, token="of-instance", previous_token="of-instance-before")
        made.integration.token, made.integration.previous_token = "of-integration", "of-integration-before"
        made.flow.previous_token, made.flow.previous_token_until = "of-flow-before", NOW
    owners = {
        made.flow.token: Owner("flow", made.flow.id),
        "of-flow-before": Owner("flow", made.flow.id),
        "of-instance": Owner("instance", made.instance.id),
        "of-instance-before": Owner("instance", made.instance.id),
        "of-integration": Owner("integration", made.integration.id),
        "of-integration-before": Owner("integration", made.integration.id),
        "of-nobody": None,
        "": None,
    }
    async with database.glance() as session:
        assert {token: await Endpoints(session).owner(token) for token in owners} == owners


async def test_instances_that_share_an_address_are_the_customers_own(database: Database) -> None:
    async with database.transaction() as session:
        made = await factories.deployed(session, **SHARED)
        made.customer.external_id = "a"
        others = [
            factories.instance(made.customer, made.version, deployment_id="dep", **SHARED),
            factories.instance(made.customer, made.version, **SHARED),
            factories.instance(made.customer, made.version, deployment_id="dep", deleting=True, **SHARED),
            factories.instance(made.customer, made.version, deployment_id="dep"),
        ]
        await factories.save(session, *others)
        stranger = await factories.deployed(session, **SHARED)
        stranger.customer.external_id = "b"
    async with database.snapshot() as session:
        found = await Endpoints(session).shared_with(made.integration.id, "a")
        assert [instance.id for instance, _ in found] == [others[0].id, made.instance.id]
        assert {customer.id for _, customer in found} == {made.customer.id}
        for integration_id, external_id in ((made.integration.id, "b"), (stranger.integration.id, "a"), ("", "a")):
            assert await Endpoints(session).shared_with(integration_id, external_id) == []


async def test_flow_by_key_is_an_active_one(database: Database) -> None:
    async with database.transaction() as session:
        made = await factories.deployed(session)
        await factories.save(session, factories.instance_flow(made.instance, "gone", active=False))
    async with database.snapshot() as session:
        found = await Endpoints(session).flow(made.instance.id, "hello")
        assert found is not None
        assert found.id == made.flow.id
        assert await Endpoints(session).flow(made.instance.id, "gone") is None
        assert await Endpoints(session).flow("inst_other", "hello") is None


async def test_instance_comes_with_its_customer(database: Database) -> None:
    async with database.transaction() as session:
        made = await factories.deployed(session)
    async with database.snapshot() as session:
        found = await Endpoints(session).instance(made.instance.id)
        assert found is not None
        assert (found[0].id, found[1].id) == (made.instance.id, made.customer.id)
        assert await Endpoints(session).instance("inst_other") is None
        assert (await Endpoints(session).integrations([made.integration.id])).keys() == {made.integration.id}
