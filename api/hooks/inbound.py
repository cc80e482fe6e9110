"""A delivery on its way in: what was received, what is kept of it, and what flows see of it."""

from dataclasses import replace
from functools import cached_property
from typing import Any

from activities.payloads import Payload

API_KEY_HEADER = "api-key"

Delivery = Payload


class Inbound:
    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery

    def api_keys(self) -> list[str]:
        return [value for name, value in self.delivery.headers if name.lower() == API_KEY_HEADER]

    @cached_property
    def payload(self) -> Payload:
        """Without the caller's key: it is a secret, and goes no further."""
        headers = [(name, value) for name, value in self.delivery.headers if name.lower() != API_KEY_HEADER]
        return replace(self.delivery, headers=headers)

    @cached_property
    def root(self) -> dict[str, Any]:
        """The `trigger` root, read once and only when it is asked for: a body may be large."""
        return self.payload.root()
