"""Who calls: API keys and what each scope may do."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from starlette.datastructures import Headers

from api.resources import Resources
from domain.errors import Forbidden, Unauthenticated, Unavailable
from runtime.clock import utcnow
from runtime.crypto import hash_secret, same_secret
from store.api_keys import ApiKeys

Scope = Literal["read", "execute", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)  # each includes the ones before
BOOTSTRAP = "bootstrap"
NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Caller:
    """`principal` is the id of the API key, or `bootstrap`."""

    principal: str
    scope: Scope

    def ensure(self, needed: Scope) -> None:
        if SCOPES.index(self.scope) < SCOPES.index(needed):
            raise Forbidden(f"This call needs the scope {needed}; the key has {self.scope}.")


async def authenticate(resources: Resources, headers: Headers) -> Caller:
    """From `Authorization: Bearer <key>` and nothing else. Raises Unauthenticated."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send an API key: Authorization: Bearer <key>.")
    bootstrap = resources.settings.bootstrap_api_key
    if bootstrap is not None and same_secret(token, bootstrap.get_secret_value()):
        return Caller(BOOTSTRAP, "admin")
    return await _by_key(resources, token)


async def _by_key(resources: Resources, token: str) -> Caller:
    async with resources.database.glance() as session:
        row = await ApiKeys(session).by_hash(hash_secret(token))
    if row is None or (row.expires_at is not None and row.expires_at <= utcnow()):
        raise Unauthenticated("This API key is unknown or has expired.")
    if row.last_used_at is None or row.last_used_at < utcnow() - NOTED_EVERY:
        await _note_use(resources, row.id)
    granted = [scope for scope in SCOPES if scope in row.scopes]
    return Caller(row.id, granted[-1])


async def _note_use(resources: Resources, key_id: str) -> None:
    with suppress(Unavailable):
        async with resources.database.transaction() as session:
            await ApiKeys(session).touch(key_id, utcnow())
