"""`flowgraft flows listen`: the next real delivery of a flow, kept in a file."""

import json
from functools import partial
from pathlib import Path

from cli.client import Json, at
from cli.failures import CommandFailed
from cli.session import Session
from cli.watching import looks

PRISMATICS = 1200.0  # seconds that it listens, unless told otherwise


def listen(session: Session, flow_id: str, file: Path, timeout: float) -> None:
    """Its very bytes, and beside them, in `FILE.headers.json`, how they came. Tests and replays do not count."""
    execution_id = _next(session, flow_id, timeout)
    received = session.api.get(at("executions", execution_id, "payload"))
    session.out.raw(session.api.call("GET", at("executions", execution_id, "payload", "raw")).content, file)
    said = {name: received[name] for name in ("method", "path", "query", "headers", "content_type")}
    session.out.raw(f"{json.dumps(said, indent=2)}\n".encode(), file.with_name(f"{file.name}.headers.json"))
    session.out.item({"execution_id": execution_id, **received}, "execution_id method path content_type size")


def _next(session: Session, flow_id: str, timeout: float) -> str:
    wanted = {"flow_id": flow_id, "is_test": False, "originals_only": True, "limit": 1}
    latest = partial(session.api.get, at("executions"), **wanted)
    before = _id_of(latest())
    session.out.talk("Listening. Send something to the flow's webhook.")
    for page in looks(latest, timeout):
        found = _id_of(page)
        if found is not None and found != before:
            return found
    raise CommandFailed(f"Nothing came within {timeout:g} s")


def _id_of(page: Json) -> str | None:
    return str(page["data"][0]["id"]) if page["data"] else None
