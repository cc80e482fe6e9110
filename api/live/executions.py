"""One execution as it goes on: its status and its steps."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from store.engine import Database
from store.live import ExecutionState, Live, StepMark, StepState


@dataclass(frozen=True)
class Sight:
    """The whole of it. `state` None: it has been deleted."""

    execution_id: str
    state: ExecutionState | None
    steps: list[StepState]


class ExecutionSource:
    """Looks at those alone that somebody watches, and at their steps only when there is something new about them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks: dict[str, tuple[ExecutionState | None, StepMark | None]] = {}

    async def begin(self) -> None:
        self._marks = {}

    async def look(self, wants: Collection[str]) -> Sequence[Sight]:
        ids = sorted(set(wants))
        async with self._database.snapshot() as session:
            live = Live(session)
            states = {state.id: state for state in await live.executions(ids)}
            marks = {mark.execution_id: mark for mark in await live.step_marks(ids)}
            seen = {each: (states.get(each), marks.get(each)) for each in ids}
            changed = [each for each in ids if self._marks.get(each) != seen[each]]
            sights = [Sight(each, states.get(each), await live.steps(each)) for each in changed]
        self._marks = seen
        return sights


async def sight(database: Database, execution_id: str) -> Sight:
    async with database.snapshot() as session:
        states = await Live(session).executions([execution_id])
        return Sight(execution_id, states[0] if states else None, await Live(session).steps(execution_id))


def is_of(execution_id: str, sight: Sight) -> bool:
    return sight.execution_id == execution_id
