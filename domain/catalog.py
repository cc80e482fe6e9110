"""What the reader and the conductor must know of an action without knowing the component."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ActionSpec:
    key: str  # component.action
    fields: Mapping[str, bool]  # input name → required
    local: bool  # touches only the ledger or nothing: short enough for a local activity
    lazy: frozenset[str] = frozenset()  # evaluated by the action, once per item, with the roots item and index
    connections: frozenset[str] = frozenset()  # kinds it takes; empty = none

    @property
    def component(self) -> str:
        return self.key.partition(".")[0]


Catalog = Mapping[str, ActionSpec]
