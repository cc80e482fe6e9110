import pytest

from domain.definitions.reader import read_definition
from tests.domain.definitions.catalog import CATALOG
from tests.domain.definitions.snippets import HEAD, STEPS_HEAD, in_flow, in_steps


def say(key: str, expression: str) -> str:
    return f"{{key: {key}, action: log.write, inputs: {{message: '{{{{ {expression} }}}}'}}}}"


def referring(expression: str) -> list[tuple[str, str]]:
    text = HEAD + STEPS_HEAD + f"      - {say('a', expression)}\n"
    return [(each.code, each.detail) for each in read_definition(text, CATALOG).errors]


@pytest.mark.parametrize(
    "expression",
    [
        "trigger",
        "trigger.body",
        "trigger.body.a[0].b",
        'trigger.headers["X-Any"]',
        "trigger.query.q",
        "trigger.raw",
        "trigger.content_type",
        "customer.external_id",
        "instance.name",
        "execution.attempt",
        "flows.main.webhook_url",
        "config.region",
        "config.token",
        "config.shop",
        "config.shop.name",
        "config.nightly.time_zone",
    ],
)
def test_expression_to_what_is_known(expression: str) -> None:
    assert referring(expression) == []


@pytest.mark.parametrize(
    ("expression", "code", "detail"),
    [
        ("step.a", "out_of_scope", "there is no step; did you mean steps?"),
        ("trigger.boddy", "out_of_scope", "trigger has no boddy; did you mean body?"),
        ("trigger[0]", "out_of_scope", "trigger has no 0: it has body, headers"),
        ("customer.email", "out_of_scope", "customer has no email"),
        ("instance.external_id", "out_of_scope", "instance has no external_id"),
        ("execution.status", "out_of_scope", "execution has no status"),
        ("flows.mian.webhook_url", "out_of_scope", "there is no flow mian; did you mean main?"),
        ("flows.main.url", "out_of_scope", "flows.main.webhook_url"),
        ("flows", "out_of_scope", "flows needs a flow"),
        ("config", "out_of_scope", "config needs a config key"),
        ("steps", "out_of_scope", "steps needs a step"),
        ("config.regoin", "unknown_config_key", "there is no config key regoin; did you mean region?"),
        ("config.shop.value", "secret_not_allowed", "through its connection alone"),
        ("config.shop.zip", "unknown_config_key", "http/api_key has no zip: name, in"),
        ("loop.item", "out_of_scope", "loop is known only inside a loop"),
        ("item.x", "out_of_scope", "in a loop it is loop.item"),
        ("index", "out_of_scope", "in a loop it is loop.index"),
        ("steps.aa", "unknown_step", "there is no step aa in this flow"),
        ("steps[0]", "unknown_step", "there is no step 0"),
        ("steps.a", "out_of_scope", "step a cannot have run before this"),
        ("a | upper", "bad_expression", "character 6"),
        ("", "bad_expression", "a path is missing"),
    ],
)
def test_expression_to_what_is_not(expression: str, code: str, detail: str) -> None:
    ((found_code, found_detail),) = referring(expression)
    assert found_code == code
    assert detail in found_detail


BRANCH = """\
      - {key: before, stop: {}}
      - key: size
        branch:
          - name: Big
            when: {exists: '{{ HERE_WHEN }}'}
            steps:
              - {key: big, stop: {}}
              - {key: big2, stop: {body: '{{ HERE_BIG }}'}}
          - name: Else
            else: true
            steps:
              - {key: small, stop: {body: '{{ HERE_SMALL }}'}}
      - {key: after, stop: {body: '{{ HERE_AFTER }}'}}
"""
LOOP = """\
      - {key: before, stop: {}}
      - key: outer
        loop: {over: '{{ HERE_OVER }}'}
        steps:
          - {key: first, stop: {body: '{{ HERE_FIRST }}'}}
          - key: inner
            loop: {times: 2}
            steps:
              - {key: deep, stop: {body: '{{ HERE_DEEP }}'}}
              - {key: deeper, stop: {}}
          - {key: last, stop: {body: '{{ HERE_LAST }}'}}
      - {key: after, stop: {body: '{{ HERE_AFTER }}'}}
"""


