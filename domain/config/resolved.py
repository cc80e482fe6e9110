"""What the values of an instance come to: the form in which they are kept, and what the flows see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.connections import check_connection, complete, merged, public_fields, reference
from domain.definitions.model import ConfigField
from domain.instants import read_instant, utc_text
from domain.schedule_values import schedule_value

Values = Mapping[str, Any]
Fields = Mapping[str, ConfigField]


class SecretText(str):
    """Text that is stored as a secret: a field that is none, in another version, must not show it."""

    __slots__ = ()


class SecretObject(dict[str, Any]):
    """An object that is stored as a secret, such as a connection's inputs."""


def as_secret(value: Any) -> Any:
    """Marks what was stored encrypted."""
    if isinstance(value, str):
        return SecretText(value)
    return SecretObject(value) if isinstance(value, dict) else value


def holds_secrets(field: ConfigField) -> bool:
    return field.secret or field.type == "connection"


def is_exposed(field: ConfigField, value: Any) -> bool:
    """Whether a value that was entered as a secret stands in a field that would show it."""
    return isinstance(value, SecretText | SecretObject) and not holds_secrets(field)


@dataclass(frozen=True)
class ResolvedConfig:
    """`public` is what `config.<key>` yields, without the secret fields; the rest never enters Temporal."""

    public: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)  # key → kind, hosts; values or connection_id


def effective(config_field: ConfigField, set_values: Values) -> Any:
    """A connection's value is completed by the definition's default; without a value that may not be enough for one."""
    value = set_values.get(config_field.key)
    if config_field.type == "connection":
        whole = merged(config_field.default, value)
        kind = config_field.connection or ""
        bare = value is None and whole is not None and check_connection(kind, whole, "", config_field.default)
        return None if bare else whole
    return config_field.default if value is None else value


def resolve(fields: Fields, set_values: Values) -> ResolvedConfig:
    """Of values that fit. An optional field without value and default is None; what is on a page only is not there."""
    resolved = ResolvedConfig()
    for key, each in fields.items():
        value = effective(each, set_values)
        if each.type == "html":
            continue
        if each.secret:
            if value is not None:
                resolved.secrets[key] = value
        elif each.type == "connection" and value is not None:
            kind = each.connection or ""
            resolved.public[key] = public_fields(kind, value)
            held = {"connection_id": value["connection_id"]} if reference(value) else {"values": complete(kind, value)}
            resolved.connections[key] = {"kind": kind, "hosts": each.hosts} | held
        elif each.type == "schedule" and value is not None:
            resolved.public[key] = schedule_value(value)
        else:
            resolved.public[key] = kept(each, value)
    return resolved


def with_changes(fields: Fields, set_values: Values, changes: Values) -> dict[str, Any]:
    """Only the keys given change; None goes back to the default. The changes fit their fields."""
    changed = {key: kept(fields[key], value) for key, value in changes.items()}
    return {key: value for key, value in {**set_values, **changed}.items() if value is not None}


def kept(each: ConfigField, value: Any) -> Any:
    """A value that fits, in the one form in which it is kept: timestamps are in UTC."""
    return _mapped(value, _utc) if each.type == "timestamp" else value


def _utc(value: Any) -> Any:
    instant = read_instant(value) if isinstance(value, str) else None
    return utc_text(instant) if instant else value


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Each item of a collection, or the value itself."""
    if isinstance(value, list):
        return [change(item) for item in value]
    return {key: change(item) for key, item in value.items()} if isinstance(value, dict) else change(value)
