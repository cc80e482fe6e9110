"""A cluster under steady load, one part after the other killed. Only `make cluster-test` runs it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, cycle

import httpx2
import pytest

from bench.load import percentile
from bench.processes import cpu_ms
from deploy.cluster.cluster import Cluster
from tests.e2e.client import Client, fresh
from tests.e2e.conftest import FAULT_RATE, FAULT_SECONDS
from tests.e2e.definitions import call
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import ClusterStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

AWAY = 4.0  # seconds between a kill and the start of what was killed
UNDER_WAY = timedelta(seconds=1)  # what is due this long before a kill is counted with it
AGAIN = 0.2  # seconds before a client tries once more
PATIENCE = timedelta(seconds=60)  # until a client gives up
DRAIN = 600.0  # seconds for what is left when the load ends


@dataclass(frozen=True)
class Fault:
    name: str
    kill: Callable[[], None]
    start: Callable[[], None]


@dataclass(frozen=True)
class Delivered:
    """`due` is when it should have been sent first: a late sender does not flatter the receiver."""

    execution_id: str
    due: datetime
    acknowledged: datetime
    tries: int


class Senders:
    """Clients of one webhook who know both APIs, and stay with a delivery until one of them has taken it."""

    def __init__(self, http: httpx2.AsyncClient, url: str, bases: Sequence[str]) -> None:
        path = httpx2.URL(url).path
        self._urls = [f"{base}{path}" for base in bases]
        self._http = http
        self._sending: list[asyncio.Task[Delivered | None]] = []

    async def send_at(self, rate: float, seconds: float) -> None:
        """Open loop: a slow answer holds no other delivery up."""
        start = datetime.now(UTC)
        for number in range(int(rate * seconds)):
            due = start + timedelta(seconds=number / rate)
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
            self._sending.append(asyncio.create_task(self._deliver(len(self._sending), due)))

    async def all_delivered(self) -> tuple[list[Delivered], int]:
        """And how many have given up."""
        delivered = [each for each in await asyncio.gather(*self._sending) if each]
        return delivered, len(self._sending) - len(delivered)

    async def _deliver(self, number: int, due: datetime) -> Delivered | None:
        headers = {"Idempotency-Key": fresh("delivery")}
        urls = cycle(self._urls[number % 2 :] + self._urls[: number % 2])
        for tries in count(1):
            if execution_id := await self._accepted(next(urls), number, headers):
                return Delivered(execution_id, due, datetime.now(UTC), tries)
            if datetime.now(UTC) - due > PATIENCE:
                break
            await asyncio.sleep(AGAIN)
        return None

    async def _accepted(self, url: str, number: int, headers: Mapping[str, str]) -> str | None:
        """What cannot be reached, or says that it cannot now, is to be tried again."""
        try:
            answer = await self._http.post(url, json={"id": number}, headers=headers)
        except httpx2.TransportError:
            return None
        assert answer.status_code in (202, 503), answer.text
        return str(answer.json()["execution_id"]) if answer.status_code == 202 else None


async def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(
    stack: ClusterStack, client: Client, spot: Spot, figures: list[str]
) -> None:
    cluster = stack.cluster
    spot.script("/post", Answer(delay=0.2))  # long enough that a kill hits some of them
    made = await client.provision(call(), endpoint=spot.url)
    warm = [await client.delivered(made.url("call"), json={"id": number}) for number in range(20)]
    for execution_id in warm:
        await client.wait_for(execution_id, "succeeded")
    spot.calls.clear()

    async with httpx2.AsyncClient(trust_env=False, timeout=10, limits=httpx2.Limits(max_connections=None)) as http:
        senders = Senders(http, made.url("call"), cluster.urls)
        before = _cpu(cluster)
        await senders.send_at(FAULT_RATE, FAULT_SECONDS)
        after = _cpu(cluster)
        windows = [("no fault", datetime.min.replace(tzinfo=UTC))]
        for fault in _faults(cluster):
            windows.append((fault.name, datetime.now(UTC) - UNDER_WAY))
            fault.kill()
            await senders.send_at(FAULT_RATE, AWAY)
            fault.start()
            await senders.send_at(FAULT_RATE, FAULT_SECONDS - AWAY)
        delivered, given_up = await senders.all_delivered()
    ended = await _until_all_ended(client, made.id)
    for execution_id in warm:
        del ended[execution_id]

    figures += _table(windows, delivered, ended)
    keys = {call.key for call in spot.calls}
    repeated = len(spot.calls) - len(keys)
    figures.append(f"{given_up} given up; {len(spot.calls)} requests at the target, {repeated} of them repeated")
    figures += _cpu_lines(before, after, FAULT_RATE * FAULT_SECONDS)
    ids = {each.execution_id for each in delivered}
    assert len(ids) == len(delivered)
    assert ids <= ended.keys()
    assert keys == {f"{execution_id}:post" for execution_id in ended}
    assert cluster.dead == []
    assert given_up == 0
    assert len(ended) == len(ids)


def _faults(cluster: Cluster) -> list[Fault]:
    return [
        Fault("one API killed", cluster.apis[0].kill, cluster.apis[0].start),
        Fault("one worker killed", cluster.workers[0].kill, cluster.workers[0].start),
        Fault("Temporal killed", cluster.temporal.kill, cluster.temporal.process.start),
        Fault("PostgreSQL killed", cluster.postgres.kill, cluster.postgres.launch),
    ]


async def _until_all_ended(client: Client, instance_id: str) -> dict[str, datetime]:
    """When each execution succeeded, by its id."""
    open_ones = {"instance_id": instance_id, "status": ["queued", "running", "retrying"], "limit": 1}
    async with asyncio.timeout(DRAIN):
        while (await client.call("GET", "/v1/executions", params=open_ones))["data"]:
            await asyncio.sleep(1)
    found = await client.executions(instance_id=instance_id)
    assert {each["status"] for each in found} == {"succeeded"}
    return {each["id"]: datetime.fromisoformat(each["ended_at"]) for each in found}


def _cpu(cluster: Cluster) -> dict[str, dict[str, float]]:
    """By part and process. What ends while we look is left out."""
    found: dict[str, dict[str, float]] = {name: {} for name in cluster.pids}
    for name, pids in cluster.pids.items():
        for pid in pids:
            with suppress(FileNotFoundError, ProcessLookupError):
                found[name] |= cpu_ms({str(pid): pid})
    return found


def _cpu_lines(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]], deliveries: float
) -> Iterator[str]:
    for name, pids in after.items():
        used = sum(value - before[name].get(pid, 0) for pid, value in pids.items())
        yield f"CPU of {name} without a fault: {used / deliveries:.1f} ms per delivery"


def _table(
    windows: Sequence[tuple[str, datetime]], delivered: Sequence[Delivered], ended: Mapping[str, datetime]
) -> Iterator[str]:
    """Milliseconds. A delivery counts where it was due."""
    yield "| | deliveries | sent again | ack p50 | p99 | worst | done p50 | p99 | worst |"
    yield "|---" * 9 + "|"
    limits = [*windows[1:], ("", datetime.max.replace(tzinfo=UTC))]
    for (name, begin), (_, end) in zip(windows, limits, strict=True):
        yield _row(name, [each for each in delivered if begin <= each.due < end], ended)
    yield _row("all", delivered, ended)


def _row(name: str, delivered: Sequence[Delivered], ended: Mapping[str, datetime]) -> str:
    again = sum(each.tries - 1 for each in delivered)
    acks = [(each.acknowledged - each.due) / timedelta(milliseconds=1) for each in delivered]
    dones = [(ended[each.execution_id] - each.due) / timedelta(milliseconds=1) for each in delivered]
    figures = [f"{percentile(values, share):.0f}" for values in (acks, dones) for share in (0.5, 0.99, 1)]
    return f"| {' | '.join([name, str(len(delivered)), str(again), *figures])} |"
