"""What Temporal did not take in time is handed over once more, as soon as it takes it."""

import asyncio
from dataclasses import dataclass, field

from activities.handover import Handover
from api.handing_over import HandingOver
from domain.executions import RetryRule


def handover(execution_id: str) -> Handover:
    return Handover(execution_id, "flow", "dep", "cust", "inst", "intg", 1, "webhook", RetryRule(), "Acme")


@dataclass
class Temporal:
    away: bool = True
    tries: int = 0
    started: list[str] = field(default_factory=list)

    async def start(self, handover: Handover) -> bool:
        self.tries += 1
        await asyncio.sleep(0)
        if not self.away:
            self.started.append(handover.execution_id)
        return not self.away


async def test_everything_is_started_once_in_order_when_temporal_is_back() -> None:
    temporal = Temporal()
    again = HandingOver(temporal.start)
    for number in range(20):
        again.later(handover(f"exec_{number}"))
    while temporal.tries < 8:
        await asyncio.sleep(0.01)
    temporal.away = False
    again.later(handover("exec_20"))
    async with asyncio.timeout(5):
        while len(temporal.started) < 21:
            await asyncio.sleep(0.01)
    assert temporal.started == [f"exec_{number}" for number in range(21)]
    await again.close()


async def test_what_is_upkeeps_by_then_is_let_go() -> None:
    temporal = Temporal()
    again = HandingOver(temporal.start, patience=0.0)
    again.later(handover("exec_1"))
    await asyncio.sleep(0.05)
    assert temporal.tries == 0
    await again.close()


async def test_closing_ends_the_tries() -> None:
    temporal = Temporal()
    again = HandingOver(temporal.start)
    again.later(handover("exec_1"))
    while not temporal.tries:
        await asyncio.sleep(0.01)
    await again.close()
    tries = temporal.tries
    await asyncio.sleep(0.6)
    assert temporal.tries == tries
