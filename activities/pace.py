"""How long steps took lately, in this process: what decides whether a step is tried locally first.

A local try occupies a workflow task. So that a target that hangs cannot stall the worker, a step that is overdue right
now counts as long, and only so many tries run locally at once.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from domain.messages import RunStepInput

SHORT_SECONDS = 2.0
REMEMBERED = 5  # durations of one step
MOST_STEPS = 10_000
MOST_LOCAL = 15  # tries at once: half of the worker's workflow tasks

StepKey = tuple[str, str, str]  # deployment id, flow key, step key


def step_key(step: RunStepInput) -> StepKey:
    return step.deployment_id, step.flow, step.key


class Pace:
    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._recent: OrderedDict[StepKey, deque[float]] = OrderedDict()
        self._under_way: dict[StepKey, list[float]] = {}  # when each began, oldest first
        self._local = 0

    @contextmanager
    def timed(self, step: StepKey, *, local: bool) -> Iterator[None]:
        """Around one try of a step that touches the world."""
        began = self._clock()
        self._under_way.setdefault(step, []).append(began)
        self._local += local
        try:
            yield
        finally:
            self._local -= local
            self._under_way[step].remove(began)
            if not self._under_way[step]:
                del self._under_way[step]
            self._note(step, self._clock() - began)

    @property
    def is_full(self) -> bool:
        return self._local >= MOST_LOCAL

    def is_short(self, step: StepKey) -> bool:
        """True when the step has been seen, none of its recent durations was long, and none is getting long."""
        recent = self._recent.get(step)
        if recent is None or max(recent) >= SHORT_SECONDS:
            return False
        under_way = self._under_way.get(step)
        return under_way is None or self._clock() - under_way[0] < SHORT_SECONDS

    def _note(self, step: StepKey, seconds: float) -> None:
        self._recent.setdefault(step, deque(maxlen=REMEMBERED)).append(seconds)
        self._recent.move_to_end(step)
        if len(self._recent) > MOST_STEPS:
            self._recent.popitem(last=False)
