"""The catalogue: what is found without a list, what plugins add, and what every action owes its users."""

from importlib.metadata import EntryPoint

import pytest

import components
from components.catalogue import PLUGINS, builtin_registry, registry
from domain.errors import Invalid
from tests.components import sample

GREET = "tests.components.sample.greet:component"


def plugin(value: str) -> EntryPoint:
    return EntryPoint(name="acme", value=value, group=PLUGINS)


def test_builtin_registry_holds_the_components() -> None:
    keys = {component.key for component in builtin_registry().components}
    assert {"data", "http", "log", "math", "state", "text", "time"} <= keys


def test_a_module_dropped_into_the_package_is_found() -> None:
    found = registry(sample, [])
    assert [component.key for component in found.components] == ["greet"]
    assert found.get("greet.hello") is not None


def test_actions_have_summaries_and_unlike_names() -> None:
    for component in builtin_registry().components:
        names = [action.name for action in component.actions]
        assert len(names) == len(set(names))
        assert all(action.summary and not action.summary.endswith(".") for action in component.actions)


def test_only_http_touches_the_world() -> None:
    assert {spec.component for spec in builtin_registry().catalog().values() if not spec.local} == {"http"}


def test_catalog_names_inputs_as_definitions_write_them() -> None:
    catalog = builtin_registry().catalog()
    assert catalog["data.pick"].fields == {"from": True, "keys": True}
    assert catalog["text.replace"].fields == {"text": True, "find": True, "with": True}
    assert catalog["http.post"].fields["json"] is False
    assert catalog["data.filter"].fields == {"items": True, "when": True}
    assert catalog["data.filter"].lazy == {"when"}


def test_every_input_has_a_json_schema() -> None:
    for component in builtin_registry().components:
        for action in component.actions:
            assert action.inputs.model_json_schema()["additionalProperties"] is False


def test_a_plugin_adds_a_component() -> None:
    found = registry(components, [plugin(GREET)])
    assert found.get("greet.hello") is not None
    assert found.get("http.get") is not None


def test_a_plugin_with_a_taken_key_is_refused() -> None:
    with pytest.raises(Invalid, match=r"plugin acme \(tests.components.sample.greet:component\) .* greet") as refused:
        registry(sample, [plugin(GREET)])
    assert refused.value.code == "component_key_taken"


def test_a_plugin_without_a_component_is_refused() -> None:
    with pytest.raises(Invalid, match="acme") as refused:
        registry(sample, [plugin("tests.components.sample.words:component")])
    assert refused.value.code == "invalid_plugin"
