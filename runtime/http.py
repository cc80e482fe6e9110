"""The one way out: every request of a step, an alert or a token exchange goes through this guarded client.

No cookies are kept, no proxy is read from the environment, and redirects are followed here, one checked hop at a time.
Which addresses may be reached is in `egress.py`.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import httpcore2
import httpx2

from domain.errors import StepFailed
from domain.http import IncomingResponse, OutgoingRequest
from runtime.egress import EgressDenied, GuardedBackend, Network

MAX_REDIRECTS = 5
CONNECT_TIMEOUT = 5.0  # seconds, the lookup of the name included
IDLE = 3.0  # seconds; many servers hang up after five
MAX_CONNECTIONS = 200
SHOWN_PATH = 200  # characters in an error

_ADDRESS = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[^\s/?#@:%\\\[\]]+)(?::[0-9]{1,5})?(?=[/?#]|$)", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?|[0-9a-f:.]*:[0-9a-f:.]*")
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_METHOD = re.compile(r"[A-Z]{1,20}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD = frozenset({307, 308})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_CODINGS = frozenset({"gzip", "deflate"})
# We write these ourselves; another Host would also reach a service that the address does not name.
_FRAMING = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "http2-settings", "keep-alive"}
)
_FRAMING |= {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
_PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})  # never follow to another origin
_OF_THE_BODY = frozenset({"content-encoding", "content-language", "content-type"})


@dataclass(frozen=True)
class _Hop:
    """One request. `url` is without the secret query; `secrets` says whether that and the secret headers go along."""

    method: str
    url: httpx2.URL
    headers: tuple[tuple[str, str], ...]
    body: bytes
    secrets: bool

    def __str__(self) -> str:
        path = self.url.raw_path.partition(b"?")[0]
        return f"{self.method} {(self.url.netloc + path[:SHOWN_PATH]).decode('ascii')}"


class GuardedHttp:
    """Shared by the whole process; keeps connections alive, each of them checked when it was opened."""

    def __init__(self, allowed: Sequence[Network] = (), *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._backend = GuardedBackend(allowed)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context or httpcore2.default_ssl_context(),
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=IDLE,
            network_backend=self._backend,
        )

    async def send(self, request: OutgoingRequest) -> IncomingResponse:
        """Any status is an answer. Raises StepFailed when there is none, or none that we may take."""
        deadline = asyncio.get_running_loop().time() + request.timeout
        hop = _first_hop(request)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._exchange(request, hop, deadline)
            location = _location(response) if request.follow_redirects else None
            if location is None:
                return response
            hop = _next_hop(request, hop, response.status, location)
        raise _failed(hop, f"more than {MAX_REDIRECTS} redirects", "too_many_redirects")

    async def aclose(self) -> None:
        await self._pool.aclose()
        await self._backend.aclose()

    async def _exchange(self, request: OutgoingRequest, hop: _Hop, deadline: float) -> IncomingResponse:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._round_trip(request, hop)
        except EgressDenied as error:
            raise _failed(hop, str(error), "egress_denied", permanent=True) from None
        except httpcore2.ConnectTimeout:
            raise _failed(hop, f"no connection within {CONNECT_TIMEOUT:g} s", "timeout", transient=True) from None
        except (TimeoutError, httpcore2.TimeoutException):
            raise _failed(hop, f"no answer within {request.timeout:g} s", "timeout", transient=True) from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            what = f"the connection failed ({str(error)[:200] or type(error).__name__})"
            raise _failed(hop, what, "connection_error", transient=True) from None
        except httpx2.DecodingError:
            raise _failed(hop, "the answer is not what its content coding says", "invalid_response") from None

    async def _round_trip(self, request: OutgoingRequest, hop: _Hop) -> IncomingResponse:
        response = await self._pool.handle_async_request(_on_the_wire(request, hop))
        try:
            body = await _read(response, request.max_bytes, hop)
        finally:
            await response.aclose()
        headers = [(_text(name), _text(value)) for name, value in response.headers]
        return IncomingResponse(response.status, headers, body, _shown(hop.url, request))


def _first_hop(request: OutgoingRequest) -> _Hop:
    url = _parse(request.url)
    secrets = bool(request.secret_query) or any(name.lower() in request.secret_headers for name, _ in request.headers)
    hop = _Hop(request.method.upper(), url, _sendable(request.headers), request.body, secrets)
    if not _METHOD.fullmatch(hop.method) or hop.method in ("CONNECT", "TRACE"):
        raise StepFailed("the method is not one that can be sent", code="invalid_method", permanent=True)
    if secrets and not _may_have_secrets(url, request.allowed_hosts):
        raise _failed(hop, "the connection's secrets may not be sent to this host", "egress_denied", permanent=True)
    return hop


def _next_hop(request: OutgoingRequest, hop: _Hop, status: int, location: str) -> _Hop:
    """Towards another origin nothing goes along that is secret, private or a body."""
    url = _parse(_joined(hop.url, location), f"{hop}: redirects to an address that cannot be used")
    same_origin = _origin(url) == _origin(hop.url)
    if status in _KEEP_METHOD:
        if hop.body and not same_origin:
            raise _failed(hop, "the redirect would take the body to another origin", "egress_denied", permanent=True)
        onward = replace(hop, url=url)
    else:
        method = "HEAD" if hop.method == "HEAD" else "GET"
        onward = replace(hop, url=url, method=method, headers=_without(hop.headers, _OF_THE_BODY), body=b"")
    if same_origin:
        return onward
    return replace(onward, headers=_without(onward.headers, _PRIVATE | request.secret_headers), secrets=False)


def _on_the_wire(request: OutgoingRequest, hop: _Hop) -> httpcore2.Request:
    query = _query(hop.url, request.secret_query) if hop.secrets else hop.url.query
    target = hop.url.raw_path.partition(b"?")[0] + (b"?" + query if query else b"")
    names = {name.lower() for name, _ in hop.headers}
    headers = [("Host", hop.url.netloc.decode("ascii")), ("Accept-Encoding", ", ".join(sorted(_CODINGS)))]
    headers += [pair for pair in (("Accept", "*/*"), ("User-Agent", "Flowgraft")) if pair[0].lower() not in names]
    headers += hop.headers
    if hop.body or hop.method in _WITH_BODY:
        headers.append(("Content-Length", str(len(hop.body))))
    return httpcore2.Request(
        hop.method,
        httpcore2.URL(scheme=hop.url.raw_scheme, host=hop.url.raw_host, port=hop.url.port, target=target),
        headers=[(name.encode("ascii"), value.encode("utf-8")) for name, value in headers],
        content=hop.body,
        extensions={"timeout": {"connect": CONNECT_TIMEOUT}},
    )


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, parts: AsyncIterable[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            yield part


async def _read(response: httpcore2.Response, max_bytes: int, hop: _Hop) -> bytes:
    """The decoded body. httpx2 inflates at most 1 MiB at a time, so a bomb is cut off early."""
    if not isinstance(response.stream, AsyncIterable):
        raise TypeError("the pool answered with a blocking stream")
    decoded = httpx2.Response(response.status, headers=response.headers, stream=_Stream(response.stream))
    codings = [name.strip().lower() for name in decoded.headers.get_list("content-encoding", split_commas=True)]
    if len(codings) > 1 or not _CODINGS.issuperset(set(codings) - {"identity", ""}):
        raise _failed(hop, "the answer has a content coding that we did not ask for", "invalid_response")
    body = bytearray()
    async for chunk in decoded.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise _failed(hop, f"the answer is larger than {max_bytes} bytes", "response_too_large", permanent=True)
    return bytes(body)


def _parse(text: str, otherwise: str = "the URL is not an http or https address that can be used") -> httpx2.URL:
    """Strict: what two parsers could read in two ways is refused. Never repeats the URL."""
    try:
        if _UNSENDABLE.search(text) or not _ADDRESS.match(text):
            raise httpx2.InvalidURL(otherwise)
        url = httpx2.URL(text)
        if not _HOST.fullmatch(url.raw_host.decode("ascii")) or not 0 < _port(url) < 65_536:
            raise httpx2.InvalidURL(otherwise)
    except (httpx2.InvalidURL, UnicodeError):
        raise StepFailed(otherwise, code="invalid_url", permanent=True) from None
    return url


def _joined(base: httpx2.URL, location: str) -> str:
    if _UNSENDABLE.search(location):
        return ""
    try:
        return str(base.join(location))
    except (httpx2.InvalidURL, ValueError):
        return ""


def _sendable(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise StepFailed(f"the header {name!r:.100} cannot be sent", code="invalid_header", permanent=True)
    return _without(headers, _FRAMING)


def _without(headers: Sequence[tuple[str, str]], names: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in headers if pair[0].lower() not in names)


def _may_have_secrets(url: httpx2.URL, hosts: frozenset[str] | None) -> bool:
    """A host in the list means any port of it, `host:port` only that one."""
    if hosts is None:
        return True
    known = {host.lower() for host in hosts}
    return url.host in known or f"{url.host}:{_port(url)}" in known


def _query(url: httpx2.URL, secrets: Sequence[tuple[str, str]]) -> bytes:
    """The URL's own query, byte for byte, and those secret parameters that are not in it already."""
    missing = urlencode([pair for pair in secrets if pair[0] not in url.params]).encode("ascii")
    return b"&".join(part for part in (url.query, missing) if part)


def _shown(url: httpx2.URL, request: OutgoingRequest) -> str:
    """A redirect may have repeated a secret parameter."""
    for name, _ in request.secret_query:
        url = url.copy_remove_param(name)
    return str(url)


def _location(response: IncomingResponse) -> str | None:
    if response.status not in _REDIRECTS:
        return None
    return next((value for name, value in response.headers if name.lower() == "location"), None)


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, _port(url)


def _port(url: httpx2.URL) -> int:
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _failed(hop: _Hop, what: str, code: str, *, transient: bool = False, permanent: bool = False) -> StepFailed:
    return StepFailed(f"{hop}: {what}", code=code, transient=transient, permanent=permanent)
