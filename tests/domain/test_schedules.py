from datetime import UTC, datetime

import pytest

from domain.schedules import (
    calendar_crons,
    check_cron,
    check_time_zone,
    next_runs,
)


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "0 3 * * *",
        "*/15 9-17 * JAN-MAR mon-fri",
        "0 0 29 2 *",
        "0 0 1,15 * 0,7",
        "5/10 0 * jul *",
        "0 0 31 4 1",
        "  0   3 * * *  ",
    ],
)
def test_cron_that_fires(cron: str) -> None:
    assert check_cron(cron) is None


@pytest.mark.parametrize(
    ("cron", "detail"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("0 0 3 * * *", "five fields"),
        ("0 3 * * * 2030", "five fields"),
        ("CRON_TZ=UTC 0 3 * * *", "five fields"),
        ("60 * * * *", "is not a cron"),
        ("0 24 * * *", "is not a cron"),
        ("0 0 0 * *", "is not a cron"),
        ("0 0 * 13 *", "is not a cron"),
        ("0 0 30 13 *", "is not a cron"),
        ("0 0 * * 8", "is not a cron"),
        ("R * * * *", "is not a cron"),
        ("0 0 L * *", "is not a cron"),
        ("0 0 LW * *", "is not a cron"),
        ("0 0 * * 5L", "is not a cron"),
        ("0 0 * * 1#2", "is not a cron"),
        ("0 0 ? * *", "is not a cron"),
        ("*/0 * * * *", "is not a cron"),
        ("5-1 * * * *", "is not a cron"),
        (", * * * *", "is not a cron"),
        ("² * * * *", "is not a cron"),
        ("*/" + "9" * 50 + " * * * *", "is not a cron"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 2,4,6,9,11 *", "never fires"),
        ("0 0 29 2 */7", "never fires"),
        ("0," * 200 + "0 * * * *", "200 characters"),
    ],
)
def test_cron_that_is_refused(cron: str, detail: str) -> None:
    assert detail in (check_cron(cron) or "")


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"])
def test_time_zone_that_exists(name: str) -> None:
    assert check_time_zone(name) is None


@pytest.mark.parametrize("name", ["", "America", "../etc/passwd", "/etc/localtime", "Mars/Base", "x\x00", "utc", "é"])
def test_time_zone_that_does_not(name: str) -> None:
    assert "is no time zone" in (check_time_zone(name) or "")


def test_time_zone_names_the_nearest() -> None:
    assert (check_time_zone("Europe/Berln") or "").endswith("did you mean Europe/Berlin?")


def test_next_runs_are_utc_and_after() -> None:
    runs = next_runs("0 3 * * *", "Europe/Berlin", datetime(2025, 1, 1, 2, 0, tzinfo=UTC), 2)
    assert runs == [datetime(2025, 1, 2, 2, 0, tzinfo=UTC), datetime(2025, 1, 3, 2, 0, tzinfo=UTC)]
    assert all(run.tzinfo is UTC for run in runs)


def test_next_runs_across_a_clock_change() -> None:
    spring = next_runs("0 3 * * *", "Europe/Berlin", datetime(2025, 3, 29, tzinfo=UTC), 2)
    assert [run.hour for run in spring] == [2, 1]
    autumn = next_runs("30 2 * * *", "Europe/Berlin", datetime(2025, 10, 26, 0, 0, tzinfo=UTC), 2)
    assert [(run.day, run.hour) for run in autumn] == [(26, 0), (27, 1)]


def test_calendar_crons_where_day_and_weekday_are_alternatives() -> None:
    assert calendar_crons("0 3 1 * MON") == ["0 3 1 * *", "0 3 * * MON"]
    assert calendar_crons("0 3 * * 1-5") == ["0 3 * * 1-5"]
    assert calendar_crons("0 3 */2 * 1") == ["0 3 */2 * 1"]
    assert calendar_crons(" 0  3 1 * *") == ["0 3 1 * *"]


def test_calendar_crons_fire_together_as_the_cron_does() -> None:
    after = datetime(2025, 6, 1, tzinfo=UTC)
    both = sorted(run for cron in calendar_crons("0 3 13 * 5") for run in next_runs(cron, "UTC", after, 8))
    assert list(dict.fromkeys(both))[:5] == next_runs("0 3 13 * 5", "UTC", after, 5)
