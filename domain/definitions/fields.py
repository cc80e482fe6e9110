"""Checks of the configuration pages: each field's own rules, and defaults that fit."""

from collections.abc import Iterator
from typing import Any

from domain.catalog import Catalog
from domain.config import value_problems
from domain.config.form_schemas import schema_problems
from domain.config.structured import json_misfit
from domain.connections import KINDS
from domain.definitions.actions import ActionChecks
from domain.definitions.model import ConfigField, ConfigPage
from domain.definitions.options import check_asking, check_options_from
from domain.definitions.places import Report
from domain.definitions.scope import Known, Scope
from domain.markup import check_html
from domain.text import truncate
from domain.values import Location

_LISTING = ("picklist", "object_selection", "field_map")
_SINGLE = ("string", "number", "boolean", "date", "timestamp", "picklist", "code")
_BELONGS: dict[str, tuple[str, tuple[str, ...]]] = {  # attribute of the model → its name, and the types that have it
    "options": ("options", _LISTING),
    "options_from": ("options_from", _LISTING),
    "collection": ("collection", _SINGLE),
    "connection": ("connection", ("connection",)),
    "hosts": ("hosts", ("connection",)),
    "check": ("check", ("connection",)),
    "language": ("language", ("code",)),
    "form_schema": ("schema", ("json_form",)),
    "ui_schema": ("ui_schema", ("json_form",)),
}


def check_pages(pages: list[ConfigPage], known: Known, catalog: Catalog) -> None:
    checks = FieldChecks(known, catalog)
    for page_index, page in enumerate(pages):
        for index, each in enumerate(page.fields):
            checks.check(each, ("config", page_index, "fields", index))


class FieldChecks:
    def __init__(self, known: Known, catalog: Catalog) -> None:
        self.report = known.report
        self.scope = Scope(known)
        self.actions = ActionChecks(known.fields, catalog, known.report)
        self.seen: set[str] = set()

    def check(self, each: ConfigField, at: Location) -> None:
        report = self.report
        if each.key in self.seen:
            report.add((*at, "key"), "duplicate_field", f"there are two config fields of the key {each.key}")
        self.seen.add(each.key)
        if self._belongs(each, at) and self._is_whole(each, at):
            _check_default(each, at, report)

    def _belongs(self, each: ConfigField, at: Location) -> bool:
        """Whether nothing stands there that goes with other types only."""
        odd = [
            (name, f"{name} goes with fields of type {', '.join(types)} only")
            for attribute, (name, types) in _BELONGS.items()
            if getattr(each, attribute) is not None and each.type not in types
        ]
        if each.secret and (each.type != "string" or each.collection is not None):
            odd.append(("secret", "only a field of type string, and no collection, can be secret"))
        if each.type == "html" and each.required:
            odd.append(("required", "text on a page is never required: it takes no value"))
        for name, detail in odd:
            self.report.add((*at, name), "invalid_value", detail, key=True)
        return not odd

    def _is_whole(self, each: ConfigField, at: Location) -> bool:
        """Whether its own attributes are right, so that its default can be checked by them."""
        match each.type:
            case "connection":
                _check_connection(each, at, self.report)
                if each.check is not None and each.connection in KINDS:
                    tried = each.check.as_used_by(each.key)
                    check_asking(tried, (*at, "check"), self.scope, self.actions, "tries nothing: a check is an action")
            case "code" if each.language is None:
                self.report.add(at, "missing", "language is missing: json, xml or html")
                return False
            case "json_form":
                return _check_form(each, at, self.report)
            case "html":
                _check_html(each, at, self.report)
                return False
        if each.options_from is not None:
            check_options_from(each.options_from, (*at, "options_from"), self.scope, self.actions)
        return each.type not in _LISTING or _check_options(each, at, self.report)


def _check_form(each: ConfigField, at: Location, report: Report) -> bool:
    if each.form_schema is None:
        report.add(at, "missing", "schema is missing: what the form's data must be")
        return False
    wrong = list(schema_problems(each.form_schema))
    for location, detail in wrong:
        report.add((*at, "schema", *location), "invalid_value", detail)
    if each.ui_schema is not None and (misfit := json_misfit(each.ui_schema)):
        report.add((*at, "ui_schema"), *misfit)
    return not wrong


def _check_html(each: ConfigField, at: Location, report: Report) -> None:
    if each.default is None and each.description is None:
        report.add(at, "missing", "default is missing: the text to show")
    elif each.default is not None and not isinstance(each.default, str):
        report.add((*at, "default"), "wrong_type", "this must be text: HTML to show on the page")
    elif each.default is not None and (wrong := check_html(each.default)):
        report.add((*at, "default"), "invalid_value", f"this is not well-formed HTML: {wrong}")


def _check_connection(each: ConfigField, at: Location, report: Report) -> None:
    kind = each.connection
    if kind is None:
        report.add(at, "missing", f"connection is missing: its kind, such as {', '.join(KINDS)}")
    elif kind not in KINDS:
        hint = report.did_you_mean(kind, KINDS) or f": there are {', '.join(KINDS)}"
        report.add((*at, "connection"), "invalid_value", f"there is no kind of connection {truncate(kind, 60)}{hint}")
    if each.hosts == []:
        report.add((*at, "hosts"), "invalid_value", "hosts is empty: the secret could be sent nowhere")
    for index, host in enumerate(each.hosts or ()):
        if not host or set(host) & set("/@ ?#"):
            report.add((*at, "hosts", index), "invalid_value", "a host is a name such as api.example.com, and no URL")


def _check_options(each: ConfigField, at: Location, report: Report) -> bool:
    if each.type == "picklist" and not each.options and each.options_from is None:
        report.add(at, "missing", "options is missing: a picklist needs at least one")
        return False
    seen: set[tuple[bool, object]] = set()
    for index, option in enumerate(each.options or ()):
        identity = (isinstance(option, bool), option)
        if identity in seen:
            report.add(
                (*at, "options", index), "invalid_value", f"the option {truncate(str(option), 60)} is here twice"
            )
        if each.type != "picklist" and not isinstance(option, str):
            report.add((*at, "options", index), "wrong_type", "this must be text: a name")
        seen.add(identity)
    return True


def _check_default(each: ConfigField, at: Location, report: Report) -> None:
    if each.type == "connection" and each.connection not in KINDS:
        return
    for found in value_problems(each, each.default, ""):
        if each.type == "connection" and found.code == "missing":
            continue  # each instance brings the rest
        code = "invalid_value" if found.code == "not_an_option" else found.code
        place = _within(each.default, found.pointer.split("/")[1:])
        report.add((*at, "default", *place), code, f"the default does not fit: {found.detail}")


def _within(value: Any, parts: list[str]) -> Iterator[str | int]:
    """A pointer's parts as a location: in a list they are numbers."""
    for part in parts:
        if isinstance(value, list):
            yield int(part)
            value = value[int(part)]
        else:
            key = part.replace("~1", "/").replace("~0", "~")
            yield key
            value = value.get(key) if isinstance(value, dict) else None
