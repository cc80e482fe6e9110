"""Checks of what runs outside any flow: `options_from` and a connection's `check`, and what they may refer to."""

from domain.definitions.actions import ActionChecks
from domain.definitions.model import OptionsFrom
from domain.definitions.scope import Scope
from domain.options import item_path
from domain.values import Location, PathSyntax

ROOTS = frozenset({"config", "customer", "instance"})  # what there is before anything runs


def check_options_from(source: OptionsFrom, at: Location, scope: Scope, checks: ActionChecks) -> None:
    check_asking(source, at, scope, checks, "lists nothing: options come from an action")
    for name in ("items", "label", "value"):
        text = getattr(source, name)
        try:
            if text is not None:
                item_path(text)
        except PathSyntax as error:
            detail = f"a path into what the action returns, such as body.regions: {error.message}"
            scope.report.add((*at, name), "bad_expression", detail)


def check_asking(source: OptionsFrom, at: Location, scope: Scope, checks: ActionChecks, otherwise: str) -> None:
    """Of an action that touches the world."""
    spec = checks.spec(source.action, (*at, "action"))
    scope.check(source.inputs, (*at, "inputs"), secrets=True, roots=ROOTS)
    if spec is not None and spec.local:
        detail = f"{spec.key} {otherwise} that asks somebody, such as http.get"
        scope.report.add((*at, "action"), "invalid_value", detail)
    elif spec is not None:
        checks.check_use(source, spec, at)
