"""Payloads: what was received, byte for byte, encrypted; and the `trigger` root that flows see of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.triggers import trigger_root
from runtime.crypto import Keyring
from store.executions import Opening
from store.tables import ExecutionRow, PayloadRow


@dataclass(frozen=True)
class Payload:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    content_type: str | None
    body: bytes

    def root(self) -> dict[str, Any]:
        return trigger_root(
            method=self.method,
            path=self.path,
            query=self.query,
            headers=self.headers,
            content_type=self.content_type,
            body=self.body,
        )


def payload_context(payload_id: str, part: str) -> str:
    """The associated data of an encrypted payload, head or body."""
    return f"payloads/{payload_id}/{part}"


def stored_payload_context(flow_id: str) -> str:
    """The associated data of a flow's encrypted test payload."""
    return f"flows/{flow_id}/test_payload"


EMPTY = Payload("", "", [], [], None, b"")


class Payloads:
    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, payload: Payload, payload_id: str, instance_id: str, now: datetime) -> PayloadRow:
        head = {
            "method": payload.method,
            "path": payload.path,
            "query": payload.query,
            "headers": payload.headers,
            "content_type": payload.content_type,
        }
        return PayloadRow(
            id=payload_id,
            instance_id=instance_id,
            head=self._keyring.encrypt_json(head, payload_context(payload_id, "head")),
            body=self._keyring.encrypt(payload.body, payload_context(payload_id, "body")),
            created_at=now,
        )

    def open(self, row: PayloadRow) -> Payload:
        head = self._keyring.decrypt_json(row.head, payload_context(row.id, "head"))
        return Payload(
            method=head["method"],
            path=head["path"],
            query=[(name, value) for name, value in head["query"]],
            headers=[(name, value) for name, value in head["headers"]],
            content_type=head["content_type"],
            body=self._keyring.decrypt(row.body, payload_context(row.id, "body")),
        )

    async def trigger(self, session: AsyncSession, execution: ExecutionRow | Opening) -> dict[str, Any]:
        """The `trigger` root of an execution; one without a payload (a schedule's) has an empty one."""
        row = await session.get(PayloadRow, execution.payload_id) if execution.payload_id else None
        return (self.open(row) if row else EMPTY).root()
