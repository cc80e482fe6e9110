"""Open-loop load over kept-alive connections, cheap enough to share a machine with what it measures."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

BODY = json.dumps({"id": 7, "note": "x" * 120}).encode()


@dataclass(frozen=True)
class Sent:
    """`scheduled` is when it should have been sent: a late sender does not flatter the receiver."""

    execution_id: str
    scheduled: datetime
    acknowledged: datetime

    @property
    def ack_ms(self) -> float:
        return (self.acknowledged - self.scheduled) / timedelta(milliseconds=1)


async def send(url: str, count: int, rate: float | None) -> list[Sent]:
    """`count` deliveries at `rate` per second; without a rate as fast as 32 connections allow."""
    connections = min(32, max(4, int(rate))) if rate else 32  # few enough that none idles until it is closed
    start = datetime.now(UTC) + timedelta(milliseconds=50)
    gap = timedelta(seconds=1 / rate) if rate else timedelta(0)
    waiting: asyncio.Queue[datetime] = asyncio.Queue()
    for number in range(count):
        waiting.put_nowait(start + gap * number)
    sent: list[Sent] = []
    await asyncio.gather(*(_sender(url, waiting, sent) for _ in range(connections)))
    return sent


async def _sender(url: str, waiting: asyncio.Queue[datetime], sent: list[Sent]) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    while not waiting.empty():
        scheduled = waiting.get_nowait()
        await asyncio.sleep(max((scheduled - datetime.now(UTC)).total_seconds(), 0))
        writer.write(request)
        answer = await _answer(reader)
        sent.append(Sent(answer["execution_id"], scheduled, datetime.now(UTC)))
    writer.close()
    await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> dict[str, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status, *lines = head.split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    body = await reader.readexactly(length)
    if " 202 " not in status:
        raise RuntimeError(f"{status}: {body[:300]!r}")
    answer: dict[str, str] = json.loads(body)
    return answer


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
