"""The table of a run: medians over the rounds, and Flowgraft as a ratio of bare."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from bench.measure import Figures

ROWS: list[tuple[str, Callable[[Figures], float]]] = [
    ("acknowledged p50, ms", lambda figures: figures.ack_p50),
    ("acknowledged p99, ms", lambda figures: figures.ack_p99),
    ("completed p50, ms", lambda figures: figures.done_p50),
    ("completed p99, ms", lambda figures: figures.done_p99),
    ("accepted per second, flood", lambda figures: figures.accepted),
    ("completed per second, flood", lambda figures: figures.completed),
    ("CPU of the API, ms", lambda figures: figures.cpu["api"]),
    ("CPU of the worker, ms", lambda figures: figures.cpu["worker"]),
    ("CPU of Temporal, ms", lambda figures: figures.cpu["server"]),
    ("CPU in all, ms", lambda figures: sum(figures.cpu.values())),
    ("Temporal transitions", lambda figures: figures.transitions),
    ("history, bytes", lambda figures: figures.history_bytes),
]


def table(found: Mapping[tuple[str, int], Sequence[Figures]]) -> str:
    """Markdown."""
    steps = sorted({count for _, count in found})
    names = ("bare", "flowgraft", "ratio")
    titles = [f"{count} step{'s' if count > 1 else ''}: {name}" for count in steps for name in names]
    lines = [f"| per execution | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for title, figure in ROWS:
        cells = [cell for count in steps for cell in _cells(found, count, figure)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(
    found: Mapping[tuple[str, int], Sequence[Figures]], steps: int, figure: Callable[[Figures], float]
) -> list[str]:
    bare = median(figure(each) for each in found["bare", steps])
    ours = median(figure(each) for each in found["flowgraft", steps])
    return [f"{bare:.1f}", f"{ours:.1f}", f"{ours / bare:.2f}"]
