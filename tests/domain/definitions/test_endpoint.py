import pytest

from domain.definitions.model import Definition
from tests.domain.definitions.snippets import HEAD, problems, read, shown

HOOK = "  - {{key: {}, trigger: {{type: webhook}}, steps: []}}\n"
ONE = HOOK.format("a")
TWO = ONE + HOOK.format("b")
NONE = "  - {key: c, trigger: {type: deploy}, steps: []}\n"


def in_endpoint(endpoint: str, flows: str) -> list[str]:
    """The problems of an endpoint; its line counts as 1."""
    text = f"{HEAD}{flows}endpoint: {endpoint}\n"
    return shown(problems(text), text.count("\n"))


@pytest.mark.parametrize(
    ("endpoint", "flows", "expected"),
    [
        ("{mode: flow_specific}", TWO, []),
        ("{}", TWO, []),
        ("{mode: instance_specific}", ONE + NONE, []),
        ("{mode: instance_specific, flow: headers.x-acme-flow}", TWO, []),
        ("{mode: instance_specific, flow: 'body.events[0].type'}", TWO, []),
        ("{mode: shared_instance, flow: query.flow, customer: body.account.id}", TWO, []),
        ("{mode: shared_instance, customer: headers.x-acme-customer}", ONE, []),
        ("{mode: shared}", ONE, ["1:18 invalid_value endpoint.mode"]),
        ("{modus: shared_instance}", ONE, ["1:12 unknown_key endpoint.modus"]),
        ("shared_instance", ONE, ["1:11 wrong_type endpoint"]),
        ("{mode: instance_specific}", TWO, ["1:1 missing endpoint"]),
        ("{mode: shared_instance, customer: body.c}", TWO, ["1:1 missing endpoint"]),
        ("{mode: shared_instance, flow: body.f}", TWO, ["1:1 missing endpoint"]),
        ("{mode: shared_instance}", TWO, ["1:1 missing endpoint"] * 2),
        ("{mode: instance_specific}", NONE, ["1:18 invalid_value endpoint.mode"]),
        ("{flow: query.flow}", TWO, ["1:12 invalid_value endpoint.flow"]),
        ("{mode: instance_specific, customer: query.c}", ONE, ["1:37 invalid_value endpoint.customer"]),
        ("{mode: instance_specific, flow: flow}", TWO, ["1:43 bad_expression endpoint.flow"]),
        ("{mode: instance_specific, flow: headers}", TWO, ["1:43 bad_expression endpoint.flow"]),
        ("{mode: instance_specific, flow: '{{ query.flow }}'}", TWO, ["1:43 bad_expression endpoint.flow"]),
        ("{mode: instance_specific, flow: trigger.body.flow}", TWO, ["1:43 bad_expression endpoint.flow"]),
        ("{mode: shared_instance, customer: ''}", ONE, ["1:45 bad_expression endpoint.customer"]),
    ],
)
def test_endpoint(endpoint: str, flows: str, expected: list[str]) -> None:
    assert in_endpoint(endpoint, flows) == expected


def test_endpoint_says_what_is_missing_and_why() -> None:
    found = problems(HEAD + TWO + "endpoint: {mode: shared_instance}\n")
    assert [each.detail for each in found] == [
        "flow is missing: there are 2 flows with a webhook, and a request must name one of them",
        "customer is missing: a request must name its customer",
    ]


def test_mode_without_an_endpoint_is_flow_specific() -> None:
    assert read(HEAD + ONE).endpoint_mode == "flow_specific"
    routed: Definition = read(HEAD + ONE + "endpoint: {mode: instance_specific}\n")
    assert routed.endpoint_mode == "instance_specific"
