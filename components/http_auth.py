"""How a connection's secret travels with a request. No message here ever shows a secret."""

from base64 import b64encode
from dataclasses import dataclass

from components.base import Connection
from components.http_headers import sendable_name, sendable_value
from domain.errors import StepFailed


@dataclass(frozen=True)
class Credentials:
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    hosts: frozenset[str] | None = None


def credentials(connection: Connection) -> Credentials:
    hosts = None if connection.hosts is None else frozenset(host.lower() for host in connection.hosts)
    match connection.kind:
        case "http/bearer":
            header = ("Authorization", f"Bearer {_value(connection, 'token')}")
        case "http/basic":
            pair = f"{_value(connection, 'username')}:{_value(connection, 'password')}"
            header = ("Authorization", f"Basic {b64encode(pair.encode()).decode()}")
        case "http/oauth2":
            header = ("Authorization", f"Bearer {_value(connection, 'access_token')}")
        case "http/api_key":
            header = (_value(connection, "name"), _value(connection, "value"))
        case kind:
            raise _unusable(connection, f"is of the kind {kind}, which HTTP requests cannot use")
    if connection.kind == "http/api_key" and connection.values.get("in") == "query":
        return Credentials(query=(header,), hosts=hosts)
    if not sendable_name(header[0]) or not sendable_value(header[1]):
        raise _unusable(connection, "cannot be sent as a header")
    return Credentials(headers=(header,), hosts=hosts)


def _value(connection: Connection, name: str) -> str:
    value = connection.values.get(name)
    if value is None:
        raise _unusable(connection, f"has no {name}")
    return value


def _unusable(connection: Connection, why: str) -> StepFailed:
    return StepFailed(f"the connection {connection.key} {why}", code="invalid_connection", permanent=True)
