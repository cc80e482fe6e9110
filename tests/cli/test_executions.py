"""`flowgraft executions`."""

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cli.conftest import make_shop
from tests.cli.terminal import Cli, Shop
from tests.fixtures.stack import ADMIN_KEY, Stack

Json = dict[str, Any]

FAILING = """\
schema: flowgraft/v1
key: KEY
name: Failing KEY
config: [{page: Connect, fields: [{key: service, type: connection, connection: http/bearer}]}]
flows:
  - key: fail
    trigger: {type: webhook}
    retry: {retries: 3, delay: 30m}
    steps: [{key: get, action: http.get, inputs: {url: "{{ trigger.body.id }}"}}]
"""

PARKING = FAILING.replace("retry: {retries: 3, delay: 30m}", "concurrency: {mode: sequential, when_failed: park}")


@pytest.fixture(scope="module")
def done(product: Stack, shop: Shop) -> Json:
    cli = Cli({"FLOWGRAFT_URL": product.url, "FLOWGRAFT_API_KEY": ADMIN_KEY})
    started = cli.json("flows", "test", shop.flow("greet"), "-p", "-", input='{"id": 5}')
    return dict(cli.json("executions", "watch", started["execution_id"], "--timeout", "30"))


@pytest.fixture(scope="module")
def failed(product: Stack, shop: Shop) -> Json:
    cli = Cli({"FLOWGRAFT_URL": product.url, "FLOWGRAFT_API_KEY": ADMIN_KEY})
    return cli.executed(shop.flow("refuse"), code=4)


def test_execution_is_shown(cli: Cli, done: Json) -> None:
    assert cli.json("executions", "get", done["id"])["status"] == "succeeded"
    rows = cli.rows("executions", "get", done["id"])
    assert ["status", "succeeded"] in rows
    assert ["flow.name", "Greet"] in rows


def test_executions_are_filtered(cli: Cli, shop: Shop, done: Json, failed: Json) -> None:
    def found(*words: str) -> set[str]:
        return {each["id"] for each in cli.json("executions", "list", "--instance-id", shop.id, *words)}

    assert {done["id"], failed["id"]} <= found()
    assert failed["id"] in found("--status", "failed", "--status", "canceled", "--is-test", "--trigger", "webhook")
    assert done["id"] not in found("--status", "failed")
    assert not {done["id"], failed["id"]} & found("--no-is-test")
    assert found("--tag", "order_id:1") == set()
    assert found("--replay-of", done["id"]) == set()
    assert failed["id"] in found("--flow-id", shop.flow("refuse"), "--originals-only", "--q", "Refused by")
    assert found("--started-after", "2100-01-01T00:00:00Z") == set()
    assert found("--started-before", "2000-01-01T00:00:00Z") == set()
    assert found("--min-duration-seconds", "3600") == set()
    assert done["id"] not in found("--unresolved")
    owners = ["--customer-id", shop.customer["id"], "--integration-id", shop.integration["id"]]
    assert done["id"] in found(*owners, "--version-id", shop.version["id"])
    assert "#/query/tag" in cli("executions", "list", "--tag", "odd", code=1).stderr


def test_executions_are_a_table(cli: Cli, shop: Shop, done: Json) -> None:
    header, *rows = cli.rows("executions", "list", "--flow-id", shop.flow("greet"))
    assert header[:5] == ["ID", "STATUS", "TRIGGER", "CUSTOMER", "INSTANCE"]
    assert "REASON" in header
    assert [done["id"], "succeeded", "webhook"] in [row[:3] for row in rows]


def test_steps_are_shown(cli: Cli, done: Json) -> None:
    assert [step["path"] for step in cli.json("executions", "steps", done["id"])] == ["say", "seen"]
    assert cli.rows("executions", "steps", done["id"])[0][:3] == ["PATH", "NAME", "COMPONENT"]


def test_output_of_a_step_is_whole(cli: Cli, done: Json) -> None:
    shown = cli.json("executions", "step-output", done["id"], "seen", "--attempt", "1")
    assert shown == cli.json("executions", "steps", done["id"])[1]["output"]
    cli("executions", "step-output", done["id"], "no.such", code=3)


