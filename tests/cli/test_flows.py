"""`flowgraft flows`: showing, testing, listening, keys."""

import json
import threading
from pathlib import Path

import httpx2
import pytest

from tests.cli.terminal import Cli, Shop


def test_flows_are_shown(cli: Cli, shop: Shop) -> None:
    header, *rows = cli.rows("flows", "list", "--instance", shop.id)
    assert header[:4] == ["ID", "KEY", "NAME", "TRIGGER"]
    assert [row[1] for row in rows] == ["greet", "refuse", "dawdle"]
    assert cli.json("flows", "list", shop.id) == cli.json("flows", "list", "-i", shop.id)
    assert cli.json("flows", "get", shop.flow("greet"))["key"] == "greet"


def test_flow_is_tested_and_waited_for(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"id": 42}')
    execution = cli.executed(shop.flow("greet"), "-p", str(payload), "-H", "X-Source: tests")
    assert (execution["status"], execution["is_test"]) == ("succeeded", True)
    sent = cli.json("executions", "payload", execution["id"])
    assert (sent["body"], sent["headers"]["x-source"]) == ({"id": 42}, "tests")


def test_flow_is_tested_without_waiting(cli: Cli, shop: Shop) -> None:
    started = cli.json("flows", "test", shop.flow("greet"))
    assert started["execution_id"].startswith("exec_")
    assert started["url"].endswith(started["execution_id"])


def test_flow_is_tested_with_text(cli: Cli, shop: Shop) -> None:
    words = ["flows", "test", shop.flow("greet"), "-p", "-", "-c", "text/csv"]
    started = cli.json(*words, input="a;b")
    sent = cli.json("executions", "payload", started["execution_id"])
    assert (sent["content_type"], sent["body"]) == ("text/csv", "a;b")


def test_test_that_fails_has_its_own_exit_code(cli: Cli, shop: Shop) -> None:
    result = cli("flows", "test", shop.flow("refuse"), "--wait", "--timeout", "30", "-o", "json", code=4)
    assert json.loads(result.stdout)["error"]["message"] == "Refused by the shop"
    assert "failed" in result.stderr


def test_tail_prints_the_lines(cli: Cli, shop: Shop) -> None:
    result = cli("flows", "test", shop.flow("greet"), "-p", "-", "--tail", "--timeout", "30", input='{"id": 9}')
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["TIMESTAMP", "SEVERITY", "STEP", "MESSAGE"]
    assert sum("Hello 9" in line for line in lines) == 1
    assert "succeeded" in result.stderr


def test_tail_of_a_failure_has_its_own_exit_code(cli: Cli, shop: Shop) -> None:
    result = cli("flows", "test", shop.flow("refuse"), "-t", "--timeout", "30", "-o", "jsonl", code=4)
    messages = [json.loads(line)["message"] for line in result.stdout.splitlines()]
    assert "Refusing" in messages


def test_waiting_has_an_end(cli: Cli, shop: Shop) -> None:
    result = cli("flows", "test", shop.flow("dawdle"), "--wait", "--timeout", "0.3", code=1)
    assert "has not ended within 0.3 s" in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [(["-p", "-"], "not JSON"), (["-p", "nowhere.json"], "cannot be read"), (["-H", "odd"], "name:value")],
)
def test_test_that_cannot_be_sent_is_a_usage_error(cli: Cli, shop: Shop, words: list[str], says: str) -> None:
    assert says in cli("flows", "test", shop.flow("greet"), *words, input="{", code=2).stderr


def test_url_is_rotated(cli: Cli, own_shop: Shop) -> None:
    before = own_shop.flows["greet"]["webhook_url"]
    assert cli.json("flows", "rotate-url", own_shop.flow("greet"))["webhook_url"] != before


def test_old_url_goes_on_for_the_overlap(cli: Cli, own_shop: Shop) -> None:
    flow = own_shop.flow("greet")
    assert cli.json("flows", "rotate-url", flow, "--overlap", "1h")["previous_url_until"] is not None
    assert any(row[0] == "previous_url_until" for row in cli.rows("flows", "get", flow))
    assert "a duration is" in cli("flows", "rotate-url", flow, "--overlap", "soon", code=2).stderr


def test_keys_are_made_once_and_deleted(cli: Cli, shop: Shop) -> None:
    flow = shop.flow("greet")
    made = cli.json("flows", "keys", "create", flow, "--name", "The shop's server")
    assert made["key"]
    listing = cli("flows", "keys", "list", flow)
    assert made["id"] in listing.stdout
    assert made["key"] not in listing.stdout
    assert made["id"] in cli("flows", "keys", "delete", flow, made["id"]).stderr
    assert cli.json("flows", "keys", "list", flow) == []
    cli("flows", "keys", "delete", flow, made["id"], code=3)


def test_next_delivery_is_kept_byte_for_byte(cli: Cli, own_shop: Shop, tmp_path: Path) -> None:
    flow, file = own_shop.flow("greet"), tmp_path / "body.bin"
    url = cli.json("flows", "get", flow)["webhook_url"]
    httpx2.post(url, content=b"earlier", trust_env=False)
    headers = {"X-Shop": "north", "Content-Type": "application/octet-stream"}

    def send() -> None:
        httpx2.post(f"{url}/a?b=c", content=b"\x00raw", headers=headers, trust_env=False)

    sending = threading.Timer(1.5, send)
    sending.start()
    kept = cli.json("flows", "listen", flow, "--file", str(file), "--timeout", "30")
    sending.join()
    assert (file.read_bytes(), kept["size"]) == (b"\x00raw", 4)
    said = json.loads((tmp_path / "body.bin.headers.json").read_text())
    assert (said["method"], said["path"], said["query"]) == ("POST", "/a", {"b": "c"})
    assert said["headers"]["x-shop"] == "north"


def test_listening_ends(cli: Cli, own_shop: Shop, tmp_path: Path) -> None:
    result = cli("flows", "listen", own_shop.flow("greet"), "-f", str(tmp_path / "x"), "--timeout", "0", code=1)
    assert "Nothing came" in result.stderr
