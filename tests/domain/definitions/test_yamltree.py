import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.definitions.yamltree import MOST_BYTES, read_tree


def value_of(text: str) -> object:
    tree = read_tree(text)
    assert tree.problems == []
    return tree.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("=", "="),
        ("---\n- a\n...", ["a"]),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("on: 1\noff: 2\nyes: 3\nno: 4\n", {"on": 1, "off": 2, "yes": 3, "no": 4}),
        ('{\n\t"a":1,\n\t"b": ["\\u00e9\\/", null]}', {"a": 1, "b": ["é/", None]}),
        ('{"a": "\\ud83d\\ude00", "b": "\\\\ud83d"}', {"a": "😀", "b": "\\ud83d"}),
        ("9007199254740991", 2**53 - 1),
    ],
)
def test_read_tree_core_types(text: str, expected: object) -> None:
    found = value_of(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "path"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "duplicate_key", 4, 3, "b.c"),
        ("a: &x 1\n", "yaml_alias", 1, 4, "a"),
        ("a:\n- *x\n", "yaml_alias", 2, 3, "a[0]"),
        ("a: [1, !!str 2]\n", "yaml_tag", 1, 8, "a[1]"),
        ("a: !<tag:x> 2\n", "yaml_tag", 1, 4, "a"),
        ("!x a: 2\n", "yaml_tag", 1, 1, ""),
        ("a:\n  <<: {b: 1}\n", "yaml_merge_key", 2, 3, 'a["<<"]'),
        ("a: 1\n---\nb: 2\n", "yaml_documents", 2, 1, ""),
        ("a:\n  1: x\n", "yaml_key", 2, 3, 'a["1"]'),
        ("a:\n  true: x\n", "yaml_key", 2, 3, "a.true"),
        ("a:\n  ? [x]\n  : y\n", "yaml_key", 2, 5, "a"),
        ("a: .nan\n", "invalid_value", 1, 4, "a"),
        ("a: -.INF\n", "invalid_value", 1, 4, "a"),
        ("a: 1e999\n", "invalid_value", 1, 4, "a"),
        ("a: 9007199254740992\n", "invalid_value", 1, 4, "a"),
        (f"a: {'9' * 5000}\n", "invalid_value", 1, 4, "a"),
        ('a: "x\\0"\n', "yaml_syntax", 1, 4, "a"),
        ("a: x\n  \x00", "yaml_syntax", 2, 3, ""),
        ("a: \x1b[1m", "yaml_syntax", 1, 4, ""),
        ("a: é\n\ud800", "yaml_syntax", 2, 1, ""),
        ("\ufeffa: 1", "yaml_syntax", 1, 1, ""),
        ("a: b: c", "yaml_syntax", 1, 5, ""),
        ("a: [1,\nb", "yaml_syntax", 3, 1, ""),
        ("%TAG ! tag:x,2000:\n---\n!a b", "yaml_tag", 3, 1, ""),
    ],
)
def test_read_tree_refusal_with_its_place(text: str, code: str, line: int, column: int, path: str) -> None:
    found = read_tree(text).problems
    assert [(each.code, each.line, each.column, each.path) for each in found] == [(code, line, column, path)]


def test_read_tree_bytes_that_are_no_utf8() -> None:
    (found,) = read_tree("a: é\r\nb: ".encode() + b"\xff").problems
    assert (found.code, found.line, found.column) == ("yaml_syntax", 2, 4)


def test_read_tree_first_of_duplicates_is_kept() -> None:
    tree = read_tree("a: {x: 1}\na: {y: 2}\nb: 3\n")
    assert tree.value == {"a": {"x": 1}, "b": 3}
    assert tree.complete


def test_read_tree_alias_ends_the_reading() -> None:
    assert not read_tree("a: *x").complete


def test_read_tree_text_over_the_limit() -> None:
    text = "# " + "x" * MOST_BYTES
    assert [each.code for each in read_tree(text).problems] == ["definition_too_large"]
    assert read_tree(text[:MOST_BYTES]).problems == []
    assert [each.code for each in read_tree("é" * (MOST_BYTES // 2 + 1)).problems] == ["definition_too_large"]


def nested(depth: int) -> str:
    return "".join(f"{' ' * level}- \n" for level in range(depth - 1)) + " " * depth + "- x"


def test_read_tree_depth_at_and_over_the_limit() -> None:
    assert read_tree("[\n" * 64 + "]" * 64).problems == []
    (found,) = read_tree("[\n" * 65 + "]" * 65).problems
    assert (found.code, found.line, found.column) == ("too_deep", 65, 1)
    assert [each.code for each in read_tree("{a: " * 65 + "}" * 65).problems] == ["too_deep"]
    assert [each.code for each in read_tree(nested(65)).problems] == ["too_deep"]


@pytest.mark.parametrize("text", ["[" * 900_000, "- " * 450_000, "{a: " * 200_000, "[\n" * 400_000])
def test_read_tree_hostile_depth_is_refused_early(text: str) -> None:
    assert [each.code for each in read_tree(text).problems] == ["too_deep"]


def test_read_tree_stops_at_many_problems() -> None:
    tree = read_tree("a: 1\n" * 5000)
    assert len(tree.problems) == 101
    assert not tree.complete


def test_marks_of_values_and_keys() -> None:
    marks = read_tree("a:\n  - x: 1\n    'y z': [é, b]\n").marks
    assert marks.at(()) == (1, 1)
    assert marks.at(("a",)) == (2, 3)
    assert marks.at(("a",), key=True) == (1, 1)
    assert marks.at(("a", 0, "y z")) == (3, 12)
    assert marks.at(("a", 0, "y z"), key=True) == (3, 5)
    assert marks.at(("a", 0, "y z", 1)) == (3, 16)


def test_marks_of_what_is_absent_are_those_around_it() -> None:
    marks = read_tree("a:\n  b: 1\n").marks
    assert marks.at(("a", "c", 0)) == (2, 3)
    assert marks.at(("z",), key=True) == (1, 1)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(alphabet="[]{}:,-?&*!|>'\"%#@ab1 \n\t\\u~<=.") | st.binary())
def test_read_tree_never_raises(text: str | bytes) -> None:
    tree = read_tree(text)
    assert tree.complete or tree.problems
