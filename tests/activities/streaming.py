"""A log stream with a target that answers as scripted, and lines for it."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from temporalio.testing import ActivityEnvironment

from activities.log_streams import LogStreamActivities, headers_place
from activities.vault import Vault
from domain.ids import first_id
from domain.messages import LogStreamInput, LogStreamLook
from runtime.clock import utcnow
from store.engine import Database
from store.log_streams import LogStreams
from store.logs import Logs
from store.tables import LogStreamRow
from tests.factories import an_id, save
from tests.fakes import ScriptedHttp
from tests.fixtures.temporal import KEYRING

AGO = timedelta(minutes=10)
MESSAGES = '"{{ message }}"'


@dataclass
class Streaming:
    """One stream, a target that answers as scripted, and an activity that makes one look."""

    database: Database
    row: LogStreamRow
    http: ScriptedHttp = field(default_factory=ScriptedHttp)

    async def look(self) -> LogStreamLook:
        activities = LogStreamActivities(self.database, Vault(KEYRING), self.http, look_seconds=0)
        return await ActivityEnvironment().run(activities.send_log_lines, LogStreamInput(self.row.id))

    async def now(self) -> LogStreamRow:
        async with self.database.snapshot() as session:
            row = await LogStreams(session).get(self.row.id)
        assert row is not None
        return row

    async def failing(self) -> bool:
        return (await self.now()).failing_since is not None

    async def delivered(self) -> bool:
        return (await self.now()).delivered > 0

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(each.body) for each in self.http.sent]

    async def set(self, **values: Any) -> None:
        async with self.database.transaction() as session:
            await session.execute(update(LogStreamRow).where(LogStreamRow.id == self.row.id).values(**values))


async def streaming(database: Database, *script: Any, **of: Any) -> Streaming:
    now = utcnow()
    row_id = an_id("lstr")
    async with database.transaction() as session:
        headers = {"X-Api-Key": "key-of-the-target"}
        sealed = await Vault(KEYRING).encrypt_json(session, of.get("customer_id"), headers, headers_place(row_id))
        usual: dict[str, Any] = {"id": row_id, "name": row_id, "url": "https://logs.example.com/in", "headers": sealed}
        usual |= {"header_names": ["X-Api-Key"], "template": MESSAGES, "severities": [], "types": [], "batch_size": 3}
        usual |= {"batch_format": "array", "enabled": True, "cursor": first_id("log", now - AGO)}
        row = LogStreamRow(**usual | {"created_at": now, "updated_at": now} | of)
        await save(session, row)
    return Streaming(database, row, ScriptedHttp(*script))


def line(number: int, at: datetime | None = None, **of: Any) -> dict[str, Any]:
    written = at or utcnow() - AGO / 2 + timedelta(seconds=number)
    start = {"id": first_id("log", written), "timestamp": written, "severity": 2, "message": f"Line {number}"}
    start |= {"type": "execution", "execution_id": None, "instance_flow_id": None, "instance_id": None}
    return start | {"customer_id": None, "step": None} | of


async def write(database: Database, *lines: dict[str, Any]) -> None:
    async with database.transaction() as session:
        await Logs(session).add_many(lines)
