"""Checks of the configuration pages: each field's own rules, and defaults that fit."""

from domain.config import value_problems
from domain.connections import KINDS, NOT_BUILT
from domain.definitions.model import ConfigField, ConfigPage
from domain.definitions.places import Report
from domain.text import truncate
from domain.values import Location

_NOT_BUILT_TYPES = {"date", "timestamp", "code", "json_form", "object_selection", "field_map", "html"}
_BELONGS = {  # attribute of the model → its name in the notation, and the one type that has it
    "options": ("options", "picklist"),
    "options_from": ("options_from", "picklist"),
    "connection": ("connection", "connection"),
    "hosts": ("hosts", "connection"),
    "language": ("language", "code"),
    "form_schema": ("schema", "json_form"),
    "ui_schema": ("ui_schema", "json_form"),
}


def check_pages(pages: list[ConfigPage], report: Report) -> None:
    seen: set[str] = set()
    for page_index, page in enumerate(pages):
        for index, each in enumerate(page.fields):
            at: Location = ("config", page_index, "fields", index)
            if each.key in seen:
                report.add((*at, "key"), "duplicate_field", f"there are two config fields of the key {each.key}")
            seen.add(each.key)
            _check_field(each, at, report)


def _check_field(each: ConfigField, at: Location, report: Report) -> None:
    if each.type in _NOT_BUILT_TYPES:
        report.add((*at, "type"), "not_supported_yet", f"fields of type {each.type} are not built yet")
        return
    for name in ("collection", "options_from"):
        if getattr(each, name) is not None:
            report.add((*at, name), "not_supported_yet", f"{name} is not built yet", key=True)
    if each.visible_to != "customer":
        report.add((*at, "visible_to"), "not_supported_yet", "visible_to is not built yet", key=True)
    _check_belonging(each, at, report)
    if each.type == "connection":
        _check_connection(each, at, report)
    if each.type == "picklist":
        _check_options(each, at, report)
    if each.type != "picklist" or each.options:
        _check_default(each, at, report)


def _check_belonging(each: ConfigField, at: Location, report: Report) -> None:
    for attribute, (name, wanted) in _BELONGS.items():
        if getattr(each, attribute) is not None and each.type != wanted:
            report.add((*at, name), "invalid_value", f"{name} goes with fields of type {wanted} only", key=True)
    if each.secret and each.type != "string":
        report.add((*at, "secret"), "invalid_value", "only a field of type string can be secret", key=True)


def _check_connection(each: ConfigField, at: Location, report: Report) -> None:
    kind = each.connection
    if kind is None:
        report.add(at, "missing", f"connection is missing: its kind, such as {', '.join(KINDS)}")
    elif kind in NOT_BUILT:
        report.add((*at, "connection"), "not_supported_yet", f"connections of kind {kind} are not built yet")
    elif kind not in KINDS:
        hint = report.did_you_mean(kind, KINDS) or f": there are {', '.join(KINDS)}"
        report.add((*at, "connection"), "invalid_value", f"there is no kind of connection {truncate(kind, 60)}{hint}")
    if each.hosts == []:
        report.add((*at, "hosts"), "invalid_value", "hosts is empty: the secret could be sent nowhere")
    for index, host in enumerate(each.hosts or ()):
        if not host or set(host) & set("/@ ?#"):
            report.add((*at, "hosts", index), "invalid_value", "a host is a name such as api.example.com, and no URL")


def _check_options(each: ConfigField, at: Location, report: Report) -> None:
    if not each.options:
        if each.options_from is None:
            report.add(at, "missing", "options is missing: a picklist needs at least one")
        return
    seen: set[tuple[bool, object]] = set()
    for index, option in enumerate(each.options):
        identity = (isinstance(option, bool), option)
        if identity in seen:
            report.add(
                (*at, "options", index), "invalid_value", f"the option {truncate(str(option), 60)} is here twice"
            )
        seen.add(identity)


def _check_default(each: ConfigField, at: Location, report: Report) -> None:
    if each.type == "connection" and each.connection not in KINDS:
        return
    for found in value_problems(each, each.default, ""):
        code = "invalid_value" if found.code == "not_an_option" else found.code
        report.add((*at, "default", *found.pointer.split("/")[1:]), code, f"the default does not fit: {found.detail}")
