import httpx2
import pytest
from fastapi import FastAPI

from tests.api.hooks.kit import BY_HEADER, FLOWS, Made, customer, definition, deliver, make, reached, refused
from tests.api.setup import Json, make_version, read

INSTANCE = definition(f"mode: instance_specific, {BY_HEADER}")
SHARED = definition(f"mode: shared_instance, {BY_HEADER}, customer: body.account")
CREATED = {"x-acme-flow": "created"}
DELETED = {"x-acme-flow": "deleted"}


async def shared_url(client: httpx2.AsyncClient, made: Made) -> str:
    integration = await read(client, f"/v1/integrations/{made.version['integration_id']}")
    assert integration["endpoint"]["mode"] == "shared_instance"
    return str(integration["endpoint"]["url"])


async def test_each_flow_has_its_own_url_by_default(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client)
    instance = await made.read()
    assert instance["endpoint"] == {"mode": "flow_specific", "url": None, "previous_url_until": None}
    assert len({await made.url("created"), await made.url("deleted")}) == 2
    for key in ("created", "deleted"):
        response = await deliver(client, await made.url(key), headers=DELETED)
        assert await reached(client, response) == (made.id, key)
    integration = await read(client, f"/v1/integrations/{made.version['integration_id']}")
    assert integration["endpoint"] is None


# One URL per instance


async def test_instance_endpoint_leads_to_the_flow_that_is_named(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, INSTANCE)
    endpoint = (await made.read())["endpoint"]
    assert endpoint["mode"] == "instance_specific"
    url = endpoint["url"]
    assert await made.deploy() == {"created": url, "deleted": url}
    assert (await made.url("created"), await made.url("setup")) == (url, "None")
    for key in ("created", "deleted"):
        response = await deliver(client, f"{url}/orders?a=1", headers={"X-Acme-Flow": key})
        assert await reached(client, response) == (made.id, key)
    payload = await read(client, f"/v1/executions/{response.json()['execution_id']}/payload")
    assert (payload["path"], payload["query"], payload["body"]) == ("/orders", {"a": "1"}, {"id": 1})


