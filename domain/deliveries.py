"""Deliveries: when a flow may be invoked, and what tells two deliveries to be the same."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from domain.definitions.model import WebhookTrigger
from domain.errors import Conflict
from domain.tags import as_text
from domain.values import HeaderMap, lookup, parse_path

DEDUPE_WINDOW = timedelta(days=7)


def ensure_invocable(*, enabled: bool, deployed: bool, suspended: bool = False) -> None:
    if not deployed:
        raise Conflict("The instance is not deployed", code="instance_not_deployed")
    ensure_not_suspended(suspended)
    if not enabled:
        raise Conflict("The instance is paused", code="instance_paused")


def ensure_not_suspended(suspended: bool) -> None:
    if suspended:
        raise Conflict("The instance is suspended by the operator", code="instance_suspended")


def dedupe_value(trigger: WebhookTrigger, root: Mapping[str, Any]) -> str | None:
    """The trigger's own source where it names one, else Idempotency-Key, else webhook-id. Empty means none."""
    headers = HeaderMap(root["headers"])
    source = trigger.dedupe
    if source is not None and source.header:
        return as_text(headers.get(source.header)) or None
    if source is not None and source.body:
        return as_text(lookup(parse_path(f"trigger.body.{source.body}"), {"trigger": root})) or None
    return as_text(headers.get("idempotency-key")) or as_text(headers.get("webhook-id")) or None
