"""`flowgraft events`."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx2

from tests.cli.terminal import Cli, Shop
from tests.cli.test_logs import deliver


def test_changes_are_followed(cli: Cli, own_shop: Shop) -> None:
    url = own_shop.flows["greet"]["webhook_url"]
    words = ["events", "follow", "--timeout", "6", "--instance-id", own_shop.id, "--kind", "execution"]
    with ThreadPoolExecutor(1) as elsewhere:
        delivered = elsewhere.submit(deliver, url, "late", 1.0)
        result = cli(*words, "-o", "jsonl")
        delivered.result()
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[-1]["event"] == "execution.succeeded"
    assert {event["instance_id"] for event in events} == {own_shop.id}


def test_execution_is_followed_to_its_end(cli: Cli, shop: Shop) -> None:
    started = httpx2.post(shop.flows["greet"]["webhook_url"], json={"id": 1}, trust_env=False).json()
    result = cli("events", "execution", started["execution_id"], "--timeout", "30", "-o", "jsonl")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert {event["path"] for event in events if event["event"] == "step"} == {"say", "seen"}
    assert (events[-1]["event"], events[-1]["status"]) == ("execution", "succeeded")


def test_server_that_is_not_there(cli: Cli) -> None:
    nowhere = cli.with_environment(FLOWGRAFT_URL="http://127.0.0.1:9")
    assert "cannot be reached" in nowhere("events", "follow", "--timeout", "5", code=1).stderr


def test_execution_that_is_not_there(cli: Cli) -> None:
    cli("events", "execution", "exec_none", code=3)
