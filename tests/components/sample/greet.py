"""The `greet` component of the tests: all it takes to add a component is such a file."""

from components.base import Action, ActionContext, Component, Inputs


class HelloInputs(Inputs):
    name: str


async def _hello(_: ActionContext, inputs: HelloInputs) -> str:
    return f"Hello {inputs.name}"


component = Component(
    key="greet",
    name="Greet",
    actions=(Action(name="hello", inputs=HelloInputs, run=_hello, summary="Says hello"),),
)
