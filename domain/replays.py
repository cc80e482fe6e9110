"""Replays of many executions: what becomes of each, and why one is left as it is."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.catalog import Catalog
from domain.definitions.model import Step
from domain.executions import step_path

DEFAULT_RATE = 20.0  # executions a second
MOST_ITEMS = 100_000
INDEX = re.compile(r"\[\d+\]")  # of a loop, in a path


class ReplayStatus(StrEnum):
    """What became of one execution: its replay has been started, and how that has ended."""

    PENDING = "pending"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why an execution was not replayed. Besides these, the code with which its own replay would be refused."""

    DELETED = "deleted"
    NOT_ENDED = "not_ended"
    RESOLVED = "resolved"  # a replay has succeeded since
    BEING_REPLAYED = "being_replayed"
    REPLAYED_MEANWHILE = "replayed_meanwhile"
    CANCELED = "canceled"  # its replay was canceled, or skipped by a rule of its flow
    ABORTED = "aborted"
    STOPPED = "stopped"  # too many replays had failed


class Runs(StrEnum):
    """What a replay does about a step."""

    AGAIN = "again"
    KEPT = "kept"  # what it returned then is taken over
    PARTLY = "partly"  # in a loop: kept where it has succeeded, run where it has not


@dataclass(frozen=True)
class StepForecast:
    path: str  # without the indexes of loops
    key: str
    name: str
    action: str | None
    outside: bool  # it may touch the world beyond the ledger
    conditional: bool  # whether and how often it runs depends on a branch or a loop
    runs: Runs
    succeeded: int  # how often it has in the original


def forecast(steps: Sequence[Step], succeeded: Sequence[str], catalog: Catalog, *, keep: bool) -> list[StepForecast]:
    """Of each action of a flow, in reading order. `succeeded` are the paths of the original's steps that have; `keep`
    takes their outputs over."""
    counts: dict[str, int] = {}
    for path in set(succeeded):
        plain = INDEX.sub("", path)
        counts[plain] = counts.get(plain, 0) + 1
    return list(_forecasts(steps, "", False, False, counts, catalog, keep))


def _forecasts(
    steps: Sequence[Step],
    parent: str,
    conditional: bool,
    looped: bool,
    counts: dict[str, int],
    catalog: Catalog,
    keep: bool,
) -> Iterator[StepForecast]:
    for step in steps:
        path = step_path(parent, step.key)
        if step.action is not None:
            spec, count = catalog.get(step.action), counts.get(path, 0)
            kept = Runs.PARTLY if looped else Runs.KEPT
            yield StepForecast(
                path=path,
                key=step.key,
                name=step.title,
                action=step.action,
                outside=spec is None or not spec.local,
                conditional=conditional,
                runs=kept if keep and count else Runs.AGAIN,
                succeeded=count,
            )
        yield from _forecasts(step.steps or [], path, True, True, counts, catalog, keep)
        for case in step.branch or []:
            yield from _forecasts(case.steps, path, True, looped, counts, catalog, keep)
