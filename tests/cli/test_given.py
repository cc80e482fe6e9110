"""Files, standard input and `key=value`."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.given import pairs, read_object, read_text, values


@pytest.fixture
def stdin() -> Iterator[io.StringIO]:
    before, sys.stdin = sys.stdin, io.StringIO("from stdin\n")
    yield sys.stdin
    sys.stdin = before


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a=b"], {"a": "b"}),
        (["a="], {"a": ""}),
        (["a=5"], {"a": "5"}),
        (["a:=5", "b:=null", 'c:={"d": [1]}'], {"a": 5, "b": None, "c": {"d": [1]}}),
        (["url=http://x?a=b"], {"url": "http://x?a=b"}),
        (["shop.token=t", "shop.user=u"], {"shop": {"token": "t", "user": "u"}}),
    ],
)
def test_values(given: list[str], expected: dict[str, Any]) -> None:
    assert values(given) == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["a"], "neither"),
        (["=b"], "neither"),
        ([":=1"], "neither"),
        (["a:=nope"], "not JSON"),
        (["a=1", "a=2"], "twice"),
        (["a=1", "a.b=2"], "value of its own"),
        (["a=@no-such-file"], "cannot be read"),
    ],
)
def test_values_refuse(given: list[str], says: str) -> None:
    with pytest.raises(typer.BadParameter, match=says):
        values(given)


def test_values_come_from_files(tmp_path: Path) -> None:
    secret, settings = tmp_path / "secret", tmp_path / "settings.json"
    secret.write_text("s3cret\n")
    settings.write_text('{"a": 1}')
    assert values([f"pin=@{secret}", f"more:=@{settings}"]) == {"pin": "s3cret", "more": {"a": 1}}


def test_values_come_from_standard_input(stdin: io.StringIO) -> None:
    assert values(["pin=@-"]) == {"pin": "from stdin"}


def test_text_of_standard_input_is_whole(stdin: io.StringIO) -> None:
    assert read_text("-") == "from stdin\n"


@pytest.mark.parametrize("text", ['{"a": 1, "day": "2026-03-01"}', "a: 1\nday: 2026-03-01\n"])
def test_object_is_json_or_yaml(tmp_path: Path, text: str) -> None:
    file = tmp_path / "values"
    file.write_text(text)
    assert read_object(str(file)) == {"a": 1, "day": "2026-03-01"}


@pytest.mark.parametrize("text", ["[1]", "a: [", "just text", ""])
def test_object_refuses(tmp_path: Path, text: str) -> None:
    file = tmp_path / "values"
    file.write_text(text)
    with pytest.raises(typer.BadParameter):
        read_object(str(file))


def test_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(typer.BadParameter, match="cannot be read"):
        read_text(str(tmp_path / "image"))


def test_pairs_split_at_the_first_colon() -> None:
    assert pairs(["X-Time: 12:30", "a:"]) == {"X-Time": "12:30", "a": ""}


@pytest.mark.parametrize("text", ["nothing", ":value"])
def test_pairs_refuse(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="name:value"):
        pairs([text])
