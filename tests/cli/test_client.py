"""Requests, pages and what an error says, against a server that answers by script."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from cli.client import Api, Problem, at, masked
from cli.failures import CommandFailed, ExitCode
from cli.profiles import Target

Answer = tuple[int, dict[str, str], Any]  # a body that is no text is sent as JSON


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[Api, list[str]]]:
    """An Api, and the addresses that it asks for."""
    asked: list[str] = []
    script = iter(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, body = next(script)
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with Api(Target(f"http://127.0.0.1:{server.server_port}", "some-key")) as api:
                yield api, asked
        finally:
            server.shutdown()
            thread.join()


def page(numbers: list[int], cursor: str | None) -> Answer:
    return 200, {}, {"data": [{"n": n} for n in numbers], "next_cursor": cursor, "has_more": cursor is not None}


def problem(status: int, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    return status, headers or {}, {"detail": "It is so.", "request_id": "req_1", "errors": []} | more


def test_pages_are_followed_with_the_same_query() -> None:
    with answering(page([1, 2], "c"), page([3], None)) as (api, asked):
        found = [
            item["n"]
            for each in api.pages("/v1/x", {"q": "a b", "label": ["l", "m"], "none": None})
            for item in each["data"]
        ]
    assert found == [1, 2, 3]
    query = "/v1/x?q=a+b&label=l&label=m&limit=100"
    assert [each.replace("%20", "+") for each in asked] == [query, f"{query}&cursor=c"]


@pytest.mark.parametrize(
    ("answer", "message", "code"),
    [
        (problem(409), "It is so.\nRequest id: req_1", ExitCode.FAILED),
        (problem(404), "It is so.\nRequest id: req_1", ExitCode.NOT_FOUND),
        (problem(429, {"Retry-After": "7"}), "It is so.\nTry again in 7 s.\nRequest id: req_1", ExitCode.FAILED),
        (
            problem(
                422,
                errors=[
                    {"pointer": "#/a", "detail": "wrong"},
                    {"pointer": "#", "detail": "odd", "line": 3, "column": 5},
                ],
            ),
            "It is so.\n- #/a: wrong\n- #: odd (line 3:5)\nRequest id: req_1",
            ExitCode.FAILED,
        ),
    ],
)
def test_problem_is_explained(answer: Answer, message: str, code: ExitCode) -> None:
    with answering(answer) as (api, _), pytest.raises(Problem) as raised:
        api.get("/v1/x")
    assert (raised.value.message, raised.value.code) == (message, code)


@pytest.mark.parametrize("body", ["<html>", [], {}, {"detail": "x", "errors": [5]}])
def test_error_of_another_server_is_recognised(body: Any) -> None:
    with answering((502, {}, body)) as (api, _), pytest.raises(Problem, match="answered 502, not as Flowgraft would"):
        api.get("/v1/x")


@pytest.mark.parametrize("body", ["<html>", [1]])
def test_answer_of_another_server_is_recognised(body: Any) -> None:
    with answering((200, {}, body)) as (api, _), pytest.raises(CommandFailed, match="is this the right address"):
        api.get("/v1/x")


def test_key_does_not_follow_a_redirect() -> None:
    with answering((302, {"Location": "/elsewhere"}, "")) as (api, asked), pytest.raises(Problem):
        api.get("/v1/x")
    assert asked == ["/v1/x"]


def test_address_of_a_thing_is_quoted() -> None:
    assert at("executions", "a/b?c", "steps", "lines[2].ship") == "/v1/executions/a%2Fb%3Fc/steps/lines%5B2%5D.ship"


@pytest.mark.parametrize(("key", "shown"), [("fg_0123456789abcdefghijkl", "fg_012…"), ("short-key", "…")])
def test_key_is_masked(key: str, shown: str) -> None:
    assert masked(key) == shown
