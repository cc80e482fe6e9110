"""A configuration with a field of every type: asked for its options, drafted, deployed, seen by steps, fired once."""

from pathlib import Path

import pytest

from tests.e2e.client import Client, fresh
from tests.e2e.target import Answer, Spot

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLE = (Path(__file__).parents[2] / "examples" / "every-field.yaml").read_text(encoding="utf-8")
TOKEN = "canary-token-of-every-field"


async def test_every_field_reaches_the_steps(client: Client, spot: Spot) -> None:
    spot.script("/orders/1", Answer(body={"lines": [{"sku": "BOLT-8"}, {"sku": "NUT-8"}]}))
    integration = await client.integration(EXAMPLE.replace("key: every-field", f"key: {fresh('every')}"))
    await client.publish(integration["id"])
    made = await client.instance(await client.customer(), integration, config={"endpoint": spot.url})
    path = f"/v1/instances/{made['id']}"

    await client.call(
        "PUT", f"{path}/config/drafts/Connect", json={"values": {"shop": {"token": TOKEN}, "pin": "0815"}}
    )
    options = await client.call("GET", f"{path}/config/fields/article/options")
    assert [each["value"] for each in options["data"]] == ["BOLT-8", "NUT-8"]
    assert spot.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    await client.call("PUT", f"{path}/config/drafts/What", json={"values": {"article": "NUT-8", "tags": ["a"]}})
    await client.call("POST", f"{path}/config/drafts/apply")

    await client.deploy(made["id"])
    flows = await client.flows(made["id"])
    assert flows["nightly"]["schedule"] == {"cron": "0 3 * * *", "time_zone": "Europe/Berlin"}
    shown = await client.wait_for(await client.delivered(flows["show"]["webhook_url"]), "succeeded")
    (step,) = shown["steps"]
    assert step["output"] == {
        "region": "eu",
        "article": "NUT-8",
        "first_object": "orders",
        "sku_is_called": "ProductCode",
        "city": "Berlin",
        "tags": ["a"],
        "rate": 1.19,
        "since": "2026-01-01",
        "switch_at": "2026-03-01T11:00:00Z",
        "nightly": "0 3 * * *",
        "discount": 0.1,
    }


async def test_a_schedule_of_type_once_fires_once_for_ever(client: Client) -> None:
    integration = await client.integration(EXAMPLE.replace("key: every-field", f"key: {fresh('every')}"))
    await client.publish(integration["id"])
    made = await client.instance(await client.customer(), integration, config={"shop": {"token": TOKEN}})
    await client.deploy(made["id"])
    flow = (await client.flows(made["id"]))["import"]
    assert (flow["schedule"], flow["next_runs"]) == (None, [])
    (fired,) = await client.executions(flow_id=flow["id"])
    assert (await client.wait_for(fired["id"], "succeeded"))["trigger"] == "schedule"

    await client.deploy(made["id"])
    await client.configure(made["id"], {"import": {"type": "none"}})
    await client.deploy(made["id"])
    await client.configure(made["id"], {"import": {"type": "once", "time_zone": "Europe/Berlin"}})
    await client.deploy(made["id"])
    assert [each["id"] for each in await client.executions(flow_id=flow["id"])] == [fired["id"]]
