"""What tells deliveries apart, as keyed hashes: about one thing, or to be kept in order."""

from collections.abc import Mapping
from typing import Any

from domain.definitions.model import Flow
from domain.tags import evaluate_text
from runtime.crypto import Keyring


def unique_key(keyring: Keyring, flow: Flow, roots: Mapping[str, Any]) -> str | None:
    """What tells the deliveries about one thing, of which only the newest is tried again."""
    template = flow.retry.unique_by if flow.retry else None
    value = evaluate_text(template, roots) if template else ""
    return keyring.keyed_hash(f"unique/{value}") if value else None


def queue_key(keyring: Keyring, flow: Flow, roots: Mapping[str, Any]) -> str:
    """What tells the deliveries that keep their order; all of a flow do where there is no key."""
    template = flow.concurrency.key if flow.concurrency else None
    value = evaluate_text(template, roots) if template else ""
    return keyring.keyed_hash(f"queue/{value}") if value else ""
