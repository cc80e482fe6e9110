import pytest

from tests.domain.definitions.snippets import HEAD, in_fields, in_flow, in_steps, problems, shown

TOP = "schema: flowgraft/v1\nkey: sync\nname: Sync\nflows: [{key: f, trigger: {type: deploy}, steps: []}]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1 wrong_type "]),
        ("- a", ["1:1 wrong_type "]),
        ("{}", [f"1:1 missing {''}"] * 4),
        (TOP.replace("v1", "v2"), ["1:9 invalid_value schema"]),
        (TOP.replace("key: sync", "key: Sync"), ["2:6 invalid_value key"]),
        (TOP.replace("name: Sync", "name: ''"), ["3:7 invalid_value name"]),
        (TOP.replace("name: Sync", "name: 5"), ["3:7 wrong_type name"]),
        (TOP + "labels: [a, 1]\n", ["5:13 wrong_type labels[1]"]),
        (TOP + "titel: x\n", ["5:1 unknown_key titel"]),
        (TOP + "from_: x\n", ["5:1 unknown_key from_"]),
        (TOP.replace("[{key: f, trigger: {type: deploy}, steps: []}]", "[]"), ["4:8 no_flow flows"]),
        (TOP.replace("[{key: f, trigger: {type: deploy}, steps: []}]", "{a: 1}"), ["4:8 wrong_type flows"]),
        (TOP.replace("[{key: f, trigger: {type: deploy}, steps: []}]", "[1]"), ["4:9 wrong_type flows[0]"]),
        ("definitionVersion: 7\nname: x\nfoo: 1\n", ["1:1 not_supported_yet definitionVersion"]),
    ],
)
def test_definition_top_level(text: str, expected: list[str]) -> None:
    assert shown(problems(text)) == expected


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ("trigger: {type: webhok}", ["1:21 invalid_value trigger.type"]),
        ("trigger: {}", ["1:14 missing trigger"]),
        ("trigger: 5", ["1:14 wrong_type trigger"]),
        ("trigger: {type: webhook, methods: [POST, HEAD]}", ["1:46 invalid_value trigger.methods[1]"]),
        ("trigger: {type: webhook, webhook: 1}", ["1:30 unknown_key trigger.webhook"]),
        ("trigger: {type: webhook, tags: {'a b': x}}", ['1:37 invalid_value trigger.tags["a b"]']),
        ("trigger: {type: webhook, tags: {a: 1}}", ["1:40 wrong_type trigger.tags.a"]),
        ("trigger: {type: webhook, security: {apikey: 1}}", ["1:41 unknown_key trigger.security.apikey"]),
        ("trigger: {type: schedule, crom: x}", ["1:31 unknown_key trigger.crom"]),
        ("trigger: {type: deploy}\nretry: {retries: 11}", ["2:22 invalid_value retry.retries"]),
        ("trigger: {type: deploy}\nretry: {retries: true}", ["2:22 wrong_type retry.retries"]),
        ("trigger: {type: deploy}\nretry: {retries: '3'}", ["2:22 wrong_type retry.retries"]),
        ("trigger: {type: deploy}\nretry: {delay: 1 minute}", ["2:20 bad_duration retry.delay"]),
        ("trigger: {type: deploy}\ntimeout: 15", ["2:14 wrong_type timeout"]),
        ("trigger: {type: deploy}\ntimeout: 15min", ["2:14 bad_duration timeout"]),
        ("trigger: {type: deploy}\nretrys: {}", ["2:5 unknown_key retrys"]),
    ],
)
def test_flow_structure(flow: str, expected: list[str]) -> None:
    assert in_flow(flow) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("      - {}\n", ["1:9 missing steps[0]"]),
        ("      - 5\n", ["1:9 wrong_type steps[0]"]),
        ("      - {key: 1a, break: true}\n", ["1:15 invalid_value steps[0].key"]),
        ("      - {key: a, loop: {times: []}, steps: []}\n", ["1:32 wrong_type steps[0].loop.times"]),
        ("      - {key: a, stop: {status: {int: 1}}}\n", ["1:33 wrong_type steps[0].stop.status"]),
        ("      - {key: a, stop: {}, else_: 1}\n", ["1:28 unknown_key steps[0].else_"]),
        ("      - {key: a, branch: [{name: x, else: false}]}\n", ["1:43 invalid_value steps[0].branch[0].else"]),
        (
            "      - {key: a, loop: {times: 1}, steps: [{key: b, loop: {times: 1}, steps: [{key: c, stopp: {}}]}]}\n",
            ["1:88 unknown_key steps[0].steps[0].steps[0].stopp"],
        ),
    ],
)
def test_step_structure(steps: str, expected: list[str]) -> None:
    assert in_steps(steps) == expected


