"""Making and removing API keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import SCOPES, Scope
from api.events import record
from domain.errors import Invalid, NotFound, Problem
from runtime.clock import utcnow
from runtime.crypto import hash_secret
from runtime.ids import new_id, new_secret
from store.api_keys import ApiKeys
from store.paging import Page
from store.tables import ApiKeyRow

PREFIX = "fg_"


async def create(
    session: AsyncSession, principal: str, name: str, scopes: Sequence[Scope], expires_at: datetime | None
) -> tuple[ApiKeyRow, str]:
    """The row and the key itself, which is known to nobody afterwards."""
    now = utcnow()
    if expires_at is not None and expires_at <= now:
        raise Invalid("expires_at is over.", [Problem("#/expires_at", "in_the_past", "Must be in the future.")])
    key = PREFIX + new_secret()
    row = ApiKeyRow(
        id=new_id("key"),
        name=name,
        hash=hash_secret(key),
        scopes=[scope for scope in SCOPES if scope in scopes],
        expires_at=expires_at,
        last_used_at=None,
        created_at=now,
        updated_at=now,
    )
    ApiKeys(session).add(row)
    record(session, principal, "api_key.created", row.id, details={"scopes": row.scopes})
    return row, key


async def find(session: AsyncSession, page: Page) -> Sequence[ApiKeyRow]:
    return await ApiKeys(session).list(page)


async def delete(session: AsyncSession, principal: str, key_id: str) -> None:
    if not await ApiKeys(session).delete(key_id):
        raise NotFound("There is no such API key.")
    record(session, principal, "api_key.deleted", key_id)
