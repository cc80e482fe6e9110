"""The `http` component: what goes out, what comes back, and how a refusal is told."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.base import Connection
from components.http import RequestInputs
from domain.errors import StepFailed
from domain.http import OutgoingRequest
from tests.fakes import Lines, ScriptedHttp, response, run_action

URL = "https://api.example.com/orders"


async def sent(key: str, inputs: dict[str, Any], **overrides: Any) -> OutgoingRequest:
    http = ScriptedHttp()
    await run_action(key, {"url": URL} | inputs, http=http, **overrides)
    assert len(http.sent) == 1
    return http.sent[0]


async def failure(http: ScriptedHttp, key: str = "http.post", **inputs: Any) -> StepFailed:
    with pytest.raises(StepFailed) as failed:
        await run_action(key, {"url": URL} | inputs, http=http)
    return failed.value


def header(request: OutgoingRequest, name: str) -> list[str]:
    return [value for key, value in request.headers if key.lower() == name.lower()]


# Requests


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_action_sends_its_method(method: str) -> None:
    request = await sent(f"http.{method.lower()}", {})
    assert (request.method, request.url, request.body) == (method, URL, b"")
    assert header(request, "user-agent") == ["Flowgraft/0.1"]


async def test_request_takes_a_method() -> None:
    assert (await sent("http.request", {"method": "head"})).method == "HEAD"


@pytest.mark.parametrize("method", ["CONNECT", "", None, "GET "])
async def test_request_refuses_other_methods(method: str | None) -> None:
    with pytest.raises(ValidationError, match="method"):
        await sent("http.request", {"method": method})


@pytest.mark.parametrize(
    ("url", "query", "expected"),
    [
        (URL, {"page": 2, "all": True, "rate": 1.5, "q": "a b&c"}, f"{URL}?page=2&all=true&rate=1.5&q=a+b%26c"),
        (URL, {"tag": ["new", None, "big"], "none": None}, f"{URL}?tag=new&tag=big"),
        (f"{URL}?a=1#top", {"b": 2}, f"{URL}?a=1&b=2"),
        (f"{URL}?a=1", None, f"{URL}?a=1"),
        ("http://api.example.com", {}, "http://api.example.com/"),
    ],
)
async def test_query_is_added_to_the_url(url: str, query: Any, expected: str) -> None:
    assert (await sent("http.get", {"url": url, "query": query})).url == expected


@pytest.mark.parametrize(
    "url",
    ["", "orders", "ftp://example.com/", "https://", "https://[::1", "https://a:99999/", "https://a/\nb", "//a/b"],
)
async def test_url_of_no_web_address_is_refused(url: str) -> None:
    failed = await failure(ScriptedHttp(), url=url)
    assert (failed.code, failed.permanent, failed.transient) == ("invalid_url", True, False)


async def test_url_with_credentials_is_refused_unshown() -> None:
    failed = await failure(ScriptedHttp(), url="https://ada:hunter2@example.com/")
    assert failed.code == "invalid_url"
    assert "hunter2" not in failed.message


@pytest.mark.parametrize("inputs", [{"url": None}, {"url": 5}, {}])
async def test_url_is_required_text(inputs: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="url"):
        await run_action("http.get", inputs)


async def test_json_is_sent_compact() -> None:
    request = await sent("http.post", {"json": {"città": "Forlì", "n": [1, None]}})
    assert request.body == '{"città":"Forlì","n":[1,null]}'.encode()
    assert header(request, "content-type") == ["application/json"]


async def test_json_null_is_a_body() -> None:
    assert (await sent("http.post", {"json": None})).body == b"null"


async def test_form_is_urlencoded() -> None:
    request = await sent("http.post", {"form": {"a": "x y", "b": [1, 2], "c": None}})
    assert request.body == b"a=x+y&b=1&b=2"
    assert header(request, "content-type") == ["application/x-www-form-urlencoded"]


async def test_body_is_text() -> None:
    request = await sent("http.post", {"body": "grüß"})
    assert request.body == "grüß".encode()
    assert header(request, "content-type") == ["text/plain; charset=utf-8"]


async def test_content_type_given_is_kept() -> None:
    request = await sent("http.post", {"body": "<a/>", "headers": {"content-type": "application/xml"}})
    assert header(request, "content-type") == ["application/xml"]


@pytest.mark.parametrize(
    "inputs", [{"json": 1, "form": {}}, {"json": None, "body": ""}, {"body": {"a": 1}}, {"multipart": []}]
)
async def test_unlike_bodies_are_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await sent("http.post", inputs)


async def test_idempotency_key_goes_with_writes_only() -> None:
    assert header(await sent("http.get", {}), "idempotency-key") == []
    assert header(await sent("http.delete", {}), "idempotency-key") == ["exec_1:lines[2].ship"]
    own = await sent("http.post", {"headers": {"idempotency-key": "mine"}})
    assert header(own, "idempotency-key") == ["mine"]


@pytest.mark.parametrize(
    ("given", "left", "expected"),
    [(None, 900.0, 60.0), ("30s", 900.0, 30.0), (1.5, 900.0, 1.5), ("5m", 10.0, 10.0), (None, 2.0, 2.0)],
)
async def test_timeout_never_exceeds_the_step(given: Any, left: float, expected: float) -> None:
    assert (await sent("http.get", {"timeout": given}, timeout=left)).timeout == expected


@pytest.mark.parametrize("timeout", ["soon", "0s", -1, True, "30"])
async def test_timeout_of_no_duration_is_refused(timeout: Any) -> None:
    with pytest.raises(ValidationError, match="timeout"):
        await sent("http.get", {"timeout": timeout})


async def test_redirects_are_followed_unless_refused() -> None:
    assert (await sent("http.get", {})).follow_redirects is True
    assert (await sent("http.get", {"follow_redirects": False})).follow_redirects is False


async def test_connection_replaces_a_header_of_its_name() -> None:
    connection = Connection("shop", "http/bearer", {"token": "s3cret"}, hosts=("API.example.com",))
    request = await sent("http.get", {"headers": {"authorization": "mine"}}, connection=connection)
    assert header(request, "authorization") == ["Bearer s3cret"]
    assert request.secret_headers == {"authorization"}
    assert request.allowed_hosts == frozenset({"api.example.com"})


async def test_connection_in_the_query_stays_off_the_url() -> None:
    values = {"name": "key", "value": "s3cret", "in": "query"}
    request = await sent("http.get", {}, connection=Connection("shop", "http/api_key", values))
    assert request.secret_query == (("key", "s3cret"),)
    assert request.url == URL
    assert request.allowed_hosts is None


# Answers


async def test_answer_holds_status_headers_and_body() -> None:
    http = ScriptedHttp(response(201, '{"id": 7}', content_type="application/json; charset=utf-8", x_trace="a"))
    assert await run_action("http.post", {"url": URL}, http=http) == {
        "status": 201,
        "headers": {"content-type": "application/json; charset=utf-8", "x-trace": "a"},
        "body": {"id": 7},
    }


async def test_call_is_logged_without_its_query() -> None:
    lines = Lines()
    await run_action("http.get", {"url": URL, "query": {"token": "private"}}, log=lines)
    assert lines == [("debug", "GET api.example.com/orders answered 200")]


@pytest.mark.parametrize(
    ("ok", "status", "accepted"),
    [
        ("2xx", 204, True),
        ("2xx", 301, False),
        (404, 404, True),
        (404, 200, False),
        (["2xx", 404, "409"], 409, True),
        (["2xx", 404], 500, False),
        ("3xx", 302, True),
    ],
)
async def test_ok_names_the_accepted_statuses(ok: Any, status: int, accepted: bool) -> None:
    http = ScriptedHttp(response(status))
    if accepted:
        assert (await run_action("http.get", {"url": URL, "ok": ok}, http=http))["status"] == status
    else:
        assert (await failure(http, ok=ok)).code == "http_status"


@pytest.mark.parametrize("ok", ["6xx", "ok", 99, 600, None, ["2xx", "x"]])
def test_ok_of_no_status_is_refused(ok: Any) -> None:
    with pytest.raises(ValidationError, match="ok"):
        RequestInputs.model_validate({"url": URL, "method": "GET", "ok": ok})


async def test_refusal_says_what_was_tried_and_what_came_back() -> None:
    http = ScriptedHttp(response(500, "x" * 3000, content_type="text/plain", x_trace="a", retry_after="5"))
    failed = await failure(http, query={"token": "private"})
    assert failed.message == "POST api.example.com/orders answered 500 Internal Server Error"
    assert failed.code == "http_status"
    assert failed.details == {
        "method": "POST",
        "url": URL,
        "status": 500,
        "headers": {"content-type": "text/plain", "retry-after": "5"},
        "body": "x" * 2000,
    }


async def test_refusal_of_an_unnamed_status() -> None:
    assert (await failure(ScriptedHttp(response(599)))).message == "POST api.example.com/orders answered 599"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
async def test_passing_statuses_are_transient(status: int) -> None:
    assert (await failure(ScriptedHttp(response(status)))).transient is True


@pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 422])
async def test_other_statuses_fail_at_once(status: int) -> None:
    failed = await failure(ScriptedHttp(response(status)))
    assert (failed.transient, failed.permanent) == (False, False)


async def test_retry_after_is_kept() -> None:
    assert (await failure(ScriptedHttp(response(429, retry_after="120")))).retry_after == 120.0
    assert (await failure(ScriptedHttp(response(429)))).retry_after is None


async def test_failure_of_the_client_passes_through() -> None:
    broken = StepFailed("no route", code="connection_error", transient=True)
    assert await failure(ScriptedHttp(broken)) is broken
