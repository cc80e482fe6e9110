"""Pausing, resuming and aborting the jobs that people steer: what they want stands in the ledger."""

from typing import Protocol

from domain.errors import Conflict
from domain.upgrades import Wish
from runtime.clock import utcnow
from store.jobs import ENDED
from store.tables import JobRow

OF_JOB = {
    Wish.PAUSE: {"state": "paused"},
    Wish.RUN: {"state": "running"},
    Wish.ABORT: {"state": "running", "stage": "aborting"},
}


class Steered(Protocol):
    wish: str


def steer(noun: str, row: Steered, job: JobRow, wish: Wish) -> bool:
    """Wishing the same again changes nothing: False. Raises Conflict once there is nothing to steer."""
    if job.state in ENDED:
        raise Conflict(f"The {noun} has ended: {job.state}.")
    if row.wish == Wish.ABORT and wish != Wish.ABORT:
        raise Conflict(f"The {noun} is being aborted.")
    if row.wish == wish:
        return False
    row.wish = wish
    for name, value in OF_JOB[wish].items():
        setattr(job, name, value)
    job.handed_over_at = None  # until the workflow has been told
    job.updated_at = utcnow()
    return True
