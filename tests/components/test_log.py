"""The `log` component."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.fakes import Lines, run_action


@pytest.mark.parametrize(
    ("message", "line"),
    [("Hello", "Hello"), ({"total": 1.5, "städte": ["Köln"]}, '{"total":1.5,"städte":["Köln"]}'), (7, "7"), (None, "")],
)
async def test_write_puts_values_as_text(message: Any, line: str) -> None:
    lines = Lines()
    assert await run_action("log.write", {"message": message}, log=lines) is None
    assert lines == [("info", line)]


async def test_write_takes_a_level() -> None:
    lines = Lines()
    await run_action("log.write", {"message": "Careful", "level": "warn"}, log=lines)
    assert lines == [("warn", "Careful")]


@pytest.mark.parametrize("inputs", [{}, {"message": "x", "level": "loud"}, {"message": "x", "colour": "red"}])
async def test_write_refuses_wrong_inputs(inputs: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await run_action("log.write", inputs)
