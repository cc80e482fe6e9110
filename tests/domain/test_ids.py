from datetime import UTC, datetime, timedelta

import pytest

from domain.ids import first_id, made_at
from runtime.ids import new_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_first_id_of_a_time_sorts_between_those_before_and_after() -> None:
    before = first_id("log", datetime.now(UTC) - timedelta(milliseconds=1))
    made = new_id("log")
    assert before <= made < first_id("log", datetime.now(UTC) + timedelta(milliseconds=1))


def test_id_tells_when_it_was_made() -> None:
    assert made_at(first_id("log", NOON)) == NOON
    assert abs(made_at(new_id("exec")) - datetime.now(UTC)) < timedelta(seconds=5)


def test_time_before_all_ids() -> None:
    assert first_id("log", datetime(1, 1, 1, tzinfo=UTC)) == f"log_{'0' * 26}"


@pytest.mark.parametrize("text", ["", "log", "log_", "log_1", "log_" + "u" * 26, "next", "log_" + "z" * 26])
def test_text_that_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no id|is of no time"):
        made_at(text)
