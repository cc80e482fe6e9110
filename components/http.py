"""The `http` component: one request a step, with the connection's secret attached and the answer read as data."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlencode, urlsplit

from pydantic import BeforeValidator, Field, StrictBool, model_validator

from components.base import Action, ActionContext, Component, Inputs
from components.http_auth import Credentials, credentials
from components.http_body import read_body
from components.http_headers import joined, request_headers, retry_after, text_pairs
from components.inputs import Seconds
from domain.errors import StepFailed
from domain.http import IncomingResponse, OutgoingRequest
from domain.jsontext import dumps

USER_AGENT = "Flowgraft/0.1"
KINDS = frozenset({"http/bearer", "http/basic", "http/api_key", "http/oauth2"})
SHOWN_BODY = 2_000
_TRANSIENT = frozenset({408, 425, 429})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}

StatusText = Annotated[str, Field(pattern=r"^[1-5]([0-9][0-9]|xx)$")]
Status = Annotated[int, Field(ge=100, le=599)] | StatusText
Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


def _one_or_many(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class HttpInputs(Inputs):
    url: str
    query: dict[str, Any] | None = None
    headers: dict[str, Any] | None = None
    json_: Any = Field(None, alias="json")
    form: dict[str, Any] | None = None
    body: str | None = None
    timeout: Seconds | None = None
    follow_redirects: StrictBool = True
    ok: Annotated[tuple[Status, ...], BeforeValidator(_one_or_many)] = ("2xx",)

    @model_validator(mode="after")
    def _one_body(self) -> "HttpInputs":
        given = sorted(name.rstrip("_") for name in self.model_fields_set & {"json_", "form", "body"})
        if len(given) > 1:
            raise ValueError(f"only one of json, form and body can be sent, not {' and '.join(given)}")
        return self


class RequestInputs(HttpInputs):
    method: Annotated[Method, BeforeValidator(_upper)]


async def _request(context: ActionContext, inputs: RequestInputs) -> dict[str, Any]:
    return await _exchange(inputs.method, context, inputs)


async def _exchange(method: str, context: ActionContext, inputs: HttpInputs) -> dict[str, Any]:
    url = _address(inputs)
    response = await context.http.send(_outgoing(method, url, context, inputs))
    context.log("debug", f"{_call(method, url)} answered {response.status}")
    headers = joined(response.headers)
    if {response.status, str(response.status), f"{response.status // 100}xx"}.isdisjoint(inputs.ok):
        raise _refused(method, url, response, headers, context.now)
    return {"status": response.status, "headers": headers, "body": read_body(headers, response.body)}


def _address(inputs: HttpInputs) -> SplitResult:
    """The URL with `query` added and without its fragment."""
    try:
        url = urlsplit(inputs.url)
        known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        known = False
    if not known or not inputs.url.isprintable():
        raise StepFailed("url is not an http or https address", code="invalid_url", permanent=True)
    if "@" in url.netloc:
        raise StepFailed("url holds credentials: put them into a connection", code="invalid_url", permanent=True)
    added = urlencode(text_pairs(inputs.query or {}))
    query = "&".join(part for part in (url.query, added) if part)
    return url._replace(path=url.path or "/", query=query, fragment="")


def _outgoing(method: str, url: SplitResult, context: ActionContext, inputs: HttpInputs) -> OutgoingRequest:
    secret = credentials(context.connection) if context.connection else Credentials()
    secret_names = frozenset(name.lower() for name, _ in secret.headers)
    body, defaults = _body(inputs)
    if method not in ("GET", "HEAD"):
        defaults["Idempotency-Key"] = context.idempotency_key
    given = [pair for pair in request_headers(inputs.headers or {}) if pair[0].lower() not in secret_names]
    taken = secret_names | {name.lower() for name, _ in given}
    return OutgoingRequest(
        method=method,
        url=url.geturl(),
        headers=[*(pair for pair in defaults.items() if pair[0].lower() not in taken), *given, *secret.headers],
        body=body,
        timeout=min(inputs.timeout or OutgoingRequest.timeout, context.timeout),
        follow_redirects=inputs.follow_redirects,
        secret_headers=secret_names,
        secret_query=secret.query,
        allowed_hosts=secret.hosts,
    )


def _body(inputs: HttpInputs) -> tuple[bytes, dict[str, str]]:
    """The bytes to send, and the headers that go with them unless others are given."""
    defaults = {"User-Agent": USER_AGENT}
    if "json_" in inputs.model_fields_set:
        return dumps(inputs.json_).encode(), defaults | {"Content-Type": "application/json"}
    if inputs.form is not None:
        form = urlencode(text_pairs(inputs.form)).encode()
        return form, defaults | {"Content-Type": "application/x-www-form-urlencoded"}
    if inputs.body is not None:
        return inputs.body.encode(), defaults | {"Content-Type": "text/plain; charset=utf-8"}
    return b"", defaults


def _refused(
    method: str, url: SplitResult, response: IncomingResponse, headers: Mapping[str, str], now: datetime
) -> StepFailed:
    status = response.status
    return StepFailed(
        f"{_call(method, url)} answered {status} {_PHRASES.get(status, '')}".rstrip(),
        code="http_status",
        transient=status in _TRANSIENT or status >= 500,
        retry_after=retry_after(headers.get("retry-after", ""), now),
        details={
            "method": method,
            "url": url._replace(query="").geturl(),
            "status": status,
            "headers": {name: headers[name] for name in ("content-type", "retry-after") if name in headers},
            "body": response.body[: 4 * SHOWN_BODY].decode("utf-8", "replace")[:SHOWN_BODY],
        },
    )


def _call(method: str, url: SplitResult) -> str:
    """A request as people read it. The query may hold what is private."""
    return f"{method} {url.netloc}{url.path}"


def _action(method: str) -> Action:
    return Action(
        name=method.lower(),
        inputs=HttpInputs,
        run=partial(_exchange, method),
        summary=f"Sends a {method} request",
        local=False,
        connections=KINDS,
    )


component = Component(
    key="http",
    name="HTTP",
    actions=(
        *(_action(method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
        Action(
            name="request",
            inputs=RequestInputs,
            run=_request,
            summary="Sends a request with the method of your choice",
            local=False,
            connections=KINDS,
        ),
    ),
)
