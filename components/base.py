"""What a component is made of: actions with typed inputs, the context they get, and the registry.

A component is a module with one `component`; `catalogue.py` finds the modules of this package, and plugins by the
entry-point group `flowgraft.components`. Actions keep no state between calls and never see the store or Temporal.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from domain.catalog import ActionSpec
from domain.http import HttpSender
from domain.logs import Severity

Scope = Literal["execution", "flow", "instance", "integration"]


class Inputs(BaseModel):
    """Base of an action's inputs. Unknown names are refused when the definition is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Connection:
    """A resolved connection: its kind, its values (secrets included), the only hosts its secret may go to."""

    key: str
    kind: str
    values: Mapping[str, str]
    hosts: tuple[str, ...] | None = None


class StateAccess(Protocol):
    """State of what the scope says, applied in the transaction of the step's record."""

    async def get(self, scope: Scope, key: str) -> Any:
        """The value, or None when absent."""
        ...

    async def put(self, scope: Scope, key: str, value: Any) -> None: ...

    async def delete(self, scope: Scope, key: str) -> bool:
        """True when there was something to delete."""
        ...


@dataclass(frozen=True)
class ActionContext:
    """What an action may use. `log` writes to the customer-facing log; `state` is there for local actions only.

    `get` after which `put` follows is safe: the key stays locked until the step's record is committed.
    """

    execution_id: str
    path: str
    attempt: int
    idempotency_key: str
    now: datetime
    timeout: float  # seconds left for the whole step
    log: Callable[[Severity, str], None]
    http: HttpSender
    state: StateAccess
    connection: Connection | None = None
    lazy: Mapping[str, Any] = field(default_factory=dict)  # bound templates, for `evaluate_bound`


@dataclass(frozen=True)
class Action:
    """One thing a step can do. `run` returns JSON; it raises StepFailed, or Unavailable, or anything else as a bug."""

    name: str
    inputs: type[Inputs]
    run: Callable[[ActionContext, Any], Awaitable[Any]]
    summary: str
    local: bool = True
    lazy: frozenset[str] = frozenset()
    connections: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Component:
    key: str
    name: str
    actions: tuple[Action, ...]


class Registry:
    """Actions by `component.action`."""

    def __init__(self, components: Iterable[Component]) -> None:
        self.components = tuple(components)
        self._actions = {
            f"{component.key}.{action.name}": action for component in self.components for action in component.actions
        }

    def get(self, key: str) -> Action | None:
        return self._actions.get(key)

    def catalog(self) -> dict[str, ActionSpec]:
        return {key: _spec(key, action) for key, action in self._actions.items()}


def _spec(key: str, action: Action) -> ActionSpec:
    fields = {(info.alias or name): info.is_required() for name, info in action.inputs.model_fields.items()}
    return ActionSpec(
        key=key,
        fields=fields | dict.fromkeys(action.lazy, True),
        local=action.local,
        lazy=action.lazy,
        connections=action.connections,
    )
