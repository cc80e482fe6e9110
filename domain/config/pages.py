"""The pages of the configuration wizard as clients see them: no secrets, and for a customer nothing that is hidden."""

from collections.abc import Iterable, Sequence
from typing import Any

from domain.config.resolved import Values, is_exposed
from domain.connections import KINDS, check_connection, public_fields
from domain.definitions.model import ConfigField, ConfigPage
from domain.errors import Problem


def describe(
    pages: Iterable[ConfigPage], set_values: Values, problems: Iterable[Problem], *, for_customer: bool = False
) -> list[dict[str, Any]]:
    """`problems` point at `#/config/<key>`. A page that shows a customer nothing is left out for one."""
    by_key: dict[str, list[dict[str, str]]] = {}
    for problem in problems:
        key = problem.pointer.removeprefix("#/config/").partition("/")[0]
        by_key.setdefault(key, []).append({"code": problem.code, "detail": problem.detail})
    described = []
    for page in pages:
        fields = [each for each in page.fields if not for_customer or is_shown(each)]
        if fields or not for_customer:
            described.append(_page(page, fields, set_values, by_key))
    return described


def is_shown(each: ConfigField) -> bool:
    """Whether customers see and edit it."""
    return each.visible_to == "customer"


def shown_value(each: ConfigField, value: Any) -> Any:
    """Never a secret; of a connection its other fields, if its kind is known and the value is one of it."""
    if each.secret or is_exposed(each, value):
        return None
    if each.type != "connection":
        return value
    kind = each.connection or ""
    fits = kind in KINDS and value is not None and not check_connection(kind, value, "", each.default)
    return public_fields(kind, value) if fits else None


def _page(
    page: ConfigPage, fields: Sequence[ConfigField], set_values: Values, by_key: dict[str, list[dict[str, str]]]
) -> dict[str, Any]:
    return {
        "name": page.page,
        "tagline": page.tagline,
        "fields": [_described(each, set_values, by_key.get(each.key, [])) for each in fields],
    }


def _described(each: ConfigField, set_values: Values, errors: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "key": each.key,
        "type": each.type,
        "label": each.label or each.key,
        "description": each.description,
        "required": each.is_required,
        "default": shown_value(each, each.default),
        "value": shown_value(each, set_values.get(each.key)),
        "is_set": set_values.get(each.key) is not None,
        "options": each.options,
        "live_options": each.options_from is not None,
        "collection": each.collection,
        "secret": each.secret,
        "visible_to": each.visible_to,
        "language": each.language,
        "schema": each.form_schema,
        "ui_schema": each.ui_schema,
        "errors": errors,
    }
