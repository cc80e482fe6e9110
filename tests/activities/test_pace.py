from activities.pace import MOST_LOCAL, MOST_STEPS, REMEMBERED, Pace, StepKey

STEP = ("dep_1", "orders", "fetch")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def take(pace: Pace, clock: Clock, seconds: float, step: StepKey = STEP) -> None:
    with pace.timed(step, local=True):
        clock.now += seconds


def test_unknown_step_is_not_short() -> None:
    assert not Pace().is_short(STEP)


def test_step_is_short_while_none_of_its_recent_durations_was_long() -> None:
    clock = Clock()
    pace = Pace(clock)
    take(pace, clock, 0.1)
    assert pace.is_short(STEP)
    take(pace, clock, 2.5)
    assert not pace.is_short(STEP)
    for _ in range(REMEMBERED):
        take(pace, clock, 0.1)
    assert pace.is_short(STEP)
    assert not pace.is_short(("dep_2", "orders", "fetch"))


def test_step_that_hangs_right_now_is_not_short() -> None:
    clock = Clock()
    pace = Pace(clock)
    take(pace, clock, 0.1)
    with pace.timed(STEP, local=True):
        assert pace.is_short(STEP)
        clock.now += 3
        assert not pace.is_short(STEP)


def test_local_tries_at_once_are_bounded() -> None:
    clock = Clock()
    pace = Pace(clock)
    tries = [pace.timed(("dep", "flow", str(number)), local=True) for number in range(MOST_LOCAL)]
    for each in tries:
        assert not pace.is_full
        each.__enter__()
    assert pace.is_full
    with pace.timed(STEP, local=False):
        tries[0].__exit__(None, None, None)
        assert not pace.is_full


def test_least_recent_steps_are_forgotten() -> None:
    clock = Clock()
    pace = Pace(clock)
    for number in range(MOST_STEPS + 1):
        take(pace, clock, 0.1, ("dep", "flow", str(number)))
    assert not pace.is_short(("dep", "flow", "0"))
    assert pace.is_short(("dep", "flow", "1"))
