"""What is sent to whoever wants to be told: payload templates, the envelope of events, and when it is tried again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.instants import utc_text
from domain.jsontext import JsonRefused, dumps, strict_loads

VARIABLES = (
    "SUBJECT",
    "NAME",
    "INSTANCE",
    "INSTANCE_ID",
    "EXECUTION_ID",
    "CUSTOMER",
    "CUSTOMER_EXTERNAL_ID",
    "FLOW",
    "TRIGGER",
    "STEP",
    "URL",
    "ERROR",
    "TIME",
)
JSON, TEXT = "application/json", "text/plain; charset=utf-8"

# As Standard Webhooks suggests: the pause after the first try that failed, after the second …
PAUSES = tuple(timedelta(seconds=each) for each in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
LONGEST_PAUSE = PAUSES[-1]
GIVEN_UP_AFTER = timedelta(days=5)  # of failures only: the target is disabled

_VARIABLE = re.compile(r"\$([A-Z][A-Z_]*)")


class DeliveryState(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"  # its target was removed or disabled meanwhile


class TargetKind(StrEnum):
    WEBHOOK = "webhook"
    EMAIL = "email"
    GROUP = "group"


@dataclass(frozen=True)
class Body:
    text: str
    content_type: str


def template_problem(template: str) -> str | None:
    """Why it cannot be used, if so."""
    unknown = sorted(set(_VARIABLE.findall(template)) - set(VARIABLES))
    if unknown:
        return f"there is no variable ${unknown[0]}; there are {', '.join('$' + each for each in VARIABLES)}"
    if template.lstrip().startswith(("{", "[")) and not _is_json(template):
        return 'it begins as JSON and is not JSON: variables belong into texts, such as "$NAME"'
    return None


def rendered(template: str, values: Mapping[str, str]) -> Body:
    """Variables are escaped where the template is JSON; one without a value is empty."""
    is_json = _is_json(template)

    def value(found: re.Match[str]) -> str:
        text = values.get(found[1], "")
        return dumps(text)[1:-1] if is_json else text

    return Body(_VARIABLE.sub(value, template), JSON if is_json else TEXT)


def envelope(kind: str, at: datetime, data: Mapping[str, Any]) -> Body:
    return Body(dumps({"type": kind, "timestamp": utc_text(at), "data": data}), JSON)


def pause(failed: int, retry_after: float | None, jitter: float) -> timedelta | None:
    """After so many failed tries in a row; None: no more. `jitter` is between -1 and 1, for ten percent either way."""
    if failed > len(PAUSES):
        return None
    usual = PAUSES[failed - 1] * (1 + jitter / 10)
    return min(max(usual, timedelta(seconds=retry_after or 0.0)), LONGEST_PAUSE * 1.1)


def _is_json(template: str) -> bool:
    try:
        return isinstance(strict_loads(template), dict | list)
    except JsonRefused:
        return False
