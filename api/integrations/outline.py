"""What a definition holds, told also of one that is not valid: its flows and the actions it uses."""

from collections.abc import Iterator
from typing import Any

from api.integrations.schemas import ActionOutline, FlowOutline
from domain.catalog import Catalog


def flows_of(tree: Any) -> list[FlowOutline]:
    return [_flow(flow) for flow in _flows(tree)]


def actions_of(tree: Any, catalog: Catalog) -> list[ActionOutline]:
    """Each once, in alphabetical order."""
    used = {name for flow in _flows(tree) for name in _actions(flow)}
    return [_action(name, catalog) for name in sorted(used)]


def _flows(tree: Any) -> list[dict[str, Any]]:
    flows = tree.get("flows") if isinstance(tree, dict) else None
    return [flow for flow in flows if isinstance(flow, dict)] if isinstance(flows, list) else []


def _flow(flow: dict[str, Any]) -> FlowOutline:
    trigger = flow.get("trigger")
    key = _text(flow.get("key"))
    kind = _text(trigger.get("type")) if isinstance(trigger, dict) else None
    return FlowOutline(key=key, name=_text(flow.get("name")) or key, trigger=kind)


def _actions(node: Any) -> Iterator[str]:
    """Of the steps within: those of the flow, of its loops and of its branches' cases."""
    if isinstance(node, list):
        for each in node:
            yield from _actions(each)
    elif isinstance(node, dict):
        action = node.get("action")
        if isinstance(action, str):
            yield action
        for name in ("steps", "branch"):
            yield from _actions(node.get(name))


def _action(name: str, catalog: Catalog) -> ActionOutline:
    component, _, action = name.partition(".")
    return ActionOutline(key=component, action=action, known=name in catalog)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
