"""How answers are printed."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from rich.text import Text

from cli.output import Format, Output, OutputOptions, TimeFormat, fitting

ITEMS: list[dict[str, Any]] = [
    {"id": "cust_1", "owner": {"name": "Jo"}, "note": 'a, "b"\nc', "on": True, "at": "2020-01-01T00:00:00.000000Z"},
    {"id": "cust_2", "owner": {"name": "Al"}, "note": None, "on": False, "at": None},
]
COLUMNS = "id owner.name note"

Capture = pytest.CaptureFixture[str]
Print = Callable[[Output], None]


def printed(capsys: Capture, act: Print, **options: Any) -> str:
    act(Output(OutputOptions(**options)))
    return capsys.readouterr().out


def items(output: Output) -> None:
    output.items(iter(ITEMS), COLUMNS)


def item(output: Output) -> None:
    output.item(ITEMS[0], COLUMNS)


def stream(output: Output) -> None:
    emit = output.stream(COLUMNS)
    for each in ITEMS:
        emit(each)


def test_table_has_a_header_and_a_line_for_each(capsys: Capture) -> None:
    lines = printed(capsys, items).splitlines()
    assert lines[0].split() == ["ID", "OWNER", "NOTE"]
    assert [line.split() for line in lines[1:]] == [["cust_1", "Jo", "a,", '"b"', "c"], ["cust_2", "Al"]]


def test_table_without_header(capsys: Capture) -> None:
    assert printed(capsys, items, no_header=True).splitlines()[0].startswith("cust_1")


def test_table_cuts_nothing_where_there_is_no_terminal(capsys: Capture) -> None:
    long = {"id": "x" * 500, "text": "y" * 500}
    assert "x" * 500 + "  " + "y" * 500 in printed(capsys, lambda output: output.items([long], "id text"))


def test_table_of_one_has_a_line_for_each_field(capsys: Capture) -> None:
    lines = printed(capsys, item).splitlines()
    assert [line.split()[0] for line in lines] == ["FIELD", "id", "owner.name", "note"]


def test_table_of_none_says_so_beside_the_data(capsys: Capture) -> None:
    Output(OutputOptions()).items([], COLUMNS)
    captured = capsys.readouterr()
    assert captured.out.split() == ["ID", "OWNER", "NOTE"]
    assert captured.err == "There are none.\n"


def test_table_does_not_read_markup(capsys: Capture) -> None:
    output = printed(capsys, lambda output: output.items([{"id": "[red]x[/red]"}], "id"))
    assert "[red]x[/red]" in output


@pytest.mark.parametrize(
    ("wanted", "usual", "shown"),
    [
        (None, TimeFormat.RELATIVE, "ago"),
        (None, TimeFormat.ISO, "2020-01-01T00:00:00.000000Z"),
        (TimeFormat.ISO, TimeFormat.RELATIVE, "2020-01-01T00:00:00.000000Z"),
        (TimeFormat.RELATIVE, TimeFormat.ISO, "ago"),
    ],
)
def test_times_in_tables(capsys: Capture, wanted: TimeFormat | None, usual: TimeFormat, shown: str) -> None:
    assert shown in printed(capsys, lambda output: output.items(ITEMS, "at", usual), time_format=wanted)


def test_times_for_programs_are_exact(capsys: Capture) -> None:
    assert ITEMS[0]["at"] in printed(capsys, lambda output: output.items(ITEMS, "at"), output=Format.CSV)


def test_json_has_everything(capsys: Capture) -> None:
    assert json.loads(printed(capsys, items, output=Format.JSON)) == ITEMS
    assert json.loads(printed(capsys, item, output=Format.JSON)) == ITEMS[0]


def test_jsonl_has_a_line_for_each(capsys: Capture) -> None:
    assert list(map(json.loads, printed(capsys, items, output=Format.JSONL).splitlines())) == ITEMS


def test_yaml_has_everything(capsys: Capture) -> None:
    assert yaml.safe_load(printed(capsys, items, output=Format.YAML)) == ITEMS


def test_csv_can_be_read_back(capsys: Capture) -> None:
    rows = list(csv.reader(io.StringIO(printed(capsys, items, output=Format.CSV))))
    assert rows == [["id", "owner.name", "note"], ["cust_1", "Jo", ITEMS[0]["note"]], ["cust_2", "Al", ""]]


def test_csv_of_one_is_a_row(capsys: Capture) -> None:
    rows = list(csv.reader(io.StringIO(printed(capsys, item, output=Format.CSV, no_header=True))))
    assert rows == [["cust_1", "Jo", ITEMS[0]["note"]]]


def test_columns_are_the_callers_choice(capsys: Capture) -> None:
    chosen = {"columns": "on, owner.name"}
    assert printed(capsys, items, **chosen).split() == ["ON", "OWNER", "true", "Jo", "false", "Al"]
    expected = [{"on": True, "owner.name": "Jo"}, {"on": False, "owner.name": "Al"}]
    assert json.loads(printed(capsys, items, output=Format.JSON, **chosen)) == expected


def test_extended_shows_all_columns(capsys: Capture) -> None:
    header = printed(capsys, items, output=Format.CSV, extended=True).splitlines()[0]
    assert header == "id,owner.name,note,on,at"


@pytest.mark.parametrize("form", [Format.JSON, Format.JSONL])
def test_stream_of_json_has_a_line_for_each(capsys: Capture, form: Format) -> None:
    assert list(map(json.loads, printed(capsys, stream, output=form).splitlines())) == ITEMS


def test_stream_of_csv_can_be_read_back(capsys: Capture) -> None:
    rows = list(csv.reader(io.StringIO(printed(capsys, stream, output=Format.CSV))))
    assert [row[0] for row in rows] == ["id", "cust_1", "cust_2"]


def test_csv_of_a_line_end_alone_can_be_read_back(capsys: Capture) -> None:
    text = printed(capsys, lambda output: output.item({"note": "a\nb"}, "note"), output=Format.CSV)
    assert list(csv.reader(io.StringIO(text))) == [["note"], ["a\nb"]]


def test_lines_are_printed_as_they_are(capsys: Capture) -> None:
    wide = "x " * 100
    Output(OutputOptions()).lines([Text(wide.rstrip(), style="red"), Text("[b]")])
    assert capsys.readouterr().out == f"{wide.rstrip()}\n[b]\n"


def test_stream_of_yaml_is_a_document_for_each(capsys: Capture) -> None:
    assert list(yaml.safe_load_all(printed(capsys, stream, output=Format.YAML))) == ITEMS


def test_stream_of_text_is_a_line_for_each(capsys: Capture) -> None:
    lines = printed(capsys, stream).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["ID", "cust_1", "cust_2"]


@pytest.mark.parametrize(
    ("form", "expected"), [(Format.TABLE, "[\n  1\n]\n"), (Format.JSONL, "[1]\n"), (Format.YAML, "- 1\n")]
)
def test_value_is_json_unless_yaml_is_wanted(capsys: Capture, form: Format, expected: str) -> None:
    assert printed(capsys, lambda output: output.value([1]), output=form) == expected


@pytest.mark.parametrize(("quiet", "said"), [(False, "Hello\n"), (True, "")])
def test_talk_goes_beside_the_data(capsys: Capture, quiet: bool, said: str) -> None:
    Output(OutputOptions(quiet=quiet)).talk("Hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, ["id", "name", "customer_id", "note"]),
        (60, ["id", "name", "customer_id"]),
        (20, ["id", "name"]),
        (5, ["id"]),
    ],
)
def test_columns_that_cannot_be_read_are_left_out(width: int, shown: list[str]) -> None:
    cells = {"id": ["i"], "name": ["n" * 90], "customer_id": ["c" * 30], "note": ["n" * 90]}
    assert fitting(cells, width) == shown