@pytest.mark.parametrize("headers", [{}, {"x-acme-flow": "setup"}, {"x-acme-flow": "CREATED"}])
async def test_flow_that_is_not_named_is_refused_and_noted(
    app: FastAPI, client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    made = await make(app, client, INSTANCE)
    response = await deliver(client, (await made.read())["endpoint"]["url"], headers=headers)
    assert refused(response) == (404, "not_found")
    detail = "headers.x-acme-flow of the request names no flow with a webhook"
    assert response.json()["detail"] == detail
    assert await made.refusals() == [f"not_found: {detail}"]


async def test_instance_endpoint_follows_the_methods_of_the_flow(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, INSTANCE)
    url = (await made.read())["endpoint"]["url"]
    assert (await client.get(url, headers=DELETED)).status_code == 202
    response = await client.get(url, headers=CREATED)
    assert refused(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST, PUT, PATCH, DELETE"


async def test_instance_endpoint_before_the_deploy_and_while_paused(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, INSTANCE, deployed=False)
    url = (await made.read())["endpoint"]["url"]
    assert await made.url() == url
    assert refused(await deliver(client, url, headers=CREATED)) == (409, "instance_not_deployed")
    await made.deploy()
    await client.post(f"/v1/instances/{made.id}/pause")
    assert refused(await deliver(client, url, headers=CREATED)) == (409, "instance_paused")
    assert refused(await deliver(client, url)) == (404, "not_found")
    codes = [message.partition(":")[0] for message in await made.refusals()]
    assert codes == ["not_found", "instance_paused", "instance_not_deployed"]


async def test_two_instances_have_two_endpoints(app: FastAPI, client: httpx2.AsyncClient) -> None:
    first = await make(app, client, INSTANCE)
    second = await make(app, client, version=first.version, customer=await customer(client, "b"))
    for made in (first, second):
        response = await deliver(client, (await made.read())["endpoint"]["url"], headers=CREATED)
        assert await reached(client, response) == (made.id, "created")


async def test_urls_outlive_a_change_of_mode_and_back(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client)
    own = {key: await made.url(key) for key in ("created", "deleted")}
    assert set((await made.deploy(INSTANCE)).values()) == {(await made.read())["endpoint"]["url"]}
    common = (await made.read())["endpoint"]["url"]
    for key, url in own.items():
        assert await reached(client, await deliver(client, url)) == (made.id, key)
    await made.deploy(definition(f"mode: instance_specific, {BY_HEADER}") + "# again\n")
    assert (await made.read())["endpoint"]["url"] == common

    assert await made.deploy(definition() + "# back\n") == own
    assert (await made.read())["endpoint"] == {"mode": "flow_specific", "url": None, "previous_url_until": None}
    response = await deliver(client, common, headers=CREATED)
    assert refused(response) == (404, "not_found")
    assert response.json()["detail"] == "The deployed version does not say where a request names its flow"


async def test_endpoint_of_a_version_that_is_only_chosen_is_not_shown(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client)
    own = await made.url()
    version = await make_version(client, INSTANCE)
    await client.patch(f"/v1/instances/{made.id}", json={"version_id": version["id"]})
    assert ((await made.read())["endpoint"]["mode"], await made.url()) == ("flow_specific", own)


async def test_only_flow_of_an_instance_endpoint_needs_no_name(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, definition("mode: instance_specific", FLOWS.splitlines()[0] + "\n"))
    assert await reached(client, await deliver(client, await made.url())) == (made.id, "created")


# One URL for all customers


async def test_shared_endpoint_leads_to_the_customer_and_flow_that_are_named(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    first = await make(app, client, SHARED, customer=await customer(client, "a"))
    second = await make(app, client, version=first.version, customer=await customer(client, "4711"))
    url = await shared_url(client, first)
    for made in (first, second):
        instance = await made.read()
        assert (instance["endpoint"]["mode"], instance["endpoint"]["url"]) == ("shared_instance", url)
        assert await made.deploy() == {"created": url, "deleted": url}
        assert await made.url() == url
    for made, account in ((first, "a"), (second, "4711"), (second, 4711)):
        response = await deliver(client, url, json={"account": account}, headers=DELETED)
        assert await reached(client, response) == (made.id, "deleted")


async def test_nobody_learns_who_is_a_customer(app: FastAPI, client: httpx2.AsyncClient) -> None:
    known = await make(app, client, SHARED, customer=await customer(client, "known"))
    undeployed = await make(
        app, client, version=known.version, customer=await customer(client, "undeployed"), deployed=False
    )
    leaving = await make(app, client, version=known.version, customer=await customer(client, "leaving"))
    await client.delete(f"/v1/instances/{leaving.id}", params={"confirm_name": "Events"})
    await customer(client, "without")
    other = await make(
        app, client, definition().replace("key: events", "key: other"), customer=await customer(client, "other")
    )
    url = await shared_url(client, known)
    answers = []
    for body in (
        {"account": name} for name in ("unknown", "undeployed", "leaving", "without", "other", "", None, ["known"])
    ):
        response = await deliver(client, url, json=body, headers=CREATED)
        answers.append({name: value for name, value in response.json().items() if name != "request_id"})
    answers.append(
        {n: v for n, v in (await deliver(client, url, content=b"\xff", json=None)).json().items() if n != "request_id"}
    )
    assert [answer["status"] for answer in answers] == [404] * 9
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["detail"] == "body.account of the request names no customer who has this integration"
    for made in (known, undeployed, other):
        assert await made.refusals() == []


async def test_shared_endpoint_notes_an_unknown_flow_with_the_customers_instance(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    made = await make(app, client, SHARED, customer=await customer(client, "a"))
    url = await shared_url(client, made)
    response = await deliver(client, url, json={"account": "a"})
    assert refused(response) == (404, "not_found")
    assert response.json()["detail"] == "headers.x-acme-flow of the request names no flow with a webhook"
    assert await made.refusals() == [f"not_found: {response.json()['detail']}"]
    await client.post(f"/v1/instances/{made.id}/pause")
    assert refused(await deliver(client, url, json={"account": "a"}, headers=CREATED)) == (409, "instance_paused")


async def test_instances_that_a_flow_tells_apart_share_a_customer(app: FastAPI, client: httpx2.AsyncClient) -> None:
    owner = await customer(client, "a")
    both = await make(app, client, SHARED, customer=owner)
    url = await shared_url(client, both)
    only = definition(f"mode: shared_instance, {BY_HEADER}, customer: body.account", FLOWS.splitlines()[1] + "\n")
    one = await make(app, client, only, customer=owner)
    response = await deliver(client, url, json={"account": "a"}, headers=CREATED)
    assert await reached(client, response) == (both.id, "created")
    response = await deliver(client, url, json={"account": "a"}, headers=DELETED)
    assert refused(response) == (409, "ambiguous")
    for made in (both, one):
        assert await made.refusals() == ["ambiguous: Several instances of this customer take such a request"]


async def test_instances_that_a_key_tells_apart_share_a_customer(app: FastAPI, client: httpx2.AsyncClient) -> None:
    flows = "  - {key: created, trigger: {type: webhook, security: {api_key: required}}, steps: []}\n"
    owner = await customer(client, "a")
    first = await make(app, client, definition("mode: shared_instance, customer: query.account", flows), customer=owner)
    second = await make(app, client, version=first.version, customer=owner)
    url = f"{await shared_url(client, first)}?account=a"
    assert refused(await deliver(client, url)) == (401, "unauthenticated")
    for made in (first, second):
        flow = await made.flow()
        key = (await client.post(f"/v1/flows/{flow['id']}/api_keys")).json()["key"]
        assert await reached(client, await deliver(client, url, headers={"Api-Key": key})) == (made.id, "created")


async def test_instance_on_an_earlier_version_is_not_reached_at_the_shared_endpoint(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    earlier = await make(app, client, customer=await customer(client, "a"))
    await make_version(client, SHARED)
    url = await shared_url(client, earlier)
    response = await deliver(client, url, json={"account": "a"}, headers=CREATED)
    assert refused(response) == (404, "not_found")
    assert (await earlier.read())["endpoint"]["mode"] == "flow_specific"


async def test_newest_shared_version_says_where_the_customer_stands(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, SHARED, customer=await customer(client, "a"))
    url = await shared_url(client, made)
    await make_version(client, SHARED.replace("body.account", "query.tenant"))
    assert await shared_url(client, made) == url
    response = await deliver(client, f"{url}?tenant=a", headers=CREATED)
    assert await reached(client, response) == (made.id, "created")
    await make_version(client, definition() + "# last\n")
    assert await shared_url(client, made) == url
    assert (await deliver(client, f"{url}?tenant=a", headers=CREATED)).status_code == 202


# What is the same in all modes


@pytest.mark.parametrize("text", [definition(), INSTANCE, SHARED])
async def test_duplicates_are_known_by_flow(app: FastAPI, client: httpx2.AsyncClient, text: str) -> None:
    made = await make(app, client, text, customer=await customer(client, "a"))
    answers: list[Json] = []
    for key in ("created", "created", "deleted"):
        headers = {"x-acme-flow": key, "Idempotency-Key": "one"}
        response = await deliver(client, await made.url(key), json={"account": "a"}, headers=headers)
        answers.append(response.json())
    assert [answer["duplicate"] for answer in answers] == [False, True, False]
    assert answers[0]["execution_id"] == answers[1]["execution_id"] != answers[2]["execution_id"]


@pytest.mark.parametrize("text", [definition(), INSTANCE, SHARED])
async def test_too_large_is_said_before_who_it_is_for(app: FastAPI, client: httpx2.AsyncClient, text: str) -> None:
    made = await make(app, client, text)
    response = await deliver(client, await made.url(), content=bytes(6 * 1024 * 1024 + 1), json=None)
    assert refused(response) == (413, "payload_too_large")


@pytest.mark.parametrize("text", [definition(), INSTANCE])
async def test_deleted_instance_is_gone_at_all_its_addresses(
    app: FastAPI, client: httpx2.AsyncClient, text: str
) -> None:
    made = await make(app, client, text)
    url = await made.url()
    assert (await deliver(client, url, headers=CREATED)).status_code == 202
    await client.delete(f"/v1/instances/{made.id}", params={"confirm_name": "Events"})
    assert refused(await deliver(client, url, headers=CREATED)) == (410, "gone")
    assert refused(await deliver(client, url, content=bytes(6 * 1024 * 1024 + 1), json=None)) == (410, "gone")


async def test_token_that_nobody_has(client: httpx2.AsyncClient) -> None:
    assert refused(await deliver(client, "/hooks/nobody")) == (404, "not_found")
