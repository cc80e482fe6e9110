"""Secrets under data keys: one key per customer and one of the organisation, wrapped by the key ring."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.held import SECONDS, Held
from runtime.clock import utcnow
from runtime.crypto import DataKey, DecryptionFailed, Keyring, data_key_id
from runtime.ids import new_id
from store.data_keys import DataKeys
from store.engine import Database
from store.tables import DataKeyRow

ORGANIZATION = "organization"
KEYED_HASH = "keyed_hash"
HELD_KEYS = 1024


class Vault:
    """A value names its data key. Unwrapped keys are kept for minutes: a deleted customer's key is forgotten then."""

    def __init__(self, keyring: Keyring, held_seconds: float = SECONDS) -> None:
        self._keyring = keyring
        self._held: Held[DataKey] = Held(HELD_KEYS, held_seconds)

    async def encrypt_json(self, session: AsyncSession, customer_id: str | None, value: Any, context: str) -> bytes:
        """Under the customer's key, or the organisation's; made at the first use, so inside a transaction only."""
        key = await self._current(session, customer_id or ORGANIZATION)
        return key.encrypt_json(value, context)

    async def decrypt_json(self, session: AsyncSession, blob: bytes, context: str) -> Any:
        """Values from before data keys, straight under the ring, are read too. Raises DecryptionFailed."""
        key_id = data_key_id(blob)
        if key_id is None:
            return self._keyring.decrypt_json(blob, context)
        return (await self._key(session, key_id)).decrypt_json(blob, context)

    async def _current(self, session: AsyncSession, owner: str) -> DataKey:
        return self._unwrapped(await _ensured(session, self._keyring, DataKey.fresh(new_id("dk"), owner)))

    async def _key(self, session: AsyncSession, key_id: str) -> DataKey:
        held = self._held.get(key_id)
        if held is not None:
            return held
        row = await DataKeys(session).get(key_id)
        if row is None:
            raise DecryptionFailed("A stored value cannot be decrypted: its data key has been deleted.")
        return self._unwrapped(row)

    def _unwrapped(self, row: DataKeyRow) -> DataKey:
        held = self._held.get(row.id)
        if held is None:
            held = DataKey.unwrap(self._keyring, row.id, row.owner, row.wrapped)
            self._held.put(row.id, held)
        return held


async def open_keyring(database: Database, keys: Sequence[tuple[str, bytes]]) -> Keyring:
    """The ring of the settings. Its hash key is that of the first start ever, so that keys may come and go.

    Raises KeyMissing when that one is under a key which is not on the ring.
    """
    derived = Keyring(keys)
    async with database.transaction() as session:
        row = await _ensured(session, derived, DataKey(new_id("dk"), KEYED_HASH, derived.hash_key))
    return Keyring(keys, DataKey.unwrap(derived, row.id, row.owner, row.wrapped).secret)


async def missing_keys(session: AsyncSession, keyring: Keyring) -> dict[str, int]:
    """Ids that are not on the ring, with the number of data keys that are lost without them."""
    counts = await DataKeys(session).counts()
    return {key_id: count for key_id, count in counts.items() if key_id not in keyring.ids}


def data_key_row(keyring: Keyring, key: DataKey, generation: int) -> DataKeyRow:
    return DataKeyRow(
        id=key.id,
        owner=key.owner,
        generation=generation,
        wrapped=key.wrap(keyring),
        wrapped_by=keyring.primary_id,
        created_at=utcnow(),
    )


async def _ensured(session: AsyncSession, keyring: Keyring, fresh: DataKey) -> DataKeyRow:
    """The owner's current key: the one that is there, or this one. Two who make the first one at once agree."""
    data_keys = DataKeys(session)
    row = await data_keys.current(fresh.owner)
    if row is None:
        await data_keys.add(data_key_row(keyring, fresh, generation=1))
        row = await data_keys.current(fresh.owner)
    if row is None:
        raise LookupError(f"the data key of {fresh.owner} vanished while it was made")
    return row
