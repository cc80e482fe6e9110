"""How long steps took lately, in this process: what decides whether a step is tried locally first."""

from collections import OrderedDict, deque

from domain.messages import RunStepInput

SHORT_SECONDS = 2.0
REMEMBERED = 5  # durations of one step
MOST_STEPS = 10_000

StepKey = tuple[str, str, str]  # deployment id, flow key, step key


def step_key(step: RunStepInput) -> StepKey:
    return step.deployment_id, step.flow, step.key


class Pace:
    def __init__(self) -> None:
        self._recent: OrderedDict[StepKey, deque[float]] = OrderedDict()

    def note(self, step: StepKey, seconds: float) -> None:
        self._recent.setdefault(step, deque(maxlen=REMEMBERED)).append(seconds)
        self._recent.move_to_end(step)
        if len(self._recent) > MOST_STEPS:
            self._recent.popitem(last=False)

    def is_short(self, step: StepKey) -> bool:
        """True when the step has been seen and none of its recent durations was long."""
        recent = self._recent.get(step)
        return recent is not None and max(recent) < SHORT_SECONDS
