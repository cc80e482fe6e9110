"""Steps that wait to be called back: what has come in is the step's value, and after its time nothing comes in."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.records import value_context
from domain.callbacks import WAITING_CALLBACK, Place
from domain.messages import CallbackInput, Callbacks, CallbackSight
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.callbacks import CallbacksTaken
from store.engine import Database
from store.steps import Steps
from store.waiting import WaitingExecutions


def callback_context(execution_id: str, attempt: int, path: str) -> str:
    """The associated data of what an execution was called back with."""
    return f"callbacks/{execution_id}/{attempt}/{path}"


def secret_of(keyring: Keyring, execution_id: str, attempt: int) -> str:
    return keyring.keyed_hash(f"callback/{execution_id}/{attempt}")


def callbacks_of(keyring: Keyring, public_url: str, execution_id: str, attempt: int) -> Callbacks:
    return Callbacks(f"{public_url}/hooks/callbacks", secret_of(keyring, execution_id, attempt))


class CallbackActivities:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    @activity.defn
    async def look_for_callback(self, message: CallbackInput) -> CallbackSight:
        """What has come in; else the ledger says that the execution waits, or, when time is up, that none may come."""
        place = Place(message.execution_id, message.attempt, message.path)
        async with self._database.transaction() as session:
            kept = await self._kept(session, message)
            if kept is not None:
                return kept
            taken = CallbacksTaken(session)
            if message.over:
                await taken.take(place, None, utcnow())
            row = await taken.get(place)
            arrived = row is not None and row.sealed is not None
            reason = None if arrived or message.over else WAITING_CALLBACK
            await WaitingExecutions(session).wait(message.execution_id, None, reason, utcnow())
            if row is None or row.sealed is None:
                return CallbackSight(False)
            return CallbackSight(True, self._keyring.decrypt_json(row.sealed, callback_context(*place)))

    async def _kept(self, session: AsyncSession, message: CallbackInput) -> CallbackSight | None:
        """By a replay from the failed step: what the original was called back with."""
        if message.resume_from is None:
            return None
        held = await Steps(session).succeeded(message.resume_from, message.path)
        if held is None or held.output is None:
            return None
        context = value_context(held.execution_id, held.attempt, held.path, "output")
        value: dict[str, Any] = self._keyring.decrypt_json(held.output, context)
        return CallbackSight(True, value)