def test_step_list_that_is_empty_text() -> None:
    assert shown(problems(HEAD + "  - key: main\n    trigger: {type: deploy}\n    steps:\n")) == [
        "14:11 wrong_type flows[0].steps"
    ]


def test_field_options_of_a_wrong_type_are_one_problem() -> None:
    assert in_fields("{key: a, type: picklist, options: [a, [b]]}") == ["1:47 wrong_type [0].options[1]"]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (TOP.replace("flows:", "flowz:"), "unknown key flowz; did you mean flows?"),
        (TOP.replace("type: deploy", "type: deplo"), "did you mean deploy?"),
        (TOP.replace("steps: []", "stepz: []"), "unknown key stepz; did you mean steps?"),
        (TOP.replace("steps: []", "steps: [], zzz: 1"), "known here: key, name, description, trigger"),
        (TOP.replace("steps: []", "steps: [], form: 1"), "unknown key form"),
        (TOP.replace("{type: deploy}", "{type: schedule, form: x}"), "unknown key form; did you mean from?"),
        (TOP.replace("name: Sync", "name: [x]"), "this must be text, not a list"),
        (
            TOP + "config: [{page: A, fields: [{key: a, type: picklist, options: [{}]}]}]",
            "text or a whole number or a n",
        ),
    ],
)
def test_structure_detail_helps(text: str, detail: str) -> None:
    assert any(detail in each.detail for each in problems(text))


def test_unknown_keys_hide_nothing_else() -> None:
    steps = (
        "      - key: a\n"
        "        action: http.gte\n"
        "        inputz: {url: x}\n"
        "      - {key: b, acton: http.get}\n"
        "      - {key: c, stop: {body: '{{ steps.nope }}'}}\n"
    )
    assert in_steps(steps) == [
        "2:17 unknown_action steps[0].action",
        "3:9 unknown_key steps[0].inputz",
        "4:18 unknown_key steps[1].acton",
        "5:31 unknown_step steps[2].stop.body",
    ]


def test_unknown_key_is_no_second_problem() -> None:
    found = in_steps("      - {key: a, action: http.get, inputz: {url: x}}\n      - {key: b, stopp: {}}\n")
    assert found == ["1:36 unknown_key steps[0].inputz", "2:18 unknown_key steps[1].stopp"]


def test_duplicate_keys_hide_nothing_else() -> None:
    found = in_steps("      - {key: a, key: b, stop: {body: '{{ steps.nope }}'}}\n")
    assert found == ["1:18 duplicate_key steps[0].key", "1:39 unknown_step steps[0].stop.body"]


def test_unknown_key_that_hides_the_fields_stops_there() -> None:
    text = TOP.replace("steps: []", "steps: [{key: a, stop: {body: '{{ config.a }}'}}]")
    found = shown(problems(text + "config: [{page: P, feilds: [{key: a, type: string}]}]\n"))
    assert found == ["5:20 unknown_key config[0].feilds"]


def test_many_problems_are_bounded() -> None:
    assert len(problems(TOP + "".join(f"x{number}: 1\n" for number in range(5000)))) == 100
