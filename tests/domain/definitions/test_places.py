import pytest

from domain.definitions.places import MarkNode, Marks, Report, TooManyProblems, dotted, pointer, problem


def test_pointer_escapes_its_parts() -> None:
    assert pointer(("flows", 0, "a/b~c")) == "#/flows/0/a~1b~0c"
    assert pointer(()) == "#"


def test_dotted_as_people_write_it() -> None:
    assert dotted(("flows", 0, "steps", 12, "inputs", "url")) == "flows[0].steps[12].inputs.url"
    assert dotted(("a", "x y", "b")) == 'a["x y"].b'
    assert dotted(()) == ""


def test_problem_text_is_storable_and_short() -> None:
    found = problem(("a\x00" * 5000,), "code", "\ud800", 1, 1)
    assert len(found.pointer) == 1000
    assert "\x00" not in found.pointer + (found.path or "")
    assert found.detail == "\ufffd"


def test_report_in_reading_order() -> None:
    root = MarkNode((1, 1), children={"a": MarkNode((3, 4), key=(3, 1)), "b": MarkNode((2, 4), key=(2, 1))})
    report = Report(Marks(root))
    report.add(("a",), "late", "")
    report.add(("b",), "second", "")
    report.add(("b",), "first", "", key=True)
    assert [each.code for each in report.problems()] == ["first", "second", "late"]


def test_report_ends_at_more_than_anybody_reads() -> None:
    report = Report(Marks(MarkNode((1, 1))))
    for _ in range(100):
        report.add((), "code", "")
    with pytest.raises(TooManyProblems):
        report.add((), "code", "")


def test_report_overlooks_what_a_damaged_mapping_lacks() -> None:
    report = Report(Marks(MarkNode((1, 1))))
    report.overlook([("a",)])
    report.add(("a",), "missing", "")
    report.add(("a", "b"), "missing", "")
    report.add(("a",), "unknown_step", "")
    assert [each.path for each in report.problems()] == ["a.b", "a"]


def test_report_hint_of_a_near_word() -> None:
    report = Report(Marks(MarkNode((1, 1))))
    assert report.did_you_mean("stepz", ["steps", "stop"]) == "; did you mean steps?"
    assert report.did_you_mean("xyz", ["steps", "stop"]) == ""
