"""Rings of a roll-out, and the rate that stops it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.upgrades import FailureRate, Ring, ring_ends

CANARY = [Ring(count=1), Ring(percent=5), Ring(percent=100)]


@pytest.mark.parametrize(
    ("rings", "total", "ends"),
    [
        (CANARY, 1000, [1, 50, 1000]),
        (CANARY, 21, [1, 2, 21]),
        (CANARY, 20, [1, 20]),  # 5 % of 20 are the one that is done
        (CANARY, 1, [1]),
        (CANARY, 0, []),
        ([], 7, [7]),
        ([Ring(count=50), Ring(percent=10)], 100, [50, 100]),
        ([Ring(count=50)], 10, [10]),
        ([Ring(percent=0.1)], 10, [1, 10]),
    ],
)
def test_rings_end_where_they_say(rings: list[Ring], total: int, ends: list[int]) -> None:
    assert ring_ends(rings, total) == ends


@given(
    st.lists(st.builds(Ring, count=st.integers(1, 50)) | st.builds(Ring, percent=st.floats(0.1, 100)), max_size=5),
    st.integers(0, 300),
)
def test_rings_rise_to_all(rings: list[Ring], total: int) -> None:
    ends = ring_ends(rings, total)
    assert ends == sorted(set(ends))
    assert ends[-1:] == ([total] if total else [])


@pytest.mark.parametrize(
    ("ended", "failed", "limit", "at_least", "exceeds"),
    [
        (10, 3, 20, 5, True),
        (10, 2, 20, 5, False),  # at the limit is not beyond it
        (4, 4, 20, 5, False),
        (5, 5, 20, 5, True),
        (0, 0, 0, 0, False),
        (100, 1, 0, 1, True),
        (10, 10, None, 1, False),
    ],
)
def test_rate_exceeds_its_limit(ended: int, failed: int, limit: float | None, at_least: int, exceeds: bool) -> None:
    assert FailureRate(ended, failed).exceeds(limit, at_least) is exceeds


def test_rate_is_readable() -> None:
    assert (FailureRate(3, 1).percent, FailureRate().percent) == (33.3, 0.0)
