"""Flows that call flows: what comes back, who is whose, and what kills and cancels do."""

import asyncio

import pytest

from tests.e2e.client import Client
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLS = """\
schema: flowgraft/v1
key: KEY
name: Calls KEY
config:
  - {page: Connect, fields: [{key: endpoint, type: string}]}
flows:
  - key: caller
    trigger: {type: webhook}
    steps:
      - {key: ask, call: {flow: called, inputs: {order: "{{ trigger.body.id }}"}}}
      - {key: tell, action: http.post, inputs: {url: "{{ config.endpoint }}/told", json: "{{ steps.ask }}"}}
  - key: careless
    trigger: {type: webhook}
    steps:
      - {key: ask, call: {flow: called, inputs: {order: 1}}, on_error: {then: continue}}
      - {key: tell, action: http.post, inputs: {url: "{{ config.endpoint }}/told", json: "{{ steps.ask }}"}}
  - key: called
    trigger: {type: flow}
    steps:
      - {key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/called", json: "{{ trigger.body }}"}}
      - {key: answer, stop: {body: {paid: "{{ trigger.body.order }}"}}}
  - key: fan
    trigger: {type: webhook}
    steps:
      - key: each
        loop: {over: "{{ trigger.body.lines }}"}
        steps: [{key: start, call: {flow: two, inputs: {line: "{{ loop.item }}"}, wait: false}}]
  - key: two
    trigger: {type: flow}
    concurrency: {mode: throttled, limit: 2}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/two", json: "{{ trigger.body }}"}}]
  - key: page
    trigger: {type: webhook}
    steps:
      - {key: get, action: http.post, inputs: {url: "{{ config.endpoint }}/page", json: "{{ trigger.body }}"}}
      - key: more
        branch:
          - name: "yes"
            when: {exists: "{{ steps.get.body.next }}"}
            steps: [{key: again, call: {flow: page, inputs: {cursor: "{{ steps.get.body.next }}"}, wait: false}}]
  - key: deep
    trigger: {type: webhook}
    steps: [{key: down, call: {flow: deep, inputs: {}}}]
"""


async def test_caller_gets_what_the_called_flow_came_to(client: Client, spot: Spot) -> None:
    made = await client.provision(CALLS, endpoint=spot.url)
    execution = await client.wait_for(await client.delivered(made.url("caller"), json={"id": 7}), "succeeded")
    assert [call.body for call in spot.called("/told")] == [b'{"paid":7}']
    (invoked,) = execution["invoked"]
    called = await client.execution(invoked["id"])
    assert (called["status"], called["trigger"], called["flow"]["key"]) == ("succeeded", "flow", "called")
    assert called["invoked_by"] == execution["id"]
    payload = await client.call("GET", f"/v1/executions/{called['id']}/payload")
    assert payload["body"] == {"order": 7}
    ask = execution["steps"][0]
    assert (ask["inputs"], ask["output"]) == ({"flow": "called", "inputs": {"order": 7}}, {"paid": 7})


async def test_caller_gets_it_although_their_instance_keeps_no_values(client: Client, spot: Spot) -> None:
    made = await client.provision(CALLS, endpoint=spot.url)
    await client.call("PATCH", f"/v1/instances/{made.id}", json={"step_outputs_disabled": True})
    execution = await client.wait_for(await client.delivered(made.url("caller"), json={"id": 9}), "succeeded")
    assert [call.body for call in spot.called("/told")] == [b'{"paid":9}']
    assert execution["steps"][0]["output"] is None


async def test_failure_of_the_called_flow_is_one_of_the_step(client: Client, spot: Spot) -> None:
    spot.script("/called", Answer(404))
    made = await client.provision(CALLS, endpoint=spot.url)
    execution = await client.wait_for(await client.delivered(made.url("caller"), json={"id": 7}), "failed")
    assert (execution["error"]["code"], execution["error"]["step"]) == ("called_flow_failed", "ask")
    assert "404" in execution["error"]["message"]
    await client.wait_for(await client.delivered(made.url("careless")), "succeeded")
    assert b"called_flow_failed" in spot.called("/told")[0].body


async def test_killed_worker_calls_nothing_twice(stack: Stack, client: Client, spot: Spot) -> None:
    spot.hold("/called")
    made = await client.provision(CALLS, endpoint=spot.url)
    execution_id = await client.delivered(made.url("caller"), json={"id": 7})
    await spot.until_called("/called")
    stack.kill_workers()
    spot.release()
    stack.start_workers()
    execution = await client.wait_for(execution_id, "succeeded", timeout=60)
    assert len(execution["invoked"]) == 1
    assert len({call.key for call in spot.called("/called")}) == 1
    assert len(spot.called("/told")) == 1


async def test_cancel_of_the_caller_cancels_whom_it_waits_for(client: Client, spot: Spot) -> None:
    spot.hold("/called")
    made = await client.provision(CALLS, endpoint=spot.url)
    execution_id = await client.delivered(made.url("caller"), json={"id": 7})
    await spot.until_called("/called")
    await client.call("POST", f"/v1/executions/{execution_id}/cancel", expect=202)
    execution = await client.wait_for(execution_id, "canceled")
    await client.wait_for(execution["invoked"][0]["id"], "canceled")


async def test_fan_out_runs_as_many_at_once_as_the_called_flow_allows(client: Client, spot: Spot) -> None:
    spot.hold("/two")
    made = await client.provision(CALLS, endpoint=spot.url)
    execution_id = await client.delivered(made.url("fan"), json={"lines": [1, 2, 3, 4, 5]})
    execution = await client.wait_for(execution_id, "succeeded")
    assert len(execution["invoked"]) == 5
    await spot.until_called("/two", times=2)
    await asyncio.sleep(0.5)
    assert len(spot.called("/two")) == 2
    spot.release()
    for each in execution["invoked"]:
        await client.wait_for(each["id"], "succeeded")
    assert sorted(call.body for call in spot.called("/two")) == [b'{"line":%d}' % n for n in range(1, 6)]


async def test_flow_goes_on_by_itself_from_a_cursor(client: Client, spot: Spot) -> None:
    """However many pages there are: it is no deeper for that."""
    pages = [Answer(body={"next": number}) for number in range(12)]
    spot.script("/page", *pages, Answer(body={}))
    made = await client.provision(CALLS, endpoint=spot.url)
    await client.delivered(made.url("page"), json={"cursor": None})
    await spot.until_called("/page", times=13)
    assert spot.calls[-1].body == b'{"cursor":11}'
    last = (await client.executions(flow_id=made.flows["page"]["id"]))[0]
    assert last["invoked_by"] is not None


async def test_calls_that_never_end_are_ended(client: Client, spot: Spot) -> None:
    made = await client.provision(CALLS, endpoint=spot.url)
    execution = await client.wait_for(await client.delivered(made.url("deep")), "failed", timeout=60)
    assert "call_too_deep" in execution["error"]["message"]
    assert len(await client.executions(flow_id=made.flows["deep"]["id"])) == 11
