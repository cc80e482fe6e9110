"""The public HTTP API from here: requests, pages, and what an error says."""

import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx2

from cli.failures import CommandFailed, ExitCode
from cli.profiles import Target

TIMEOUT = 60.0  # seconds; a deploy answers within 30
PAGE = 100  # the most that the API gives at once
SHOWN_OF_KEY = 6

Json = dict[str, Any]
Query = Mapping[str, Any]


class Problem(CommandFailed):
    """An answer that is an error."""

    def __init__(self, response: httpx2.Response) -> None:
        code = ExitCode.NOT_FOUND if response.status_code == 404 else ExitCode.FAILED
        super().__init__(_explained(response), code)
        self.status = response.status_code


class Cut(CommandFailed):
    """A stream that has broken off."""


class Api:
    """`tell` gets a line for every request, where somebody wants to see them."""

    def __init__(self, target: Target, tell: Callable[[str], None] | None = None) -> None:
        self.url = target.url
        self._key = target.api_key
        self._tell = tell or (lambda line: None)
        self._client = httpx2.Client(
            base_url=target.url,
            headers={"Authorization": f"Bearer {target.api_key}", "User-Agent": "flowgraft-cli"},
            timeout=TIMEOUT,
            trust_env=not _is_loopback(target.url),  # a proxy cannot reach this machine's own servers
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(self, method: str, path: str, *, query: Query | None = None, **options: Any) -> httpx2.Response:
        """Whatever it answers. Raises CommandFailed where nothing answers."""
        params = {name: value for name, value in (query or {}).items() if value not in (None, [])}
        request = self._client.build_request(method, path, params=params or None, **options)  # {} drops the path's own
        self._tell_request(request)
        began = time.monotonic()
        try:
            response = self._client.send(request)
        except httpx2.HTTPError as error:
            raise CommandFailed(f"{self.url} cannot be reached ({error or type(error).__name__}): is it up?") from error
        milliseconds = (time.monotonic() - began) * 1000
        self._tell(f"< {response.status_code} {response.headers.get('x-request-id', '')} {milliseconds:.0f} ms")
        return response

    def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Raises Problem where the answer is an error."""
        response = self.send(method, path, **options)
        if not response.is_success:
            raise Problem(response)
        return response

    def get(self, path: str, **query: Any) -> Json:
        return _object(self.call("GET", path, query=query))

    def post(self, path: str, body: Json | None = None) -> Json:
        return _object(self.call("POST", path, **({} if body is None else {"json": body})))

    def patch(self, path: str, body: Json) -> Json:
        return _object(self.call("PATCH", path, json=body))

    def put(self, path: str, body: Json) -> Json:
        return _object(self.call("PUT", path, json=body))

    def delete(self, path: str, **query: Any) -> httpx2.Response:
        return self.call("DELETE", path, query=query)

    def pages(self, path: str, query: Query | None = None, limit: int = PAGE) -> Iterator[Json]:
        """Page by page, without end."""
        wanted: dict[str, Any] = dict(query or {}) | {"limit": min(limit, PAGE)}
        while True:
            page = self.get(path, **wanted)
            yield page
            if page["next_cursor"] is None:
                return
            wanted["cursor"] = page["next_cursor"]

    def lines(self, path: str, query: Query, last_id: str | None, silence: float) -> Iterator[str]:
        """Of a stream of events, as they come. Raises Cut where it breaks off, or nothing comes for so many seconds."""
        params = {name: value for name, value in query.items() if value not in (None, [])}
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        timeout = httpx2.Timeout(TIMEOUT, read=silence)
        request = self._client.build_request("GET", path, params=params or None, headers=headers, timeout=timeout)
        self._tell_request(request)
        try:
            with closing(self._client.send(request, stream=True)) as response:
                if not response.is_success:
                    response.read()
                    raise Problem(response)
                yield from response.iter_lines()
        except httpx2.HTTPError as error:
            raise Cut(f"{self.url} cannot be reached ({error or type(error).__name__}): is it up?") from error

    def _tell_request(self, request: httpx2.Request) -> None:
        """Bodies may hold secrets; their size does not."""
        self._tell(f"> {request.method} {request.url}")
        self._tell(f"> Authorization: Bearer {masked(self._key)}")
        if request.content:
            self._tell(f"> {request.headers.get('content-type')}, {len(request.content)} bytes")


def at(*segments: str) -> str:
    """The address of something in the API."""
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def masked(key: str) -> str:
    return f"{key[:SHOWN_OF_KEY]}…" if len(key) >= 4 * SHOWN_OF_KEY else "…"


def _object(response: httpx2.Response) -> Json:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CommandFailed(f"{response.url} does not answer like Flowgraft: is this the right address?")
    return answer


def _explained(response: httpx2.Response) -> str:
    """What is wrong, then a line for each thing that is, then the request's id."""
    try:
        problem = response.json()
        lines = [str(problem["detail"]), *map(_bullet, problem.get("errors") or [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{response.request.method} {response.url} answered {response.status_code}, not as Flowgraft would"
    if wait := response.headers.get("retry-after"):
        lines.append(f"Try again in {wait} s.")
    return "\n".join([*lines, f"Request id: {problem.get('request_id')}"])


def _bullet(error: Json) -> str:
    place = f" (line {error['line']}:{error['column']})" if error.get("line") else ""
    return f"- {error['pointer']}: {error['detail']}{place}"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