def placed(template: str, place: str, expression: str) -> list[str]:
    text = template.replace(f"HERE_{place} ", f"{expression} ")
    while "HERE_" in text:
        start = text.index("HERE_")
        text = text[:start] + "trigger.body" + text[text.index(" ", start) :]
    errors = read_definition(HEAD + STEPS_HEAD + text, CATALOG).errors
    return [f"{each.code}: {each.detail}" for each in errors]


@pytest.mark.parametrize(
    ("template", "place", "expression"),
    [
        (BRANCH, "WHEN", "steps.before"),
        (BRANCH, "BIG", "steps.big.x"),
        (BRANCH, "SMALL", "steps.before"),
        (BRANCH, "AFTER", "steps.size"),
        (BRANCH, "AFTER", "steps.big"),
        (BRANCH, "AFTER", "steps.small.body"),
        (LOOP, "OVER", "steps.before.list"),
        (LOOP, "FIRST", "loop.item.sku"),
        (LOOP, "FIRST", "steps.outer.index"),
        (LOOP, "DEEP", "loop.index"),
        (LOOP, "DEEP", "steps.outer.item.sku"),
        (LOOP, "DEEP", "steps.inner.index"),
        (LOOP, "DEEP", "steps.first"),
        (LOOP, "LAST", "steps.inner[0]"),
        (LOOP, "LAST", "steps.first"),
        (LOOP, "AFTER", "steps.outer"),
        (LOOP, "AFTER", "steps.outer[0].sku"),
    ],
)
def test_reference_to_a_step_that_may_have_run(template: str, place: str, expression: str) -> None:
    assert placed(template, place, expression) == []


@pytest.mark.parametrize(
    ("template", "place", "expression", "problem"),
    [
        (BRANCH, "WHEN", "steps.size", "out_of_scope: step size cannot have run before this"),
        (BRANCH, "WHEN", "steps.big", "out_of_scope: step big cannot have run before this"),
        (BRANCH, "BIG", "steps.small", "out_of_scope: step small is in another case of the branch size"),
        (BRANCH, "SMALL", "steps.big", "out_of_scope: step big is in another case of the branch size"),
        (BRANCH, "SMALL", "steps.size", "out_of_scope: the branch size has not ended here: it has no value yet"),
        (BRANCH, "SMALL", "steps.after", "out_of_scope: step after cannot have run before this"),
        (BRANCH, "AFTER", "loop.item", "out_of_scope: loop is known only inside a loop"),
        (LOOP, "OVER", "steps.outer.item", "out_of_scope: step outer cannot have run before this"),
        (LOOP, "OVER", "loop.item", "out_of_scope: loop is known only inside a loop"),
        (LOOP, "FIRST", "steps.outer", "out_of_scope: inside the loop outer only steps.outer.item and"),
        (LOOP, "FIRST", "steps.outer[0]", "out_of_scope: inside the loop outer only steps.outer.item and"),
        (LOOP, "FIRST", "steps.last", "out_of_scope: step last cannot have run before this"),
        (LOOP, "FIRST", "steps.inner.item", "out_of_scope: step inner cannot have run before this"),
        (LOOP, "FIRST", "loop.itme", "out_of_scope: loop has no itme; did you mean item?"),
        (LOOP, "DEEP", "steps.deeper", "out_of_scope: step deeper cannot have run before this"),
        (LOOP, "LAST", "steps.deep", "out_of_scope: step deep is inside the loop inner: outside of it use steps.inner"),
        (
            LOOP,
            "AFTER",
            "steps.last",
            "out_of_scope: step last is inside the loop outer: outside of it use steps.outer",
        ),
        (
            LOOP,
            "AFTER",
            "steps.deep",
            "out_of_scope: step deep is inside the loop outer: outside of it use steps.outer",
        ),
        (LOOP, "AFTER", "steps.befor", "unknown_step: there is no step befor in this flow; did you mean before?"),
    ],
)
def test_reference_to_a_step_that_cannot_have_run(template: str, place: str, expression: str, problem: str) -> None:
    (found,) = placed(template, place, expression)
    assert found.startswith(problem)


