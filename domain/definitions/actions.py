"""Checks of an action's use, by a step or by a field that lists its options: it exists, takes the inputs, fits the
connection."""

from collections.abc import Mapping
from typing import Any, Protocol

from domain.catalog import ActionSpec, Catalog
from domain.definitions.model import ConfigField
from domain.definitions.places import Report
from domain.text import truncate
from domain.values import Location

_NOT_BUILT_INPUTS = {("http", "multipart")}


class Use(Protocol):
    """What a step and `options_from` have in common."""

    @property
    def inputs(self) -> dict[str, Any]: ...

    @property
    def connection(self) -> str | None: ...

    @property
    def model_fields_set(self) -> set[str]: ...


class ActionChecks:
    def __init__(self, fields: Mapping[str, ConfigField], catalog: Catalog, report: Report) -> None:
        self.fields = fields
        self.catalog = catalog
        self.report = report
        self.components = {spec.component: None for spec in catalog.values()}

    def spec(self, action: str, at: Location) -> ActionSpec | None:
        spec = self.catalog.get(action)
        if spec is not None:
            return spec
        component, dot, name = action.partition(".")
        if component in self.components:
            known = [each for each in self.catalog if each.startswith(f"{component}.")]
            hint = self.report.did_you_mean(action, known) or f": it has {', '.join(known)}"
            named = f"no action {truncate(name, 60)}" if dot else "no action named here, such as http.get"
            self.report.add(at, "unknown_action", f"the component {component} has {named}{hint}")
            return None
        nearest = self.report.did_you_mean(action, self.catalog) or self.report.did_you_mean(component, self.components)
        self.report.add(at, "unknown_component", f"there is no component {truncate(component, 60)}{nearest}")
        return None

    def check_use(self, use: Use, spec: ActionSpec, at: Location) -> None:
        self._check_inputs(use, spec, at)
        if use.connection is not None:
            self._check_connection(use.connection, spec, (*at, "connection"))

    def _check_inputs(self, use: Use, spec: ActionSpec, at: Location) -> None:
        for name in use.inputs:
            if (spec.component, name) in _NOT_BUILT_INPUTS:
                self.report.add((*at, "inputs", name), "not_supported_yet", f"{name} is not built yet", key=True)
            elif name not in spec.fields:
                hint = self.report.did_you_mean(name, spec.fields) or f": it takes {', '.join(spec.fields) or 'none'}"
                detail = f"{spec.key} has no input {truncate(name, 60)}{hint}"
                self.report.add((*at, "inputs", name), "unknown_input", detail, key=True)
        where = (*at, "inputs") if "inputs" in use.model_fields_set else at
        for name, required in spec.fields.items():
            if required and use.inputs.get(name) is None:
                self.report.add(where, "missing_input", f"{spec.key} needs the input {name}")

    def _check_connection(self, key: str, spec: ActionSpec, at: Location) -> None:
        field = self.fields.get(key)
        if field is None:
            hint = self.report.did_you_mean(key, self.fields)
            self.report.add(at, "unknown_config_key", f"there is no config key {key}{hint}")
        elif field.type != "connection":
            self.report.add(at, "invalid_value", f"{field.key} is of type {field.type}, not connection")
        elif not spec.connections:
            self.report.add(at, "invalid_value", f"{spec.key} takes no connection", key=True)
        elif field.connection not in spec.connections:
            kinds = ", ".join(sorted(spec.connections))
            self.report.add(
                at, "invalid_value", f"{spec.key} takes connections of kind {kinds}, not {field.connection}"
            )
