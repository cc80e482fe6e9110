import pytest

from domain.pausing import FASTEST, MOST_AT_ONCE, SLOWEST, burst, pace


@pytest.mark.parametrize(
    ("rate", "together", "seconds"),
    [(20.0, 20, 1.0), (1.0, 1, 1.0), (0.5, 1, 2.0), (SLOWEST, 1, 100.0), (2.4, 2, 2 / 2.4), (FASTEST, 100, 0.1)],
)
def test_burst_and_pace_make_the_rate(rate: float, together: int, seconds: float) -> None:
    assert burst(rate) == together <= MOST_AT_ONCE
    assert pace(rate) == pytest.approx(seconds)
    assert burst(rate) / pace(rate) == pytest.approx(rate)
