"""Messages as JSON and back: what the SDK does, for dataclasses, without asking their types anew for each payload."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from temporalio.converter import (
    AdvancedJSONEncoder,
    CompositePayloadConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    JSONTypeConverter,
)

Reader = Callable[[Any], Any]


class MessageConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        json = JSONPlainPayloadConverter(encoder=_Encoder, custom_type_converters=[_Messages()])
        *others, _ = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*others, json)


class _Encoder(AdvancedJSONEncoder):
    def default(self, o: Any) -> Any:
        """The SDK copies a dataclass deeply; the encoder comes by its inner ones itself."""
        if is_dataclass(o) and not isinstance(o, type):
            return {field.name: getattr(o, field.name) for field in fields(o)}
        return super().default(o)


class _Messages(JSONTypeConverter):
    def to_typed_value(self, hint: Any, value: Any) -> Any:
        """Unknown fields are dropped: a newer process may have written them."""
        return message_reader(hint)(value) if isinstance(hint, type) and is_dataclass(hint) else self.Unhandled


@lru_cache(maxsize=256)
def message_reader(message: type[Any]) -> Reader:
    """From what JSON holds to the dataclass; with what lies in it as its types say, unchecked: only we write it."""
    hints = get_type_hints(message)
    names = [field.name for field in fields(message)]
    readers = [(name, reader) for name in names if (reader := _reader(hints[name]))]

    def read(value: Any) -> Any:
        given = {name: value[name] for name in names if name in value}
        for name, reader in readers:
            if name in given:
                given[name] = reader(given[name])
        return message(**given)

    return read


def _reader(hint: Any) -> Reader | None:
    """None: as it comes from JSON."""
    if isinstance(hint, type) and is_dataclass(hint):
        return message_reader(hint)
    inner = next((reader for argument in get_args(hint) if (reader := _reader(argument))), None)
    if inner is None:
        return None
    origin = get_origin(hint)
    if origin is list:
        return lambda value: [inner(item) for item in value]
    if origin is dict:
        return lambda value: {key: inner(item) for key, item in value.items()}
    if origin in (Union, UnionType):
        return lambda value: None if value is None else inner(value)
    raise TypeError(f"messages cannot hold {hint}")
