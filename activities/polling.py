"""Polls: what is new becomes the payload of the execution, together with what is remembered for the next one."""

import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import translate
from activities.payloads import Payload, Payloads
from activities.state import state_context
from domain.errors import FlowgraftError
from domain.messages import Polled, PollInput
from domain.polling import STATE_KEY, Memory, at, identity, items_at, remembered
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.engine import Database
from store.state import Place, State
from store.tables import ExecutionRow


async def cursor_of(session: AsyncSession, keyring: Keyring, instance_flow_id: str, instance_id: str) -> Any:
    """Where the next poll goes on. It is in the flow's state, where people may see and clear it."""
    place = Place("flow", instance_flow_id, instance_id)
    row = await State(session).get(place, STATE_KEY)
    return _memory(keyring, instance_flow_id, row.value if row is not None else None).cursor


class PollActivities:
    def __init__(self, database: Database, keyring: Keyring, payloads: Payloads) -> None:
        self._database = database
        self._keyring = keyring
        self._payloads = payloads

    @activity.defn
    async def take_polled(self, message: PollInput) -> Polled:
        """In one transaction, so that nothing new is forgotten or taken twice. Repeated: what was taken then."""
        try:
            async with self._database.transaction() as session:
                return await self._take(session, message)
        except FlowgraftError as error:
            raise translate(error) from error

    async def _take(self, session: AsyncSession, message: PollInput) -> Polled:
        row = await session.get_one(ExecutionRow, message.execution_id, with_for_update=True)
        if row.payload_id is not None:
            return Polled(await self._payloads.trigger(session, row))
        state, now = State(session), utcnow()
        place = Place("flow", message.instance_flow_id, message.instance_id)
        held = await state.hold(place, STATE_KEY, now)
        memory = _memory(self._keyring, message.instance_flow_id, held.value)
        new = self._new(message, memory)
        cursor = at(message.output, message.cursor) if message.cursor is not None else None
        memory.cursor = memory.cursor if cursor is None else cursor
        memory.seen = remembered(memory.seen, list(new))
        sealed = self._keyring.encrypt_json(vars(memory), state_context("flow", message.instance_flow_id, STATE_KEY))
        await state.change(place, held, sealed, now)
        if not new:
            return Polled()
        body = json.dumps({"items": list(new.values())}).encode()
        payload = Payload("", "", [], [], "application/json", body)
        session.add(self._payloads.seal(payload, row.id, message.instance_id, now))
        row.payload_id, row.payload_size = row.id, len(body)
        return Polled(payload.root())

    def _new(self, message: PollInput, memory: Memory) -> dict[str, Any]:
        """By the hash of what tells them apart, in their order; of two alike the first."""
        seen, new = set(memory.seen), dict[str, Any]()
        for item in items_at(message.output, message.items):
            key = self._keyring.keyed_hash(identity(item, message.id))[:32]
            if key not in seen:
                new.setdefault(key, item)
        return new


def _memory(keyring: Keyring, flow_id: str, value: bytes | None) -> Memory:
    return (
        Memory() if value is None else Memory(**keyring.decrypt_json(value, state_context("flow", flow_id, STATE_KEY)))
    )
