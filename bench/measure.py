"""One measurement of one subject: latency at a fixed rate, then a flood, with CPU and history figures."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import Client
from temporalio.service import GrpcCompression

from bench.load import Sent, percentile, send
from bench.processes import cpu_ms
from bench.subjects import Subject

DRAIN_SECONDS = 120.0
SAMPLE = 10  # executions whose history is looked at


@dataclass(frozen=True)
class Figures:
    """Times in ms, CPU in ms per execution by process, rates per second."""

    ack_p50: float
    ack_p99: float
    done_p50: float
    done_p99: float
    accepted: float
    completed: float
    cpu: dict[str, float]
    transitions: float
    history_bytes: float


async def measure(subject: Subject, steps: int, temporal: str, count: int, rate: float) -> Figures:
    client = await Client.connect(temporal, grpc_compression=GrpcCompression.NONE)
    url = subject.urls[steps]
    paced = await send(url, count, rate)
    closed = await _closed(client, subject, paced)
    before = cpu_ms(subject.processes)
    flood = await send(url, count, None)
    flooded = await _closed(client, subject, flood)
    used = {name: (value - before[name]) / count for name, value in cpu_ms(subject.processes).items()}
    done = [(closed[each.execution_id] - each.scheduled) / timedelta(milliseconds=1) for each in paced]
    began = min(each.scheduled for each in flood)
    transitions, history_bytes = await _history(client, paced[-SAMPLE:])
    return Figures(
        ack_p50=percentile([each.ack_ms for each in paced], 0.5),
        ack_p99=percentile([each.ack_ms for each in paced], 0.99),
        done_p50=percentile(done, 0.5),
        done_p99=percentile(done, 0.99),
        accepted=count / (max(each.acknowledged for each in flood) - began).total_seconds(),
        completed=count / (max(flooded.values()) - began).total_seconds(),
        cpu=used,
        transitions=transitions,
        history_bytes=history_bytes,
    )


async def _closed(client: Client, subject: Subject, sent: Sequence[Sent]) -> Mapping[str, datetime]:
    """When each workflow closed, by Temporal's own clock, which is this machine's. Asked for seldom."""
    wanted = {each.execution_id for each in sent}
    since = min(each.scheduled for each in sent) - timedelta(seconds=1)
    query = f"WorkflowType = '{subject.workflow}' AND StartTime > '{since.isoformat()}' AND CloseTime IS NOT NULL"
    async with asyncio.timeout(DRAIN_SECONDS):
        while True:
            await asyncio.sleep(0.5)
            if (await client.count_workflows(query)).count < len(wanted):
                continue
            found = {
                each.id: each.close_time
                async for each in client.list_workflows(query)
                if each.id in wanted and each.close_time is not None
            }
            if len(found) == len(wanted):
                return found


async def _history(client: Client, sent: Sequence[Sent]) -> tuple[float, float]:
    described = [await client.get_workflow_handle(each.execution_id).describe() for each in sent]
    infos = [each.raw_description.workflow_execution_info for each in described]
    transitions = sum(info.state_transition_count for info in infos) / len(infos)
    return transitions, sum(info.history_size_bytes for info in infos) / len(infos)
