"""The `log` component: a line in the customer-facing log."""

from typing import Any

from components.base import Action, ActionContext, Component, Inputs
from components.inputs import as_text
from domain.logs import Severity


class WriteInputs(Inputs):
    message: Any
    level: Severity = "info"


async def _write(context: ActionContext, inputs: WriteInputs) -> None:
    context.log(inputs.level, as_text(inputs.message))


component = Component(
    key="log",
    name="Log",
    actions=(Action(name="write", inputs=WriteInputs, run=_write, summary="Writes a line to the log"),),
)
