"""Executions that wait to be called back."""

import asyncio
import json

import pytest

from tests.e2e.client import Client, Json
from tests.e2e.target import Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASK = (
    '{key: ask, action: http.post, inputs: {url: "{{ config.endpoint }}/ask", '
    'json: {reply_to: "{{ steps.answer.callback_url }}"}}}'
)
WAITS = """\
schema: flowgraft/v1
key: KEY
name: Waits KEY
config:
  - {page: Connect, fields: [{key: endpoint, type: string}]}
flows:
  - key: approve
    trigger: {type: webhook}
    timeout: 1m
    steps:
      - ASK
      - {key: answer, wait: {timeout: 1h}}
      - {key: tell, action: http.post, inputs: {url: "{{ config.endpoint }}/told", json: "{{ steps.answer.body }}"}}
  - key: impatient
    trigger: {type: webhook}
    steps:
      - ASK
      - {key: answer, wait: {timeout: 500ms}, on_error: {then: continue}}
      - {key: tell, action: http.post, inputs: {url: "{{ config.endpoint }}/told", json: "{{ steps.answer }}"}}
      - {key: nap, sleep: 1h}
  - key: rounds
    trigger: {type: webhook}
    steps:
      - key: each
        loop: {times: 2}
        steps:
          - ASK
          - {key: answer, wait: {timeout: 1h}}
""".replace("ASK", ASK)


async def asked(spot: Spot, times: int = 1) -> str:
    """The address that the target was told last."""
    await spot.until_called("/ask", times)
    return str(json.loads(spot.called("/ask")[-1].body)["reply_to"])


async def waits(client: Client, execution_id: str) -> Json:
    async with asyncio.timeout(30):
        while (execution := await client.execution(execution_id))["reason"] != "waiting_callback":
            await asyncio.sleep(0.05)
    return execution


async def test_execution_goes_on_with_what_it_is_called_back_with(client: Client, spot: Spot) -> None:
    made = await client.provision(WAITS.replace("timeout: 1m", "timeout: 5s"), endpoint=spot.url)
    execution_id = await client.delivered(made.url("approve"))
    address = await asked(spot)
    execution = await waits(client, execution_id)
    assert execution["status"] == "running"
    await asyncio.sleep(5)  # longer than the flow may take
    answer = await client.call("POST", address, expect=202, json={"approved": True})
    assert answer == {"execution_id": execution_id}
    execution = await client.wait_for(execution_id, "succeeded")
    assert [call.body for call in spot.called("/told")] == [b'{"approved":true}']
    step = execution["steps"][1]
    assert (step["key"], step["output"]["body"], execution["reason"]) == ("answer", {"approved": True}, None)
    assert (await client.call("POST", address, expect=410, json={}))["code"] == "gone"


async def test_callback_that_comes_early_is_kept_and_counts_once(stack: Stack, client: Client, spot: Spot) -> None:
    spot.hold("/ask")
    made = await client.provision(WAITS, endpoint=spot.url)
    execution_id = await client.delivered(made.url("approve"))
    address = await asked(spot)
    stack.temporal.kill()  # it is taken all the same
    await client.call("POST", address, expect=202, json={"n": 1})
    assert (await client.call("POST", address, expect=409, json={"n": 2}))["code"] == "already_called"
    spot.release()
    await stack.heal()
    await client.wait_for(execution_id, "succeeded", timeout=60)
    assert [call.body for call in spot.called("/told")] == [b'{"n":1}']


async def test_killed_worker_does_not_lose_the_wait(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(WAITS, endpoint=spot.url)
    execution_id = await client.delivered(made.url("approve"))
    address = await asked(spot)
    await waits(client, execution_id)
    stack.kill_workers()
    await client.call("POST", address, expect=202, json={"n": 1})
    stack.start_workers()
    await client.wait_for(execution_id, "succeeded", timeout=60)


async def test_wait_ends_and_then_nobody_is_heard(client: Client, spot: Spot) -> None:
    made = await client.provision(WAITS, endpoint=spot.url)
    execution_id = await client.delivered(made.url("impatient"))
    address = await asked(spot)
    await spot.until_called("/told")
    assert b"callback_timeout" in spot.called("/told")[0].body
    assert (await client.call("POST", address, expect=410, json={}))["code"] == "gone"
    await client.call("POST", f"/v1/executions/{execution_id}/cancel", expect=202)


async def test_each_round_of_a_loop_has_an_address_of_its_own(client: Client, spot: Spot) -> None:
    made = await client.provision(WAITS, endpoint=spot.url)
    execution_id = await client.delivered(made.url("rounds"))
    first = await asked(spot)
    await client.call("POST", first, expect=202, json=1)
    second = await asked(spot, times=2)
    assert second != first
    await client.call("POST", second, expect=202, json=2)
    execution = await client.wait_for(execution_id, "succeeded")
    answers = [step["output"]["body"] for step in execution["steps"] if step["key"] == "answer"]
    assert answers == [1, 2]


async def test_forged_addresses_are_not_found(client: Client, spot: Spot) -> None:
    made = await client.provision(WAITS, endpoint=spot.url)
    execution_id = await client.delivered(made.url("approve"))
    address = await asked(spot)
    head, _, signature = address.rpartition(".")
    forged = f"{head}.{'0' * len(signature)}"
    for wrong in (forged, address[:-1], f"{address}0", head, address.replace(".1.", ".2.")):
        await client.call("POST", wrong, expect=404, json={})
    await client.call("POST", address, expect=202, json={})
    await client.wait_for(execution_id, "succeeded")
