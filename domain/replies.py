"""What the caller of a webhook who waits is told: how long one waits, and what a flow's own answer comes to."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import Rejected

LONGEST_WAIT = 30.0  # seconds
PREFERENCE = re.compile(r"(?:^|[,;]) *wait *= *\"?([0-9]{1,6})\"? *(?=$|[,;])", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
# Of the connection, of the server, or of everybody's pages at its address.
NOT_OF_A_FLOW = {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"}
NOT_OF_A_FLOW |= {"content-length", "content-security-policy", "date", "server", "set-cookie"}
NOT_OF_A_FLOW |= {"strict-transport-security", "x-content-type-options"}
TEXT, JSON = "text/plain; charset=utf-8", "application/json"


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""


def seconds_to_wait(headers: Mapping[str, str], *, synchronous: bool) -> float:
    """By the flow's own setting, `Prefer: wait=N` or Prismatic's header; 0: the caller wants a receipt."""
    alias = headers.get("prismatic-synchronous", "").strip().lower()
    if alias in ("true", "false"):
        return LONGEST_WAIT if alias == "true" else 0.0
    preferred = PREFERENCE.search(headers.get("prefer", ""))
    if preferred is not None:
        return min(float(preferred[1]), LONGEST_WAIT)
    return LONGEST_WAIT if synchronous else 0.0


def is_of_a_flow(name: str) -> bool:
    """Whether a flow may set this header."""
    return NAME.fullmatch(name) is not None and name.lower() not in NOT_OF_A_FLOW


def reply(told: Mapping[str, Any]) -> Reply:
    """From a `stop` step's evaluated status, headers and body. Raises Rejected `invalid_reply`."""
    headers = {name.lower(): _header(name, value) for name, value in (told.get("headers") or {}).items()}
    body = told.get("body")
    if body is None:
        return Reply(_status(told.get("status")), headers)
    headers.setdefault("content-type", TEXT if isinstance(body, str) else JSON)
    content = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return Reply(_status(told.get("status")), headers, content.encode("utf-8", "replace"))


def _status(value: Any) -> int:
    if value is None:
        return 200
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and 200 <= int(text[:4]) <= 599):
        raise Rejected("The flow's answer has no status from 200 to 599", code="invalid_reply")
    return int(text)


def _header(name: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if not is_of_a_flow(name) or not text.isprintable() or not text.isascii() or len(text) > 8192:
        raise Rejected(f"The flow's answer cannot have this header {name!r}", code="invalid_reply")
    return text
