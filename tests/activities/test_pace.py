from activities.pace import MOST_STEPS, REMEMBERED, Pace

STEP = ("dep_1", "orders", "fetch")


def test_unknown_step_is_not_short() -> None:
    assert not Pace().is_short(STEP)


def test_step_is_short_while_none_of_its_recent_durations_was_long() -> None:
    pace = Pace()
    pace.note(STEP, 0.1)
    assert pace.is_short(STEP)
    pace.note(STEP, 2.5)
    assert not pace.is_short(STEP)
    for _ in range(REMEMBERED):
        pace.note(STEP, 0.1)
    assert pace.is_short(STEP)
    assert not pace.is_short(("dep_2", "orders", "fetch"))


def test_least_recent_steps_are_forgotten() -> None:
    pace = Pace()
    for number in range(MOST_STEPS + 1):
        pace.note(("dep", "flow", str(number)), 0.1)
    assert not pace.is_short(("dep", "flow", "0"))
    assert pace.is_short(("dep", "flow", "1"))
