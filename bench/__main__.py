"""`python -m bench`: measures, prints the table of ratios."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from bench.measure import Figures, measure
from bench.report import table
from bench.subjects import subjects
from runtime.devserver import DevServer

STEPS = (1, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description="Flowgraft against a bare Temporal workflow, side by side.")
    parser.add_argument("--rounds", type=int, default=2, help="each measures all subjects, in alternating order")
    parser.add_argument("--count", type=int, default=300, help="executions per measurement")
    parser.add_argument("--rate", type=float, default=15.0, help="deliveries per second of the latency measurement")
    options = parser.parse_args()
    print(asyncio.run(run(options.rounds, options.count, options.rate)))  # noqa: T201 — the table is the output


async def run(rounds: int, count: int, rate: float) -> str:
    found: dict[tuple[str, int], list[Figures]] = {}
    with tempfile.TemporaryDirectory(prefix="flowgraft-bench-") as name:
        directory = Path(name)
        server = DevServer(db_file=directory / "temporal.db")
        await server.start()
        try:
            async with subjects(directory, server, STEPS) as both:
                for subject in both:
                    for steps in STEPS:  # warm: connections, caches, the pace of steps
                        await measure(subject, steps, server.address, count=20, rate=10)
                for number in range(rounds):
                    for subject in both if number % 2 == 0 else reversed(both):
                        for steps in STEPS:
                            pace = rate if steps == 1 else rate / 3  # below what bare Temporal sustains
                            figures = await measure(subject, steps, server.address, count, pace)
                            found.setdefault((subject.name, steps), []).append(figures)
        finally:
            await server.stop()
    return table(found)


if __name__ == "__main__":
    main()
