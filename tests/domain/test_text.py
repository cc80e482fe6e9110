"""Cleaning, cutting and guessing of text."""

from hypothesis import given
from hypothesis import strategies as st

from domain.text import clean_text, nearest, truncate


def test_clean_text_replaces_what_cannot_be_stored() -> None:
    assert clean_text("a\x00b\ud800c\udfff") == "a\ufffdb\ufffdc\ufffd"


def test_clean_text_keeps_everything_else() -> None:
    text = "tab\t line\n é 漢 🎉 \x01"
    assert clean_text(text) == text


@given(st.text(st.characters(codec=None, categories=None)))
def test_clean_text_always_encodes(text: str) -> None:
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    assert len(cleaned.encode("utf-8")) >= len(text)


def test_truncate_marks_the_cut() -> None:
    assert truncate("abcdef", 6) == "abcdef"
    assert truncate("abcdef", 4) == "abc…"
    assert truncate("abcdef", 1) == "…"
    assert truncate("abcdef", 0) == ""


def test_nearest_finds_the_meant_word() -> None:
    assert nearest("equals", ["not_equal", "equal", "in"]) == "equal"
    assert nearest("zzz", ["equal", "in"]) is None
    assert nearest("equal" * 1000, ["equal"]) is None
