"""An outgoing request and its answer, as steps and the guarded client exchange them."""

from dataclasses import dataclass
from typing import Protocol

RESPONSE_CAP = 10 * 1024 * 1024


@dataclass(frozen=True)
class OutgoingRequest:
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    timeout: float = 60.0  # seconds, for the whole exchange
    follow_redirects: bool = True
    max_bytes: int = RESPONSE_CAP  # of the decoded body
    secret_headers: frozenset[str] = frozenset()  # lower-case names that hold secrets
    secret_query: tuple[tuple[str, str], ...] = ()  # put on the URL, never shown
    allowed_hosts: frozenset[str] | None = None  # the only hosts that secrets are ever sent to


@dataclass(frozen=True)
class IncomingResponse:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    url: str


class HttpSender(Protocol):
    async def send(self, request: OutgoingRequest) -> IncomingResponse:
        """Raises StepFailed: connection_error, timeout, egress_denied, response_too_large, too_many_redirects."""
        ...
