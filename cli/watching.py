"""Waiting for what the server does: executions, jobs, log lines that are still to come."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

import typer

from cli.client import PAGE, Json, at
from cli.failures import CommandFailed, ExitCode
from cli.session import Session
from domain.executions import TERMINAL

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks
OVERLAP = timedelta(seconds=5)  # lines of several workers become visible out of order
REMEMBERED = 10_000  # ids of lines that were shown
SUCCESS = ("succeeded", "skipped")

EXECUTION_COLUMNS = (
    "id status reason trigger is_test customer.name instance.name flow.name version.number attempt max_attempts "
    "next_attempt_at queued_at started_at ended_at duration_seconds error.code error.message error.step replay_of "
    "resolved_by tags expires_at payload_expires_at temporal.url"
)
JOB_COLUMNS = "id kind state stage object_id total done failed error result stages created_at updated_at"


def follow_execution(
    session: Session, execution_id: str, timeout: float | None, each_look: Callable[[], None] = lambda: None
) -> Json:
    """Tells what changes; the execution once it has ended."""
    told: str | None = None
    for execution in _looks(session, at("executions", execution_id), timeout):
        if (line := _state_of(execution)) != told:
            session.out.talk(line)
            told = line
        each_look()
        if execution["status"] in TERMINAL:
            return execution
    raise CommandFailed(f"{execution_id} has not ended within {timeout:g} s; it goes on")


def finish_execution(session: Session, execution_id: str, timeout: float | None) -> None:
    """Waits and prints it. The exit code says whether it succeeded."""
    execution = follow_execution(session, execution_id, timeout)
    session.out.item(execution, EXECUTION_COLUMNS)
    ensure_succeeded(execution)


def ensure_succeeded(execution: Json) -> None:
    if execution["status"] not in SUCCESS:
        raise typer.Exit(ExitCode.EXECUTION_FAILED)


def finish_job(
    session: Session, job_id: str, timeout: float | None, *, path: str | None = None, columns: str = JOB_COLUMNS
) -> Json:
    """Waits and prints it. Fails when the job did. `path` is its own address, where there is one that says more."""
    job = follow_job(session, job_id, timeout, path=path)
    session.out.item(job, columns)
    if job["state"] != "succeeded":
        raise typer.Exit(ExitCode.FAILED)
    return job


def follow_job(session: Session, job_id: str, timeout: float | None, *, path: str | None = None) -> Json:
    """Tells what changes; the job once it has ended."""
    told: str | None = None
    for job in _looks(session, path or at("jobs", job_id), timeout):
        line = f"{job['kind']}: {job['state']} {_stage_of(job)} {job['done']}/{job['total']}"
        if line != told:
            session.out.talk(line)
            told = line
        if job["state"] not in ("running", "paused"):
            return job
    raise CommandFailed(f"{job_id} has not ended within {timeout:g} s; it goes on")


class LogTail:
    """Prints the lines that have come since it last looked, oldest first. The first look shows the last `limit`."""

    def __init__(self, session: Session, path: str, columns: str, query: Json, limit: int) -> None:
        self._session = session
        self._path = path
        self._query = query
        self._limit: int | None = limit
        self._print = session.out.stream(columns)
        self._shown: deque[str] = deque(maxlen=REMEMBERED)
        self._floor: str | None = query.get("after")

    def look(self) -> None:
        lines = [line for line in self._newest_first() if line["id"] not in self._shown]
        for line in reversed(lines):
            self._print(line)
            self._shown.append(line["id"])
        if lines and self._limit is not None:
            self._floor = lines[-1]["timestamp"]  # what the limit has cut must not come with the overlap
        if lines:
            self._query = self._query | {"after": _earlier(lines[0]["timestamp"], self._floor)}
        self._limit = None

    def follow(self, timeout: float | None) -> None:
        """Until the time is over, or for ever."""
        deadline = _deadline(timeout)
        self.look()
        while time.monotonic() < deadline:
            time.sleep(min(1.0, max(0.0, deadline - time.monotonic())))
            self.look()

    def _newest_first(self) -> list[Json]:
        if self._limit is not None:
            page: Json = self._session.api.get(self._path, **self._query, limit=min(self._limit, PAGE))
            return list(page["data"])
        return [line for page in self._session.api.pages(self._path, self._query) for line in page["data"]]


def looks(read: Callable[[], Json], timeout: float | None) -> Iterator[Json]:
    """Again and again, more and more slowly, until the time is over."""
    deadline, pause = _deadline(timeout), FIRST_PAUSE
    yield read()
    while time.monotonic() < deadline:
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.2, LONGEST_PAUSE)
        yield read()


def _looks(session: Session, path: str, timeout: float | None) -> Iterator[Json]:
    return looks(partial(session.api.get, path), timeout)


def _deadline(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + timeout


def _stage_of(job: Json) -> str:
    ring = f"ring {job['ring']} of {len(job['rings'])} " if job.get("rings") else ""
    return f"{ring}{job['stage'] or ''}"


def _state_of(execution: Json) -> str:
    line = f"{execution['id']} {execution['status']}, attempt {execution['attempt']} of {execution['max_attempts']}"
    if execution["next_attempt_at"]:
        line += f", next at {execution['next_attempt_at']}"
    if error := execution["error"]:
        line += f": {error['code']} at {error['step']}: {error['message']}"
    return line


def _earlier(timestamp: str, floor: str | None) -> str:
    earlier = datetime.fromisoformat(timestamp) - OVERLAP
    if floor is not None:
        earlier = max(earlier, datetime.fromisoformat(floor))
    return earlier.isoformat(timespec="microseconds").replace("+00:00", "Z")
