"""Connections of the ledger with their secrets: read as they are now, and written encrypted under their owner's key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.outbox import announce, note
from activities.vault import Vault
from domain.connections import OAUTH2, ConnectionStatus
from domain.monitors import Place
from domain.oauth import AUTHORIZATION_CODE, Token, identity, refresh_at
from domain.text import clean_text, truncate
from runtime.clock import utcnow
from runtime.ids import new_id
from store.logs import Logs
from store.tables import ConnectionRow, EventRow

SYSTEM = "flowgraft"  # the principal of what nobody asked for
LAST_MOMENT = timedelta(seconds=5)  # a token that ends sooner may be too old on arrival
LONGEST_ERROR = 500


@dataclass(frozen=True)
class LiveConnection:
    row: ConnectionRow
    values: dict[str, Any]
    token: Token | None

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def label(self) -> str:
        return self.row.name or self.row.key or self.row.id

    @property
    def version(self) -> int:
        return self.row.token_version

    @property
    def needs_a_person(self) -> bool:
        """Nobody has authorised it, and it cannot get a token by itself."""
        return self.token is None and self.values.get("grant") == AUTHORIZATION_CODE

    def is_usable(self, now: datetime) -> bool:
        ends = self.row.expires_at
        return self.token is not None and (ends is None or now + LAST_MOMENT < ends)

    def is_due(self, now: datetime) -> bool:
        due = self.row.refresh_at
        return not self.is_usable(now) or (due is not None and due <= now)

    def is_leased(self, now: datetime) -> bool:
        return self.row.lease_until is not None and now < self.row.lease_until


class ConnectionSecrets:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def read(self, session: AsyncSession, row: ConnectionRow) -> LiveConnection:
        values, token = {}, None
        if row.values is not None:
            values = await self._vault.decrypt_json(session, row.values, _place(row, "values"))
        if row.tokens is not None:
            token = Token(**await self._vault.decrypt_json(session, row.tokens, _place(row, "tokens")))
        return LiveConnection(row, values, token)

    async def seal_values(self, session: AsyncSession, row: ConnectionRow, values: dict[str, Any]) -> dict[str, Any]:
        """The columns that hold the inputs. `values` are complete."""
        sealed = await self._vault.encrypt_json(session, row.customer_id, values, _place(row, "values"))
        return {"values": sealed, "identity": identity(values) if row.kind == OAUTH2 else None}

    async def seal_token(
        self, session: AsyncSession, row: ConnectionRow, token: Token, asked_at: datetime
    ) -> dict[str, Any]:
        """The columns that hold it. Its life counts from when it was asked for."""
        life = token.expires_in
        return {
            "tokens": await self._vault.encrypt_json(session, row.customer_id, token.sealed(), _place(row, "tokens")),
            "token_version": row.token_version + 1,
            "expires_at": None if life is None else asked_at + life,
            "refresh_at": None if life is None else refresh_at(asked_at, life),
            "status": ConnectionStatus.ACTIVE,
            "error": None,
            "lease_owner": None,
            "lease_until": None,
        }


NO_TOKEN: dict[str, Any] = {
    "tokens": None,
    "expires_at": None,
    "refresh_at": None,
    "refused_version": None,
    "lease_owner": None,
    "lease_until": None,
}


def shown(text: str) -> str:
    """As a connection's error, for people."""
    return truncate(clean_text(text), LONGEST_ERROR)


def note_event(session: AsyncSession, row: ConnectionRow, action: str, principal: str = SYSTEM, **details: Any) -> None:
    event = EventRow(
        id=new_id("evt"),
        at=utcnow(),
        principal=principal,
        action=f"connection.{action}",
        object_id=row.id,
        instance_id=row.instance_id,
        customer_id=row.customer_id,
        details=({"key": row.key} if row.key else {"name": row.name}) | details,
    )
    note(session, event)


def note_error(session: AsyncSession, row: ConnectionRow, message: str) -> None:
    """It has just stopped working."""
    details = ({"key": row.key} if row.key else {"name": row.name}) | {"message": shown(message)}
    place = Place(row.customer_id, None, row.instance_id)
    announce(session, "connection.error", place, object_id=row.id, details=details)


async def note_line(session: AsyncSession, row: ConnectionRow, severity: int, message: str) -> None:
    line = {
        "id": new_id("log"),
        "timestamp": utcnow(),
        "severity": severity,
        "message": shown(message),
        "type": "connection",
        "instance_id": row.instance_id,
        "customer_id": row.customer_id,
    }
    await Logs(session).add_many([line])


def connection_place(connection_id: str, column: str) -> str:
    """The associated data of an encrypted column."""
    return f"connections/{connection_id}/{column}"


def sealed_place(state_id: str) -> str:
    """The associated data of what an authorisation keeps."""
    return f"oauth_states/{state_id}/sealed"


def _place(row: ConnectionRow, column: str) -> str:
    return connection_place(row.id, column)
