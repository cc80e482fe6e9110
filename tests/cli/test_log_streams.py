"""`flowgraft log-streams`, with lines that arrive."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.terminal import Cli, Json, Shop, fresh

KEY = "key-of-the-target"


class Target:
    """Takes what comes, with the right key."""

    def __init__(self) -> None:
        self.lines: list[Json] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                right = self.headers.get("X-Key") == KEY
                if right:
                    target.lines += json.loads(body)
                self.send_response(202 if right else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"

    def until(self, message: str) -> Json:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for line in self.lines:
                if line["message"] == message:
                    return line
            time.sleep(0.1)
        raise AssertionError(f"{message} has not come: {self.lines}")


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    thread = threading.Thread(target=target.server.serve_forever, daemon=True)
    thread.start()
    yield target
    target.server.shutdown()
    target.server.server_close()
    thread.join()


def test_lines_are_sent_on(cli: Cli, own_shop: Shop, target: Target) -> None:
    name = fresh("stream")
    owner = ["--instance-id", own_shop.id, "--type", "execution"]
    stream = cli.json("log-streams", "create", target.url, "--name", name, "-H", f"X-Key: {KEY}", *owner)
    assert stream["header_names"] == ["X-Key"]
    assert cli.json("log-streams", "test", stream["id"])["ok"] is True
    cli("flows", "test", own_shop.flow("greet"), "-p", "-", "--wait", "--timeout", "30", input='{"id": "sent"}')
    line = target.until("Hello sent")
    assert (line["instance_name"], line["flow_name"], line["is_test"]) == (own_shop.name, "Greet", "true")
    assert cli.json("log-streams", "get", stream["id"])["state"] == "sending"
    assert stream["id"] in [each["id"] for each in cli.json("log-streams", "list", "--instance-id", own_shop.id)]
    cli("log-streams", "delete", stream["id"])
    cli("log-streams", "get", stream["id"], code=3)


def test_stream_is_mended(cli: Cli, own_shop: Shop, target: Target, tmp_path: Path) -> None:
    """Nothing is lost while its key is wrong."""
    template = tmp_path / "template.json"
    template.write_text('{\n  "message": "{{ message }}"\n}')
    words = ["--name", fresh("stream"), "--template", f"@{template}", "--instance-id", own_shop.id]
    stream = cli.json("log-streams", "create", target.url, *words, "-H", "X-Key: wrong", "--severity", "info")
    refused = cli("log-streams", "test", stream["id"], "-o", "json", code=1)
    assert json.loads(refused.stdout)["error"]["code"] == "http_403"
    cli("flows", "test", own_shop.flow("greet"), "-p", "-", "--wait", "--timeout", "30", input='{"id": "late"}')
    deadline = time.monotonic() + 30
    while not (failing := cli.json("log-streams", "list", "--failing", "--instance-id", own_shop.id)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert failing[0]["last_error"]["code"] == "http_403"
    changed = cli.json("log-streams", "update", stream["id"], "-H", f"X-Key: {KEY}", "--batch-size", "5")
    assert (changed["batch_size"], changed["failures"]) == (5, 0)
    target.until("Hello late")
    assert cli.json("log-streams", "update", stream["id"], "--disable", "--skip-to-now")["state"] == "disabled"
    cli("log-streams", "delete", stream["id"])
