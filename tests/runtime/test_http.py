import asyncio
import gzip
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest

from domain.errors import StepFailed
from domain.http import IncomingResponse, OutgoingRequest
from runtime.devserver import free_port
from runtime.http import GuardedHttp
from tests.runtime.web import Answer, Asked, reply, serving


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    """May reach 127.0.0.1 and what `localhost` means, and nothing else on this machine."""
    http = GuardedHttp([ip_network("127.0.0.1/32"), ip_network("::1/128")])
    yield http
    await http.aclose()


def get(url: str, **more: Any) -> OutgoingRequest:
    return OutgoingRequest("GET", url, more.pop("headers", []), **more)


async def failure(http: GuardedHttp, request: OutgoingRequest) -> StepFailed:
    with pytest.raises(StepFailed) as failed:
        await http.send(request)
    return failed.value


def redirecting(status: int, location: str, path: str = "/") -> Answer:
    return lambda asked: reply(status, Location=location) if asked.target.startswith(path + "start") else reply()


# --- what is sent and what comes back


async def test_any_status_is_an_answer(http: GuardedHttp) -> None:
    async with serving(lambda _: reply(503, b"later", X_Why="busy")) as web:
        answer = await http.send(get(web.url("/orders?a=1")))
    assert answer == IncomingResponse(
        503, [("Content-Length", "5"), ("X-Why", "busy")], b"later", web.url("/orders?a=1")
    )


async def test_request_is_sent_as_given(http: GuardedHttp) -> None:
    async with serving(lambda _: reply()) as web:
        headers = [("Content-Type", "text/plain"), ("X-Name", "Zoë")]
        await http.send(OutgoingRequest("put", web.url("/a%20b/c?x=1&y=%2F&z"), headers, b"hello"))
    [asked] = web.asked
    assert (asked.method, asked.target, asked.body) == ("PUT", "/a%20b/c?x=1&y=%2F&z", b"hello")
    assert asked.headers["content-type"] == "text/plain"
    assert asked.headers["x-name"].encode("latin-1").decode() == "Zoë"


async def test_framing_is_ours_whatever_was_given(http: GuardedHttp) -> None:
    given = [
        ("Host", "internal"),
        ("Content-Length", "99"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "br"),
    ]
    async with serving(lambda _: reply()) as web:
        await http.send(OutgoingRequest("POST", web.url(), given, b"ab"))
    [asked] = web.asked
    assert asked.headers["host"] == f"127.0.0.1:{web.port}"
    assert asked.headers["content-length"] == "2"
    assert asked.headers["accept-encoding"] == "deflate, gzip"
    assert "transfer-encoding" not in asked.headers


@pytest.mark.parametrize(
    ("name", "value"), [("X-A\r\nX-B", "1"), ("X-A", "1\r\nX-B: 2"), ("X-A", "\x00"), ("X-A", "\ud800"), ("", "1")]
)
async def test_header_that_would_break_out_is_refused(http: GuardedHttp, name: str, value: str) -> None:
    failed = await failure(http, get("http://127.0.0.1:1/", headers=[(name, value)]))
    assert (failed.code, failed.permanent) == ("invalid_header", True)


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "GET /", "", "G\r\nET"])
async def test_method_that_is_none_is_refused(http: GuardedHttp, method: str) -> None:
    failed = await failure(http, OutgoingRequest(method, "http://127.0.0.1:1/", []))
    assert (failed.code, failed.permanent) == ("invalid_method", True)


async def test_connection_is_used_again(http: GuardedHttp) -> None:
    async with serving(lambda _: reply()) as web:
        for _ in range(3):
            await http.send(get(web.url()))
    assert web.connections == 1


async def test_cookies_are_not_kept(http: GuardedHttp) -> None:
    async with serving(lambda _: reply(Set_Cookie="session=1; Path=/")) as web:
        await http.send(get(web.url()))
        await http.send(get(web.url()))
    assert "cookie" not in web.asked[1].headers


# --- bodies


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", gzip.compress(b"data", mtime=0)), ("deflate", zlib.compress(b"data")), ("identity", b"data")],
)
async def test_compressed_body_is_decoded(http: GuardedHttp, coding: str, body: bytes) -> None:
    async with serving(lambda _: reply(200, body, Content_Encoding=coding)) as web:
        assert (await http.send(get(web.url()))).body == b"data"


async def test_body_up_to_the_cap_is_taken(http: GuardedHttp) -> None:
    async with serving(lambda _: reply(200, b"x" * 1000)) as web:
        assert len((await http.send(get(web.url(), max_bytes=1000))).body) == 1000
        failed = await failure(http, get(web.url(), max_bytes=999))
    assert (failed.code, failed.permanent) == ("response_too_large", True)


