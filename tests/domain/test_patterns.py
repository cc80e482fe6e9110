import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.patterns import LONGEST, Pattern, PatternRefused

ATOMS = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", "^", "$", r"\d", r"\W", "[a-c1]", "", "-"])
QUANTIFIERS = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,}", "*?"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, QUANTIFIERS).map(lambda pair: f"({pair[0]}){pair[1]}"),
        inner.map(lambda each: f"(?:{each})"),
    ),
    max_leaves=8,
)


@given(PATTERNS, st.text("ab1-c", max_size=8))
def test_pattern_agrees_with_pythons(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) is (re.search(pattern.replace("$", r"\Z"), text) is not None)


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("^[A-Z]{3}$", "EUR", "EURO"),
        (r"^\d{5}(-\d{4})?$", "12345-6789", "12345-"),
        ("^[a-z0-9]+(-[a-z0-9]+)*$", "a-b-c", "a--b"),
        (r"^https://[^/]+\.example\.com/", "https://shop.example.com/x", "https://example.com/"),
        ("^(eu|us)-(east|west)$", "eu-west", "eu"),
        (r"^[\w.]+@[\w.]+$", "a.b@c.d", "a b@c"),
        (r"\u00e9\x41\.\t", "éA.\t", "eA.\t"),
        ("[a-]", "-", "b"),
    ],
)
def test_pattern_matches(pattern: str, fits: str, fits_not: str) -> None:
    assert Pattern(pattern).matches(fits)
    assert not Pattern(pattern).matches(fits_not)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a", "never closed"),
        ("a)", "closes nothing"),
        ("[a", "never closed"),
        ("*a", "nothing before it"),
        ("a**", "quantifier after a quantifier"),
        ("a{x}", "no {m}"),
        ("a{3,2}", "ends before it begins"),
        ("[b-a]", "ends before it begins"),
        ("(?=a)", "looks around"),
        (r"(a)\1", r"the escape \1"),
        (r"\bword", r"the escape \b"),
        ("a\\", "the escape"),
        (r"\u12", "cut short"),
        ("(" * 30 + "a" + ")" * 30, "nested deeper"),
        ("(a{100}){100}", "repeats too much"),
        ("((){9999}){9999}", "repeats too much"),
        ("a" * (LONGEST + 1), "at most 500"),
    ],
)
def test_pattern_that_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(PatternRefused, match=re.escape(why)):
        Pattern(pattern)


def test_pattern_never_looks_back() -> None:
    began = time.monotonic()
    for pattern in ("^(a+)+$", "^(a|a)*$", "a*a*a*a*a*b", "^(a?){50}a{50}$"):
        assert not Pattern(pattern).matches("a" * 2000 + "!")
    assert time.monotonic() - began < 5
