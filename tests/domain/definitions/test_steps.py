import pytest

from domain.definitions.reader import read_definition
from tests.domain.definitions.catalog import CATALOG
from tests.domain.definitions.snippets import HEAD, STEPS_HEAD, in_steps


def one(step: str) -> list[str]:
    """The problems of the step `s`, columns of its own text."""
    found = in_steps(f"      - {{key: s, {step}}}\n")
    return [each.replace("steps[0]", "s", 1) for each in found]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("action: http.get, inputs: {url: x}", []),
        ("action: http.get", ["1:9 missing_input s"]),
        ("action: http.get, inputs: {url: null}", ["1:44 missing_input s.inputs"]),
        ("action: http.get, inputs: {url: x, querry: {}}", ["1:53 unknown_input s.inputs.querry"]),
        ("action: http.post, inputs: {url: x, multipart: []}", ["1:54 not_supported_yet s.inputs.multipart"]),
        ("action: http.fetch, inputs: {anything: 1}", ["1:26 unknown_action s.action"]),
        ("action: http", ["1:26 unknown_action s.action"]),
        ("action: htp.get", ["1:26 unknown_component s.action"]),
        ("action: ''", ["1:26 unknown_component s.action"]),
        ("action: http.get, connection: shop, inputs: {url: x}", []),
        ("action: http.get, connection: shoo, inputs: {url: x}", ["1:48 unknown_config_key s.connection"]),
        ("action: http.get, connection: region, inputs: {url: x}", ["1:48 invalid_value s.connection"]),
        ("action: log.write, connection: shop, inputs: {message: x}", ["1:37 invalid_value s.connection"]),
        ("action: http.get, timeout: 24h, inputs: {url: x}", []),
        ("action: http.get, timeout: 25h, inputs: {url: x}", ["1:45 bad_duration s.timeout"]),
        ("action: http.get, timeout: 0s, inputs: {url: x}", ["1:45 bad_duration s.timeout"]),
        ("action: http.get, inputs: {url: x}, on_error: {delay: 1h}", []),
        ("action: http.get, inputs: {url: x}, on_error: {delay: 61m}", ["1:72 bad_duration s.on_error.delay"]),
        ("action: http.get, inputs: {url: x}, steps: []", ["1:54 invalid_value s.steps"]),
        ("stop: {}", []),
        ("stop: {status: 200, headers: {a: '{{ trigger.body.x }}'}, body: [1]}", []),
        ("stop: {status: 99}", ["1:33 invalid_value s.stop.status"]),
        ("stop: {status: ok}", ["1:33 wrong_type s.stop.status"]),
        ("stop: {status: '{{ trigger.body.status }}'}", []),
        ("stop: {fail: no, body: 1}", ["1:24 invalid_value s.stop"]),
        ("sleep: 30s", []),
        ("sleep: 0s", ["1:25 bad_duration s.sleep"]),
        ("sleep: 9999h", ["1:25 bad_duration s.sleep"]),
        ("sleep: 30s, on_error: {retries: 1}", ["1:30 invalid_value s.on_error"]),
        ("sleep: 30s, inputs: {}", ["1:30 invalid_value s.inputs"]),
        (
            "sleep: 30s, timeout: 1s, connection: shop",
            ["1:30 invalid_value s.timeout", "1:43 invalid_value s.connection"],
        ),
        ("sleep: 30s, stop: {}", ["1:9 invalid_value s"]),
        ("name: x", ["1:9 invalid_value s"]),
        ("break: true", ["1:18 invalid_value s.break"]),
        ("wait: {timeout: 1h}", []),
        ("wait: {timeout: 1h}, on_error: {then: continue}", []),
        ("wait: {timeout: 0s}", ["1:34 bad_duration s.wait.timeout"]),
        ("wait: {timeout: 800h}", ["1:34 bad_duration s.wait.timeout"]),
        ("call: {flow: main}", []),
        ("call: {flow: main, inputs: {a: '{{ trigger.body }}'}, wait: false}", []),
        ("call: {flow: mian}", ["1:31 unknown_flow s.call.flow"]),
        ("call: {flow: main, inputs: {a: '{{ steps.x }}'}}", ["1:49 unknown_step s.call.inputs.a"]),
        ("call: {flow: main}, on_error: {then: continue}", []),
        ("call: {flow: main}, on_error: {retries: 1}", ["1:58 invalid_value s.on_error.retries"]),
        ("loop: {times: 5}, steps: []", []),
        ("loop: {times: '{{ trigger.body.n }}'}, steps: []", []),
        ("loop: {times: five}, steps: []", ["1:32 wrong_type s.loop.times"]),
        ("loop: {times: -1}, steps: []", ["1:32 invalid_value s.loop.times"]),
        ("loop: {over: [1, 2]}, steps: []", []),
        ("loop: {over: 5}, steps: []", ["1:31 wrong_type s.loop.over"]),
        ("loop: {over: text}, steps: []", ["1:31 wrong_type s.loop.over"]),
        ("loop: {}, steps: []", ["1:24 invalid_value s.loop"]),
        ("loop: {times: 5, over: []}, steps: []", ["1:24 invalid_value s.loop"]),
        ("loop: {times: 5}", ["1:9 missing s"]),
        ("loop: {times: 5}, steps: [{key: x, break: true}]", []),
        ("loop: {times: 5}, steps: [{key: x, branch: [{name: a, else: true, steps: [{key: y, break: true}]}]}]", []),
        ("branch: []", ["1:26 invalid_value s.branch"]),
        ("branch: [{name: a, else: true}]", []),
        ("branch: [{name: a}]", ["1:27 invalid_value s.branch[0]"]),
        ("branch: [{name: a, when: {exists: 1}, else: true}]", ["1:27 invalid_value s.branch[0]"]),
        ("branch: [{name: a, else: true}, {name: b, when: {exists: 1}}]", ["1:37 invalid_value s.branch[0].else"]),
        ("branch: [{name: a, else: true}, {name: b, else: true}]", ["1:37 invalid_value s.branch[0].else"]),
        ("branch: [{name: a, when: {}}]", ["1:43 bad_condition s.branch[0].when"]),
        ("branch: [{name: a, when: {equals: [1, 2]}}]", ["1:52 bad_condition s.branch[0].when.equals"]),
        (
            "branch: [{name: a, when: {all: [{exists: 1}, {equal: [1]}]}}]",
            ["1:71 bad_condition s.branch[0].when.all[1].equal"],
        ),
    ],
)
def test_step_by_kind(step: str, expected: list[str]) -> None:
    assert one(step) == expected