def test_reference_to_a_step_of_another_flow() -> None:
    other = f"  - key: two\n    trigger: {{type: deploy}}\n    steps: [{say('b', 'steps.a')}]\n"
    assert in_steps("      - {key: a, stop: {}}\n" + other) == ["4:59 unknown_step flows[1].steps[0].inputs.message"]


def test_reference_within_nested_inputs_has_its_own_place() -> None:
    steps = (
        "      - key: a\n"
        "        action: http.post\n"
        "        inputs:\n"
        "          url: 'https://x/{{ config.region }}/{{ config.nope }}'\n"
        "          json:\n"
        "            lines: [1, '{{ steps.nope }}']\n"
        "            more: '{{ trigger.body | x }}'\n"
    )
    assert in_steps(steps) == [
        "4:16 unknown_config_key steps[0].inputs.url",
        "6:24 unknown_step steps[0].inputs.json.lines[1]",
        "7:19 bad_expression steps[0].inputs.json.more",
    ]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("data.map, inputs: {items: [], to: {a: '{{ item.x }}', b: '{{ index }}', c: '{{ trigger.body }}'}}", []),
        ("data.filter, inputs: {items: [], when: {equal: ['{{ item.x }}', '{{ index }}']}}", []),
        ("data.map, inputs: {items: '{{ item }}', to: 1}", ["out_of_scope steps[0].inputs.items"]),
        ("data.map, inputs: {items: [], to: '{{ item.a }} {{ nope }}'}", ["out_of_scope steps[0].inputs.to"]),
        ("data.map, inputs: {items: [], to: '{{ config.token }}'}", ["secret_not_allowed steps[0].inputs.to"]),
        ("data.filter, inputs: {items: [], when: {equalz: [1, 2]}}", ["bad_condition steps[0].inputs.when.equalz"]),
        ("data.filter, inputs: {items: [], when: '{{ item }}'}", ["bad_condition steps[0].inputs.when"]),
        ("data.set, inputs: {value: '{{ item }}'}", ["out_of_scope steps[0].inputs.value"]),
    ],
)
def test_lazy_inputs_know_the_item(action: str, expected: list[str]) -> None:
    found = in_steps(f"      - {{key: a, action: {action}}}\n")
    assert [each.partition(" ")[2] for each in found] == expected


@pytest.mark.parametrize(
    ("step", "column", "path"),
    [
        ("{key: a, branch: [{name: x, when: {exists: '{{ config.token }}'}}]}", 52, "branch[0].when.exists"),
        ("{key: a, loop: {over: '{{ config.token }}'}, steps: []}", 31, "loop.over"),
        ("{key: a, loop: {times: 'x{{ config.token }}'}, steps: []}", 32, "loop.times"),
        ("{key: a, stop: {body: ['{{ config.token }}']}}", 32, "stop.body[0]"),
        ("{key: a, stop: {headers: {a: '{{ config.token }}'}}}", 38, "stop.headers.a"),
        ("{key: a, stop: {fail: '{{ config.token }}'}}", 31, "stop.fail"),
    ],
)
def test_secret_outside_of_inputs(step: str, column: int, path: str) -> None:
    assert in_steps(f"      - {step}\n") == [f"1:{column} secret_not_allowed steps[0].{path}"]


def test_secret_in_tags() -> None:
    assert in_flow("trigger: {type: webhook, tags: {a: '{{ config.token }}'}}") == [
        "1:40 secret_not_allowed trigger.tags.a"
    ]


def test_steps_are_unknown_to_the_trigger() -> None:
    assert in_flow("trigger: {type: webhook, tags: {a: '{{ steps.a }}'}}") == ["1:40 out_of_scope trigger.tags.a"]
