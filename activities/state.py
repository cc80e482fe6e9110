"""State of flows and instances for an action: read and written in the transaction of the step's record."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.records import Owner
from components.base import Scope
from domain.errors import StepFailed
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.state import State
from store.tables import StateRow


class TransactionState:
    def __init__(self, session: AsyncSession, keyring: Keyring, owner: Owner) -> None:
        self._state = State(session)
        self._session = session
        self._keyring = keyring
        self._owner = owner

    async def get(self, scope: Scope, key: str) -> Any:
        row = await self._row(scope, key)
        return None if row.value is None else self._keyring.decrypt_json(row.value, _context(row))

    async def put(self, scope: Scope, key: str, value: Any) -> None:
        row = await self._row(scope, key)
        row.value, row.updated_at = self._keyring.encrypt_json(value, _context(row)), utcnow()
        await self._session.flush()

    async def delete(self, scope: Scope, key: str) -> bool:
        row = await self._row(scope, key)
        existed = row.value is not None
        row.value, row.updated_at = None, utcnow()
        await self._session.flush()
        return existed

    async def _row(self, scope: Scope, key: str) -> StateRow:
        owner = self._owner
        owner_id = owner.instance_id if scope == "instance" else owner.instance_flow_id
        return await self._state.hold(scope, owner_id, key, owner.instance_id, utcnow())


class NoState:
    """Actions that touch the world run outside any transaction, so they have no state."""

    async def get(self, scope: Scope, key: str) -> Any:
        raise _refused()

    async def put(self, scope: Scope, key: str, value: Any) -> None:
        raise _refused()

    async def delete(self, scope: Scope, key: str) -> bool:
        raise _refused()


def _refused() -> StepFailed:
    return StepFailed("Only local actions may use state", code="state_refused", permanent=True)


def state_context(scope: str, owner_id: str, key: str) -> str:
    """The associated data of an encrypted value of state."""
    return f"state/{scope}/{owner_id}/{key}"


def _context(row: StateRow) -> str:
    return state_context(row.scope, row.owner_id, row.key)
