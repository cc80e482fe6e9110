"""The components there are: every module of this package with a `component`, and what plugins bring.

A plugin is a distribution with an entry point of the group `flowgraft.components` that names a `Component`.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import components
from components.base import Component, Registry
from domain.errors import Invalid

PLUGINS = "flowgraft.components"


def builtin_registry() -> Registry:
    """Raises Invalid for a plugin that cannot be taken."""
    return registry(components, entry_points(group=PLUGINS))


def registry(package: ModuleType, plugins: Iterable[EntryPoint]) -> Registry:
    found: dict[str, Component] = {}
    for component, origin in (*discovered(package), *map(_plugin, plugins)):
        if component.key in found:
            raise Invalid(f"{origin} brings the component {component.key}, which is taken", code="component_key_taken")
        found[component.key] = component
    return Registry(found.values())


def discovered(package: ModuleType) -> Iterator[tuple[Component, str]]:
    """Components and the modules they live in."""
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        component = getattr(importlib.import_module(info.name), "component", None)
        if isinstance(component, Component):
            yield component, info.name


def _plugin(point: EntryPoint) -> tuple[Component, str]:
    component = point.load()
    if not isinstance(component, Component):
        raise Invalid(f"the plugin {point.name} names {point.value}, which is no Component", code="invalid_plugin")
    return component, f"the plugin {point.name} ({point.value})"
