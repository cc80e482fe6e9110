"""Expressions: reading, looking up, evaluating. Secrets are in test_values_secrets.py."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.values import (
    EvaluationTooLarge,
    HeaderMap,
    Path,
    PathSyntax,
    evaluate,
    is_expression,
    lookup,
    parse_path,
    parse_template,
    paths_in,
)

ROOTS: dict[str, Any] = {
    "trigger": {"body": {"id": 7, "shop name": "Ö", "0": "zero", "lines": [{"sku": "a"}, {"sku": "b"}], "none": None}},
    "config": {"on": True, "rate": 1.5, "url": "https://x.test"},
}
NAMES = st.text("abzé09_-", min_size=1, max_size=4)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
SEGMENTS = NAMES | TEXTS | st.integers(0, 3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=3),
)


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("text", "root", "segments"),
    [
        ("trigger", "trigger", ()),
        ("  trigger.body\n", "trigger", ("body",)),
        ("steps.order-1.body_2.x", "steps", ("order-1", "body_2", "x")),
        ("loop.item[0][12].a", "loop", ("item", 0, 12, "a")),
        ("trigger.body.0", "trigger", ("body", "0")),
        ("straße.ä", "straße", ("ä",)),
        (r'a["any } \"]}} text\n\u00e9"].b', "a", ('any } "]}} text\né', "b")),
        ('a[""]', "a", ("",)),
    ],
)
def test_parse_path_of_accepted_forms(text: str, root: str, segments: tuple[str | int, ...]) -> None:
    path = parse_path(text)
    assert (path.root, path.segments) == (root, segments)
    assert path.text == text.strip()


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("   ", 3),
        (".a", 0),
        ("a.", 2),
        ("a..b", 2),
        ("a .b", 2),
        ("a. b", 2),
        ("a | upper", 2),
        ("a + 1", 2),
        ("a()", 1),
        ("a b", 2),
        ("'a'", 0),
        ("a[", 2),
        ("a[]", 2),
        ("a[-1]", 2),
        ("a[1", 3),
        ("a[ 1]", 2),
        ("a[x]", 2),
        ("a['x']", 2),
        ("a[9999999999]", 2),
        ('a["x]', 2),
        (r'a["\q"]', 3),
        ('a["x" ]', 5),
        ("{{ a }}", 0),
    ],
)
def test_parse_path_refuses_with_offset(text: str, offset: int) -> None:
    with pytest.raises(PathSyntax) as caught:
        parse_path(text)
    assert caught.value.offset == offset


@given(NAMES, st.lists(SEGMENTS, max_size=5))
def test_parse_path_reads_what_was_written(root: str, segments: list[str | int]) -> None:
    text = root + "".join(f"[{json.dumps(segment)}]" for segment in segments)
    assert parse_path(text) == Path(root, tuple(segments))


@given(st.text(st.sampled_from('{}ab.[]"\\0 |'), max_size=30))
def test_parse_template_reads_or_refuses_within_the_text(text: str) -> None:
    offset = 0
    try:
        parts = parse_template(text)
    except PathSyntax as error:
        parts, offset = (), error.offset
    assert 0 <= offset <= len(text)
    assert any(isinstance(part, Path) for part in parts) <= is_expression(text)
    assert all(text.startswith(part.text, part.offset) for part in parts if isinstance(part, Path))


def test_parse_template_splits_literals_and_paths() -> None:
    assert parse_template("plain }} text") == ("plain }} text",)
    assert parse_template("") == ()
    assert parse_template("{{a}}") == (Path("a"),)
    assert parse_template('x {{ a["}}"] }}{{b.c}} }}') == ("x ", Path("a", ("}}",)), Path("b", ("c",)), " }}")


def test_parse_template_of_long_text_is_not_different() -> None:
    text = "{{ a }}," * 1000
    assert parse_template(text) == (Path("a"), ",") * 1000


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("ab {{", 3, "never closed"),
        ("ab {{ x", 3, "never closed"),
        ("ab {{ x }", 8, "unexpected"),
        ("ab {{ }}", 6, "empty"),
        ("{{ x }} {{ y | z }}", 13, "without operators"),
        ("{{{ x }}}", 2, "unexpected"),
    ],
)
def test_parse_template_refuses_with_offset(text: str, offset: int, message: str) -> None:
    with pytest.raises(PathSyntax, match=message) as caught:
        parse_template(text)
    assert caught.value.offset == offset


def test_paths_in_finds_all_in_reading_order() -> None:
    value = {"b": ["{{ x.y }}", 1, "no"], "a": {"{{ key }}": "p {{ q }} {{ r }}"}}
    found = [(location, path.text, path.offset) for location, path in paths_in(value)]
    assert found == [
        (("b", 0), "x.y", 3),
        (("a", "{{ key }}"), "q", 5),
        (("a", "{{ key }}"), "r", 13),
    ]


def test_paths_in_locates_bad_syntax() -> None:
    with pytest.raises(PathSyntax) as caught:
        list(paths_in({"a": ["ok", "x {{ y( }}"]}))
    assert (caught.value.location, caught.value.offset) == (("a", 1), 6)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("trigger.body.id", 7),
        ('trigger.body["shop name"]', "Ö"),
        ("trigger.body.lines[1].sku", "b"),
        ("trigger.body.lines.1.sku", "b"),
        ("trigger.body.0", "zero"),
        ("trigger.body[0]", None),
        ("trigger.body.lines[2].sku", None),
        ("trigger.body.lines.-1", None),
        ("trigger.body.lines.٠", None),
        ("trigger.body.lines.length", None),
        ("trigger.body.lines." + "0" * 5000, None),
        ("trigger.body.id.x", None),
        ("config.url[0]", None),
        ("config.url.length", None),
        ("trigger.body.none.x", None),
        ("nothing.at.all", None),
    ],
)
def test_lookup_of_present_and_absent(path: str, expected: Any) -> None:
    assert lookup(parse_path(path), ROOTS) == expected


def test_lookup_of_negative_index_is_absent() -> None:
    assert lookup(Path("a", (-1,)), {"a": [1, 2]}) is None


@given(NAMES, st.lists(SEGMENTS, max_size=5), st.dictionaries(NAMES, JSON, max_size=3))
def test_lookup_never_raises(root: str, segments: list[str | int], roots: dict[str, Any]) -> None:
    lookup(Path(root, tuple(segments)), roots)
    assert lookup(Path("absent root", tuple(segments)), roots) is None


def test_header_map_ignores_case_and_writes_lower() -> None:
    headers = HeaderMap({"X-Id": "1"})
    headers["Content-TYPE"] = "text/plain"
    assert headers["x-ID"] == headers.get("X-ID") == "1"
    assert "CONTENT-type" in headers
    assert "y" not in headers
    assert headers.get("y", "no") == "no"
    assert json.dumps(headers) == '{"x-id": "1", "content-type": "text/plain"}'


def test_lookup_of_headers_ignores_case() -> None:
    for headers in (HeaderMap({"X-Event-Id": "e"}), {"X-Event-Id": "e"}):
        roots = {"trigger": {"headers": headers, "body": {"headers": {"x": 1}}}}
        assert lookup(parse_path("trigger.headers.x-event-ID"), roots) == "e"
        assert lookup(parse_path("trigger.headers.absent"), roots) is None
        assert lookup(parse_path("trigger.body.headers.X"), roots) is None
    assert lookup(parse_path("trigger.headers.x"), {"trigger": {"headers": None}}) is None


@pytest.mark.parametrize("path", ["trigger.body", "trigger.body.id", "config.on", "config.rate", "trigger.body.none"])
def test_evaluate_of_one_path_keeps_the_type(path: str) -> None:
    expected = lookup(parse_path(path), ROOTS)
    assert evaluate("{{" + path + "}}", ROOTS) is expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Order {{ trigger.body.id }}", "Order 7"),
        ("{{ config.on }}/{{ config.rate }}", "true/1.5"),
        (" {{ trigger.body.id }}", " 7"),
        ("{{ trigger.body.id }}\n", "7\n"),
        ("<{{ trigger.body.none }}{{ gone.x }}>", "<>"),
        ("{{ trigger.body.lines }}!", '[{"sku":"a"},{"sku":"b"}]!'),
        ('{{ trigger.body["shop name"] }}.', "Ö."),
        ("no braces }}", "no braces }}"),
    ],
)
def test_evaluate_of_template_is_text(template: str, expected: str) -> None:
    assert evaluate(template, ROOTS) == expected


def test_evaluate_goes_into_nested_values_but_not_keys() -> None:
    value = {"{{ key }}": ["{{ trigger.body.id }}", {"n": None, "t": True, "u": "{{ config.url }}/x"}], "k": 1.5}
    assert evaluate(value, ROOTS) == {"{{ key }}": [7, {"n": None, "t": True, "u": "https://x.test/x"}], "k": 1.5}


def test_evaluate_never_evaluates_data() -> None:
    roots = {"trigger": {"body": "{{ config.url }}"}, "config": {"url": "u"}}
    assert evaluate("{{ trigger.body }}", roots) == "{{ config.url }}"
    assert evaluate("<{{ trigger.body }}>", roots) == "<{{ config.url }}>"


@given(NAMES, st.lists(SEGMENTS, max_size=4), st.dictionaries(NAMES, JSON, max_size=3))
def test_evaluate_never_raises_on_any_path(root: str, segments: list[str | int], roots: dict[str, Any]) -> None:
    path = root + "".join(f"[{json.dumps(segment)}]" for segment in segments)
    exact = evaluate({"a": ["{{ " + path + " }}"]}, roots)["a"][0]
    assert exact is lookup(parse_path(path), roots) or root == "trigger"
    assert isinstance(evaluate("<{{" + path + "}}>", roots), str)


@given(JSON.filter(lambda value: not isinstance(value, str) and value is not None))
def test_evaluate_writes_json_into_templates(value: Any) -> None:
    text = evaluate("{{ steps.a }} ", {"steps": {"a": value}})
    assert text == json.dumps(value, ensure_ascii=False, separators=(",", ":")) + " "


def test_evaluate_is_bounded() -> None:
    roots = {"a": "x" * 100, "b": {"c": ["y" * 100]}}
    assert len(evaluate("{{ a }}{{ a }}", roots, limit=201)) == 200
    for template in ("{{ a }}{{ a }}", "{{ b }}{{ b }}", "{{ b }}{{ a }}", ["x"] * 200):
        with pytest.raises(EvaluationTooLarge):
            evaluate(template, roots, limit=200)


def test_evaluate_shares_what_a_path_points_at() -> None:
    roots = {"a": ["x" * 1000] * 1000}
    result = evaluate(["{{ a }}"] * 10, roots, limit=11)
    assert all(item is roots["a"] for item in result)


def test_evaluate_stops_before_writing_a_value_that_explodes() -> None:
    value: Any = "x"
    for _ in range(100):
        value = [value, value]
    with pytest.raises(EvaluationTooLarge):
        evaluate("<{{ a }}>", {"a": value}, limit=10_000)


def test_evaluate_bounds_the_depth() -> None:
    assert evaluate(nested(150), {}) == nested(150)
    assert evaluate("{{ a }}.", {"a": nested(150)}) == "[" * 150 + '"x"' + "]" * 150 + "."
    for value in (nested(50_000), "{{ a }}."):
        with pytest.raises(EvaluationTooLarge, match="deeper"):
            evaluate(value, {"a": nested(50_000)})