def test_step_keys_are_unique_within_the_flow() -> None:
    steps = (
        "      - {key: a, stop: {}}\n"
        "      - {key: l, loop: {times: 1}, steps: [{key: a, stop: {}}]}\n"
        "      - {key: b, branch: [{name: x, else: true, steps: [{key: l, stop: {}}]}]}\n"
    )
    assert in_steps(steps) == [
        "2:50 duplicate_step steps[1].steps[0].key",
        "3:63 duplicate_step steps[2].branch[0].steps[0].key",
    ]


def test_step_key_of_another_flow_is_free() -> None:
    assert (
        in_steps(
            "      - {key: a, stop: {}}\n  - key: b\n    trigger: {type: deploy}\n    steps: [{key: a, stop: {}}]\n"
        )
        == []
    )


@pytest.mark.parametrize(
    ("action", "detail"),
    [
        ("http.gett", "the component http has no action gett; did you mean http.get?"),
        ("htp.get", "there is no component htp; did you mean http.get?"),
        ("logg.info", "there is no component logg; did you mean log?"),
        ("log.zzz", "the component log has no action zzz: it has log.write"),
    ],
)
def test_unknown_action_names_the_nearest(action: str, detail: str) -> None:
    text = HEAD + STEPS_HEAD + f"      - {{key: a, action: {action}}}\n"
    assert [each.detail for each in read_definition(text, CATALOG).errors] == [detail]


def test_connection_of_a_kind_the_action_does_not_take() -> None:
    text = (HEAD + STEPS_HEAD).replace("http/api_key", "http/basic")
    bearer_only = {
        "http.get": CATALOG["http.get"].__class__("http.get", {}, False, connections=frozenset({"http/bearer"}))
    }
    (found,) = read_definition(text + "      - {key: a, action: http.get, connection: shop}\n", bearer_only).errors
    assert (found.code, found.line, found.column) == ("invalid_value", 15, 48)