def test_payload_is_shown_and_written_byte_for_byte(cli: Cli, done: Json, tmp_path: Path) -> None:
    assert json.loads(cli("executions", "payload", done["id"]).stdout)["body"] == {"id": 5}
    raw = cli("executions", "payload", done["id"], "--raw").stdout_bytes
    cli("executions", "payload", done["id"], "-f", str(tmp_path / "payload"))
    assert (tmp_path / "payload").read_bytes() == raw
    assert json.loads(raw) == {"id": 5}


def test_logs_are_shown_and_filtered(cli: Cli, done: Json) -> None:
    assert "Hello 5" in cli("executions", "logs", done["id"]).stdout
    assert cli.json("executions", "logs", done["id"], "--min-severity", "fatal") == []
    lines = cli.json("executions", "logs", done["id"], "--severity", "info", "--type", "execution")
    assert "Hello 5" in [line["message"] for line in lines]


def test_logs_are_followed_until_the_end(cli: Cli, done: Json) -> None:
    result = cli("executions", "logs", done["id"], "--follow", "--timeout", "30", "-o", "jsonl")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    assert len({line["id"] for line in lines}) == len(lines)
    assert "Hello 5" in [line["message"] for line in lines]


def test_execution_is_replayed(cli: Cli, done: Json) -> None:
    started = cli.json("executions", "replay", done["id"])
    assert cli.json("executions", "get", started["execution_id"])["replay_of"] == done["id"]
    again = cli.json("executions", "replay", done["id"], "--version", "original", "--wait", "--timeout", "30")
    assert (again["replay_of"], again["status"]) == (done["id"], "succeeded")


def test_replay_that_fails_has_its_own_exit_code(cli: Cli, failed: Json) -> None:
    words = ["executions", "replay", failed["id"], "--from-failed", "--wait", "--timeout", "30"]
    assert cli.json(*words, code=4)["replay_of"] == failed["id"]


def test_execution_is_canceled_and_watched(cli: Cli) -> None:
    shop = make_shop(cli)
    started = cli.json("flows", "test", shop.flow("dawdle"))["execution_id"]
    assert cli.json("executions", "cancel", started)["execution_id"] == started
    watched = cli("executions", "watch", started, "--timeout", "30", "-o", "json", code=4)
    assert json.loads(watched.stdout)["status"] == "canceled"
    assert f"{started} canceled" in watched.stderr


def test_execution_that_waits_is_changed(cli: Cli) -> None:
    shop = make_shop(cli, FAILING)
    started = cli.json("flows", "test", shop.flow("fail"), "-p", "-", input='{"id": 7}')["execution_id"]
    while cli.json("executions", "get", started)["status"] != "retrying":
        time.sleep(0.05)
    [listed] = cli.json("executions", "list", "--instance-id", shop.id, "--status", "retrying")
    assert (listed["attempt"], listed["max_attempts"], listed["next_attempt_at"] is not None) == (1, 4, True)
    words = ["--next-attempt-at", "2099-01-01T00:00:00Z"]
    assert "#/next_attempt_at" in cli("executions", "edit", started, *words, code=1).stderr
    changed = cli.json("executions", "edit", started, "--retries-left", "0", "--deployment", "current")
    assert (changed["attempt"], changed["max_attempts"]) == (1, 2)
    cli("executions", "edit", started, code=2)
    assert cli.json("executions", "retry-now", started)["status"] == "retrying"
    watched = cli("executions", "watch", started, "--timeout", "30", code=4)
    assert f"{started} failed, attempt 2 of 2" in watched.stderr
    cli("executions", "retry-now", started, code=1)


def test_one_that_its_queue_waits_for_is_set_free(cli: Cli) -> None:
    shop = make_shop(cli, PARKING)
    [url] = [flow["webhook_url"] for flow in cli.json("flows", "list", "--instance", shop.id)]
    first, second = (httpx2.post(url, json={}).json()["execution_id"] for _ in range(2))
    cli("executions", "watch", first, "--timeout", "30", code=4)
    [parked] = cli.json("executions", "list", "--instance-id", shop.id, "--parked")
    assert (parked["id"], parked["status"]) == (first, "failed")
    assert cli.json("executions", "get", second)["status"] == "queued"
    assert cli.json("executions", "unpark", first)["parked_until"] is None
    cli("executions", "watch", second, "--timeout", "30", code=4)
    cli("executions", "unpark", first, code=1)


def test_watching_what_is_not_there_is_not_found(cli: Cli) -> None:
    cli("executions", "watch", "exec_nothing", code=3)
