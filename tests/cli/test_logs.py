"""`flowgraft logs`."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2

from tests.cli.terminal import Cli, Shop


def test_lines_are_searched(cli: Cli, shop: Shop) -> None:
    cli("flows", "test", shop.flow("greet"), "-p", "-", "--wait", "--timeout", "30", input='{"id": "needle"}')
    header, row = cli.rows("logs", "search", "hello NEEDLE", "--instance-id", shop.id)
    assert header == ["TIMESTAMP", "SEVERITY", "EXECUTION", "ID", "STEP", "MESSAGE"]
    assert row[0].endswith("Z")
    assert row[-2:] == ["Hello", "needle"]


def test_lines_are_filtered(cli: Cli, shop: Shop) -> None:
    execution = cli.executed(shop.flow("refuse"), code=4)
    here = ["--customer-id", shop.customer["id"], "--flow-id", shop.flow("refuse"), "--execution-id", execution["id"]]
    lines = cli.json("logs", "search", *here, "--severity", "warn", "--type", "execution")
    assert "Refusing" in [line["message"] for line in lines]
    assert cli.json("logs", "search", *here, "--after", "2100-01-01T00:00:00Z") == []
    assert cli.json("logs", "search", *here, "--before", "2000-01-01T00:00:00Z") == []
    assert cli.json("logs", "search", *here, "--min-severity", "fatal") == []


def test_lines_are_followed_as_they_come(cli: Cli, own_shop: Shop) -> None:
    url = own_shop.flows["greet"]["webhook_url"]
    for order in ("earlier", "early"):
        deliver(url, order)
        cli("executions", "watch", cli.json("executions", "list", "--instance-id", own_shop.id)[0]["id"])
    words = ["logs", "search", "hello", "-f", "--timeout", "4", "--instance-id", own_shop.id, "--limit", "1"]
    with ThreadPoolExecutor(1) as elsewhere:
        delivered = elsewhere.submit(deliver, url, "late", 0.5)
        result = cli(*words, "-o", "jsonl")
        delivered.result()
    assert [json.loads(line)["message"] for line in result.stdout.splitlines()] == ["Hello early", "Hello late"]


def test_lines_are_listed_around_one(cli: Cli, shop: Shop) -> None:
    execution = cli.executed(shop.flow("refuse"), code=4)
    here = ["--execution-id", execution["id"]]
    lines = cli.json("logs", "list", *here, "--order", "asc")
    assert lines[0]["message"] == "Refusing"
    assert cli.json("logs", "list", "--surrounding", lines[0]["id"]) == lines[::-1]
    assert cli.json("logs", "list", *here, "--q", "REFUSING", "--step", "say", "--is-test") == lines[:1]
    assert cli.json("logs", "list", *here, "--no-is-test") == []


def test_lines_are_streamed_as_they_come(cli: Cli, own_shop: Shop) -> None:
    url = own_shop.flows["greet"]["webhook_url"]
    deliver(url, "early")
    cli("executions", "watch", cli.json("executions", "list", "--instance-id", own_shop.id)[0]["id"])
    words = ["logs", "follow", "--timeout", "5", "--instance-id", own_shop.id, "--type", "execution", "--lines", "1"]
    with ThreadPoolExecutor(1) as elsewhere:
        delivered = elsewhere.submit(deliver, url, "late", 0.5)
        result = cli(*words, "-o", "jsonl")
        delivered.result()
    assert [json.loads(line)["message"] for line in result.stdout.splitlines()] == ["Hello early", "Hello late"]


def deliver(url: str, order: str, after: float = 0.0) -> None:
    time.sleep(after)
    httpx2.post(url, json={"id": order}, trust_env=False).raise_for_status()
