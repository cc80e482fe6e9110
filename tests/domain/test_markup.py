import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.markup import check_html, check_xml


@pytest.mark.parametrize(
    "text",
    [
        "<a/>",
        "<a x='1'><b>&lt;&#233;</b></a>",
        "<?xml version='1.0' encoding='latin-1'?><a>é</a>",
        "<a><![CDATA[<b>]]></a>",
        "<a>" * 5000 + "</a>" * 5000,
    ],
)
def test_xml_that_is_well_formed(text: str) -> None:
    assert check_xml(text) is None


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "no element found at line 1 column 1"),
        ("<a>\n  <b></a>", "mismatched tag at line 2 column 8"),
        ("<a/><b/>", "junk after document element at line 1 column 5"),
        ("<a x='1' x='2'/>", "duplicate attribute at line 1 column 10"),
        ("<a>&nbsp;</a>", "undefined entity at line 1 column 4"),
        ("<!DOCTYPE a><a/>", "a document type (<!DOCTYPE) is not allowed at line 1"),
        (
            '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>',
            "a document type (<!DOCTYPE) is not allowed at line 1",
        ),
        ('<!DOCTYPE a SYSTEM "file:///etc/hosts"><a/>', "a document type (<!DOCTYPE) is not allowed at line 1"),
    ],
)
def test_xml_that_is_not(text: str, detail: str) -> None:
    assert check_xml(text) == detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text & 1 < 2",
        "<p>one<p>two",
        "<ul><li>a<li>b</ul>",
        "<table><tr><td>x</table>",
        "<div><p>x</div>",
        "<!DOCTYPE html><html><body><h1>x</h1></html>",
        "<br><img src=a alt='>'></br>",
        '<a title=it\'s href="a>b">x</a>',
        "<script>if (a<b) { '</div>' }</SCRIPT >",
        "<svg><path/></svg>",
        "<!-- <div> --><B>x</b>",
        "&nbsp;<?php echo ?>",
    ],
)
def test_html_that_is_well_formed(text: str) -> None:
    assert check_html(text) is None


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("a\n  <b>x", "<b> is never closed: it begins at line 2 column 3"),
        ("x</p>", "</p> closes nothing at line 1 column 2"),
        ("<div><b></div></b>", "</div> stands where <b> is still open, at line 1 column 9"),
        ("<div", "a tag is never closed with > at line 1 column 1"),
        ("<a href='x>", "<a> is never closed: it begins at line 1 column 1"),
        ("<!-- x", "<!-- is never closed at line 1 column 1"),
        ("<!DOCTYPE html", "<! is never closed at line 1 column 1"),
        ("<script>x", "<script> is never closed at line 1 column 1"),
        (f"<{'a' * 100}>", f"<{'a' * 59}…> is never closed: it begins at line 1 column 1"),
    ],
)
def test_html_that_is_not(text: str, detail: str) -> None:
    assert check_html(text) == detail


@given(st.text("<>/!-?=\"' \na&bp", max_size=60))
def test_markup_of_any_kind_never_raises(text: str) -> None:
    check_html(text)
    check_xml(text)


def test_markup_is_checked_in_linear_time() -> None:
    began = time.monotonic()
    for piece in ("<!--", "<", "<a ", "<a b='", "<a b=\"'>", "</", "<script>", "<p>", "<?", "="):
        check_html(piece * (60_000 // len(piece)))
        check_xml(piece * (60_000 // len(piece)))
    assert time.monotonic() - began < 5