async def test_bomb_is_cut_off_before_it_fills_memory(http: GuardedHttp) -> None:
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join(deflate.compress(b"\0" * 2**20) for _ in range(100)) + deflate.flush()
    async with serving(lambda _: reply(200, bomb, Content_Encoding="gzip")) as web:
        tracemalloc.start()
        failed = await failure(http, get(web.url(), max_bytes=2**20))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert failed.code == "response_too_large"
    assert peak < 16 * 2**20


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "gzip"])
async def test_body_that_cannot_be_decoded_is_told(http: GuardedHttp, coding: str) -> None:
    async with serving(lambda _: reply(200, b"plain", Content_Encoding=coding)) as web:
        assert (await failure(http, get(web.url()))).code == "invalid_response"


# --- failures


async def test_silence_ends_in_time(http: GuardedHttp) -> None:
    async with serving(lambda _: b"") as web:
        started = time.monotonic()
        failed = await failure(http, get(web.url(), timeout=0.2))
    assert time.monotonic() - started < 1.0
    assert (failed.code, failed.transient, failed.permanent) == ("timeout", True, False)


async def test_dripping_does_not_extend_the_time(http: GuardedHttp) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n")
        while not writer.transport.is_closing():
            writer.write(b".")
            await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert (await failure(http, get(f"http://127.0.0.1:{port}/", timeout=0.3))).code == "timeout"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("answer", [None, b"not http\r\n\r\n", b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nabc"])
async def test_broken_conversation_is_a_connection_error(http: GuardedHttp, answer: bytes | None) -> None:
    async with serving(lambda _: answer, keep_alive=False) as web:
        failed = await failure(http, get(web.url()))
    assert (failed.code, failed.transient) == ("connection_error", True)


async def test_nobody_there_is_a_connection_error(http: GuardedHttp) -> None:
    failed = await failure(http, get(f"http://127.0.0.1:{free_port()}/orders?token=hush"))
    assert (failed.code, failed.transient) == ("connection_error", True)
    assert failed.message.startswith("GET 127.0.0.1:")
    assert "/orders: " in failed.message
    assert "hush" not in failed.message


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_redirect_turns_a_post_into_a_get_without_body(http: GuardedHttp, status: int) -> None:
    async with serving(redirecting(status, "/end?x=1")) as web:
        request = OutgoingRequest("POST", web.url("/start"), [("Content-Type", "a/b"), ("X-Keep", "1")], b"body")
        answer = await http.send(request)
    end = web.asked[1]
    assert (end.method, end.target, end.body) == ("GET", "/end?x=1", b"")
    assert "content-type" not in end.headers
    assert end.headers["x-keep"] == "1"
    assert answer.url == web.url("/end?x=1")


@pytest.mark.parametrize("status", [307, 308])
async def test_redirect_that_keeps_the_method_keeps_the_body(http: GuardedHttp, status: int) -> None:
    async with serving(redirecting(status, "end")) as web:
        await http.send(OutgoingRequest("PUT", web.url("/start"), [], b"body"))
    assert (web.asked[1].method, web.asked[1].body) == ("PUT", b"body")


async def test_body_does_not_follow_to_another_origin(http: GuardedHttp) -> None:
    async with serving(lambda _: reply()) as other, serving(redirecting(307, other.url())) as web:
        failed = await failure(http, OutgoingRequest("POST", web.url("/start"), [], b"body"))
        assert (failed.code, failed.permanent) == ("egress_denied", True)
        await http.send(OutgoingRequest("DELETE", web.url("/start"), []))
    assert [asked.method for asked in other.asked] == ["DELETE"]


async def test_head_stays_head(http: GuardedHttp) -> None:
    async with serving(redirecting(302, "/end")) as web:
        await http.send(OutgoingRequest("HEAD", web.url("/start"), []))
    assert [asked.method for asked in web.asked] == ["HEAD", "HEAD"]


async def test_five_redirects_are_followed_and_no_more(http: GuardedHttp) -> None:
    def countdown(asked: Asked) -> bytes:
        left = int(asked.target.strip("/"))
        return reply(302, Location=f"/{left - 1}") if left else reply(200, b"done")

    async with serving(countdown) as web:
        assert (await http.send(get(web.url("/5")))).body == b"done"
        assert (await failure(http, get(web.url("/6")))).code == "too_many_redirects"


async def test_redirect_is_an_answer_when_not_followed(http: GuardedHttp) -> None:
    async with serving(redirecting(302, "/end")) as web:
        assert (await http.send(get(web.url("/start"), follow_redirects=False))).status == 302
        assert len(web.asked) == 1


async def test_redirect_without_a_location_is_an_answer(http: GuardedHttp) -> None:
    async with serving(lambda _: reply(302)) as web:
        assert (await http.send(get(web.url()))).status == 302


async def test_redirect_to_a_refused_address_is_refused(http: GuardedHttp) -> None:
    async with (
        serving(lambda _: reply(), host="127.0.0.2") as canary,
        serving(redirecting(302, canary.url(host="127.0.0.2"))) as web,
    ):
        failed = await failure(http, get(web.url("/start")))
    assert (failed.code, failed.permanent) == ("egress_denied", True)
    assert canary.connections == 0


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "http://u:p@127.0.0.1/", "//127.0.0.1\\@8.8.8.8/", "http://[::1", "http://127.0.0.1:0/"],
)
async def test_redirect_to_no_address_is_told(http: GuardedHttp, location: str) -> None:
    async with serving(redirecting(302, location)) as web:
        failed = await failure(http, get(web.url("/start")))
    assert (failed.code, failed.permanent) == ("invalid_url", True)
    assert "redirects to an address that cannot be used" in failed.message


