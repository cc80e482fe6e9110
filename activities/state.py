"""State for an action: read and written in the transaction of the step's record."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.records import Owner
from components.base import Scope
from domain.errors import StepFailed, TooLarge
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.state import Place, State


class TransactionState:
    def __init__(self, session: AsyncSession, keyring: Keyring, owner: Owner) -> None:
        self._state = State(session)
        self._keyring = keyring
        self._owner = owner

    async def get(self, scope: Scope, key: str) -> Any:
        place = await self._place(scope)
        row = await self._state.hold(place, key, utcnow())
        return None if row.value is None else self._keyring.decrypt_json(row.value, state_context(*place[:2], key))

    async def put(self, scope: Scope, key: str, value: Any) -> None:
        place = await self._place(scope)
        row = await self._state.hold(place, key, utcnow())
        sealed = self._keyring.encrypt_json(value, state_context(*place[:2], key))
        try:
            await self._state.change(place, row, sealed, utcnow())
        except TooLarge as error:
            raise StepFailed(error.message, code=error.code, permanent=True) from error

    async def delete(self, scope: Scope, key: str) -> bool:
        place = await self._place(scope)
        row = await self._state.hold(place, key, utcnow())
        existed = row.value is not None
        await self._state.change(place, row, None, utcnow())
        return existed

    async def _place(self, scope: Scope) -> Place:
        owner = self._owner
        match scope:
            case "execution":
                return Place(scope, owner.execution_id, owner.instance_id, owner.execution_id)
            case "flow":
                return Place(scope, owner.instance_flow_id, owner.instance_id)
            case "instance":
                return Place(scope, owner.instance_id, owner.instance_id)
            case "integration":
                return Place(scope, await self._state.integration_of(owner.instance_id))


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
