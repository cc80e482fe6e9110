from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.schedule_values import DAYS, EVERY, check_schedule, schedule_value
from domain.schedules import check_cron


@pytest.mark.parametrize(
    ("value", "kind", "cron", "zone"),
    [
        ({"cron": "0 3 * * *"}, "cron", "0 3 * * *", "UTC"),
        ({"cron": "0 3 * * *", "time_zone": "Asia/Tokyo"}, "cron", "0 3 * * *", "Asia/Tokyo"),
        ({"type": "cron", "cron": "0 3 * * *", "time_zone": None}, "cron", "0 3 * * *", "UTC"),
        ({"cron": None}, "none", None, "UTC"),
        ({}, "none", None, "UTC"),
        ({"type": "none"}, "none", None, "UTC"),
        ({"type": "once", "time_zone": "Europe/Berlin"}, "once", None, "Europe/Berlin"),
        ({"type": "minute"}, "minute", "*/1 * * * *", "UTC"),
        ({"type": "minute", "every": 15}, "minute", "*/15 * * * *", "UTC"),
        ({"type": "hour", "every": 6, "minute": 30}, "hour", "30 */6 * * *", "UTC"),
        ({"type": "day"}, "day", "0 0 * * *", "UTC"),
        ({"type": "day", "at": "03:05", "time_zone": "Europe/Berlin"}, "day", "5 3 * * *", "Europe/Berlin"),
        ({"type": "week", "days": ["friday", "sunday"], "at": "18:00"}, "week", "0 18 * * 0,5", "UTC"),
    ],
)
def test_schedule_that_fits(value: dict[str, Any], kind: str, cron: str | None, zone: str) -> None:
    assert check_schedule(value) is None
    assert schedule_value(value) == {"type": kind, "cron": cron, "time_zone": zone}


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (
            "0 3 * * *",
            'a schedule is an object such as {"type": "day", "at": "03:00", "time_zone": "Europe/Berlin"}',
        ),
        ({"type": "dayly"}, "type must be one of none, once, minute, hour, day, week, cron; did you mean day?"),
        ({"type": 5}, "type must be one of none, once, minute, hour, day, week, cron"),
        ({"type": None}, "type must be one of none, once, minute, hour, day, week, cron"),
        ({"crom": "0 3 * * *"}, "unknown key crom: a schedule without a type takes type, cron, time_zone"),
        ({"type": "once", "cron": "* * * * *"}, "unknown key cron: a schedule of type once takes type, time_zone"),
        ({"cron": 5}, "cron must be text"),
        ({"cron": "x"}, "a cron has five fields: minute, hour, day of month, month, day of week"),
        ({"type": "cron"}, "cron is missing"),
        ({"type": "minute", "every": 7}, "every must be one of 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30"),
        ({"type": "minute", "every": True}, "every must be one of 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30"),
        ({"type": "hour", "every": 24}, "every must be one of 1, 2, 3, 4, 6, 8, 12"),
        ({"type": "hour", "minute": 60}, "minute must be a whole number from 0 to 59"),
        ({"type": "day", "at": "24:00"}, "at must be a time of day such as 03:00"),
        ({"type": "day", "at": "3:00"}, "at must be a time of day such as 03:00"),
        ({"type": "week"}, f"days must be a list of one or more of {', '.join(DAYS)}"),
        ({"type": "week", "days": []}, f"days must be a list of one or more of {', '.join(DAYS)}"),
        ({"type": "week", "days": ["monday", "monday"]}, f"days must be a list of one or more of {', '.join(DAYS)}"),
        ({"type": "week", "days": "monday"}, f"days must be a list of one or more of {', '.join(DAYS)}"),
        ({"cron": "0 3 * * *", "time_zone": 5}, "time_zone must be text"),
        ({"type": "day", "time_zone": "Europe/Berln"}, "Europe/Berln is no time zone; did you mean Europe/Berlin?"),
    ],
)
def test_schedule_that_does_not_fit(value: object, detail: str) -> None:
    assert check_schedule(value) == detail


@given(
    st.one_of(
        st.sampled_from(EVERY["minute"]).map(lambda every: {"type": "minute", "every": every}),
        st.tuples(st.sampled_from(EVERY["hour"]), st.integers(0, 59)).map(
            lambda pair: {"type": "hour", "every": pair[0], "minute": pair[1]}
        ),
        st.times().map(lambda time: {"type": "day", "at": f"{time:%H:%M}"}),
        st.sets(st.sampled_from(DAYS), min_size=1).map(lambda days: {"type": "week", "days": sorted(days)}),
    )
)
def test_every_schedule_that_fits_has_a_cron_that_fires(value: dict[str, Any]) -> None:
    assert check_schedule(value) is None
    assert check_cron(schedule_value(value)["cron"]) is None