# --- secrets

SECRET: dict[str, Any] = {
    "headers": [("X-Api-Key", "hush"), ("Authorization", "Bearer hush"), ("Cookie", "hush=1"), ("X-Plain", "1")],
    "secret_headers": frozenset({"x-api-key"}),
    "secret_query": (("sig", "hush&"),),
}


async def test_secrets_go_along_to_the_same_origin(http: GuardedHttp) -> None:
    async with serving(redirecting(302, "/end?a=1")) as web:
        answer = await http.send(get(web.url("/start?b=%2F"), **SECRET))
    assert [asked.target for asked in web.asked] == ["/start?b=%2F&sig=hush%26", "/end?a=1&sig=hush%26"]
    assert all(asked.headers["x-api-key"] == "hush" for asked in web.asked)
    assert answer.url == web.url("/end?a=1")


async def test_secrets_are_dropped_on_the_way_to_another_host(http: GuardedHttp) -> None:
    def wander(asked: Asked) -> bytes:
        """Off to another name of this machine and back: what was dropped stays dropped."""
        if asked.target.startswith("/start"):
            return reply(302, Location=web.url("/between", host="localhost"))
        return reply(302, Location=web.url("/end")) if asked.target.startswith("/between") else reply()

    async with serving(wander) as web:
        await http.send(get(web.url("/start"), **SECRET))
    first, *onward = web.asked
    assert "hush" in first.headers["cookie"]
    assert [asked.target for asked in onward] == ["/between", "/end"]
    for asked in onward:
        assert "hush" not in str(asked.headers)
        assert asked.headers["x-plain"] == "1"


async def test_secrets_are_dropped_on_another_port(http: GuardedHttp) -> None:
    async with serving(lambda _: reply()) as other, serving(redirecting(302, other.url())) as web:
        await http.send(get(web.url("/start"), allowed_hosts=frozenset({"127.0.0.1"}), **SECRET))
    assert "hush" not in other.asked[0].target + str(other.asked[0].headers)


@pytest.mark.parametrize("hosts", [{"api.example.com"}, {"127.0.0.1:1"}, {"27.0.0.1"}, set()])
async def test_secrets_go_to_no_other_host_than_allowed(http: GuardedHttp, hosts: set[str]) -> None:
    async with serving(lambda _: reply()) as web:
        failed = await failure(http, get(web.url(), allowed_hosts=frozenset(hosts), **SECRET))
    assert (failed.code, failed.permanent) == ("egress_denied", True)
    assert "hush" not in failed.message
    assert web.connections == 0


async def test_request_without_secrets_may_go_anywhere(http: GuardedHttp) -> None:
    async with serving(lambda _: reply()) as web:
        await http.send(get(web.url(), allowed_hosts=frozenset({"api.example.com"})))
    assert len(web.asked) == 1


async def test_allowed_host_may_name_its_port(http: GuardedHttp) -> None:
    async with serving(lambda _: reply()) as web:
        await http.send(get(web.url(), allowed_hosts=frozenset({f"127.0.0.1:{web.port}"}), **SECRET))
    assert web.asked[0].headers["authorization"] == "Bearer hush"


async def test_repeated_secret_does_not_show_in_the_final_address(http: GuardedHttp) -> None:
    async with serving(redirecting(302, "/end?sig=hush%26&a=1")) as web:
        answer = await http.send(get(web.url("/start"), **SECRET))
    assert web.asked[1].target == "/end?sig=hush%26&a=1"
    assert answer.url == web.url("/end?a=1")
