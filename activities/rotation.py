"""Rotating keys, batch by batch: every activity may be repeated, and killed at any point."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import translate
from activities.jobs import JobActivities
from activities.places import Place
from activities.schedules import Schedules
from activities.vault import KEYED_HASH, ORGANIZATION, Vault, data_key_row
from domain.errors import FlowgraftError, Unavailable
from domain.messages import RotateBatch, RotateInput
from domain.rotation import FRESH, REPLACED, SCHEDULES, WRAPPED, stages
from runtime.crypto import DATA_FORMAT, RING_FORMAT, DataKey, DecryptionFailed, KeyMissing, Keyring, blob_prefix
from runtime.ids import new_id
from store.data_keys import DataKeys
from store.engine import Database
from store.instance_flows import InstanceFlows
from store.sealed import Found, Key, Sealed, begins
from store.tables import DataKeyRow

log = structlog.get_logger()

BATCH_SECONDS = 10.0  # of one activity; what it has done by then is kept when it is killed
SCANNED = 500  # values whose beginnings are read at once
REWRITTEN, REWRITTEN_BYTES = 50, 4 * 1024 * 1024  # values in one transaction
DATA_KEYS = 100
INSTANCES = 20
NEVER = b"\0"  # what no value begins with


class RotationActivities:
    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        vault: Vault,
        schedules: Schedules,
        jobs: JobActivities,
        places: Mapping[str, Place],
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._vault = vault
        self._schedules = schedules
        self._jobs = jobs
        self._places = places

    @activity.defn
    async def plan_rotation(self, message: RotateInput) -> list[str]:
        """The stages. Tells the job how many values there are to rewrite."""
        try:
            await self._ensure_primary(message)
            async with self._database.snapshot() as session:
                counts = await planned(session, self._keyring, self._places, message)
            await self._jobs.progress(message.job_id, total=sum(counts.values()))
        except FlowgraftError as error:
            raise translate(error) from error
        under = [name for name, place in self._places.items() if place.under_data_keys]
        return stages(message, under, [name for name in self._places if name not in under])

    @activity.defn
    async def rotate_batch(self, message: RotateInput) -> RotateBatch:
        """As much of a stage as fits into ten seconds."""
        stage, batch = message.stages[message.at], RotateBatch(message.cursor)
        deadline = asyncio.get_running_loop().time() + BATCH_SECONDS
        try:
            await self._ensure_primary(message)
            if not message.cursor:
                await self._jobs.enter(message.job_id, stage)
            while True:
                activity.heartbeat()
                await self._go_on(stage, message, batch)
                if not batch.cursor or asyncio.get_running_loop().time() > deadline:
                    break
            done, failed = message.done + batch.done, message.failed + batch.failed
            await self._jobs.progress(message.job_id, done=done, failed=failed)
        except FlowgraftError as error:
            raise translate(error) from error
        return batch

    async def _ensure_primary(self, message: RotateInput) -> None:
        """Tried again until a worker takes it that was restarted with the new key in front."""
        if self._keyring.primary_id != message.primary:
            await self._jobs.enter(message.job_id, "waiting_for_workers")
            raise Unavailable(
                f"This worker encrypts with {self._keyring.primary_id}, the API with {message.primary}: "
                "restart it with the same FLOWGRAFT_ENCRYPTION_KEYS."
            )

    async def _go_on(self, stage: str, message: RotateInput, batch: RotateBatch) -> None:
        act = {
            WRAPPED: self._wrap_anew,
            FRESH: self._add_fresh,
            SCHEDULES: self._sync_schedules,
            REPLACED: self._remove_replaced,
        }.get(stage)
        if act is not None:
            await act(message, batch)
        else:
            await self._rewrite(self._places[stage], message, batch)

    # Data keys

    async def _wrap_anew(self, message: RotateInput, batch: RotateBatch) -> None:
        async with self._database.transaction() as session:
            rows = await DataKeys(session).wrapped_otherwise(message.primary, batch.cursor, DATA_KEYS)
            for row in rows:
                try:
                    key = DataKey.unwrap(self._keyring, row.id, row.owner, row.wrapped)
                except (DecryptionFailed, KeyMissing) as error:
                    _unreadable(batch, "data_keys", row.id, error)
                    continue
                row.wrapped, row.wrapped_by = key.wrap(self._keyring), self._keyring.primary_id
                batch.done += 1
        batch.cursor = _after_rows(rows)

    async def _add_fresh(self, message: RotateInput, batch: RotateBatch) -> None:
        """Only beside keys from before the rotation began, so that a repeat adds none."""
        async with self._database.transaction() as session:
            began_at = datetime.fromisoformat(message.began_at)
            rows = await DataKeys(session).of_before(began_at, message.customer_id, batch.cursor, DATA_KEYS)
            for row in rows:
                if row.owner != KEYED_HASH:
                    fresh = data_key_row(self._keyring, DataKey.fresh(new_id("dk"), row.owner), row.generation + 1)
                    fresh.created_at = max(fresh.created_at, began_at)  # by whichever clock
                    await DataKeys(session).add(fresh)
        batch.cursor = _after_rows(rows)

    async def _remove_replaced(self, message: RotateInput, batch: RotateBatch) -> None:
        async with self._database.transaction() as session:
            rows = await DataKeys(session).replaced(message.customer_id, batch.cursor, DATA_KEYS)
            for row in rows:
                if await self._in_use(session, row):
                    batch.kept += 1
                else:
                    await DataKeys(session).delete(row)
        batch.cursor = _after_rows(rows)

    async def _in_use(self, session: AsyncSession, row: DataKeyRow) -> bool:
        customer_id = None if row.owner == ORGANIZATION else row.owner
        prefix = blob_prefix(DATA_FORMAT, row.id)
        for place in self._places.values():
            if place.under_data_keys:
                under = begins(place.sealed.column, prefix)
                if await Sealed(session, place.sealed).any(under, place.sealed.belongs(customer_id)):
                    return True
        return False

    # Values

    async def _rewrite(self, place: Place, message: RotateInput, batch: RotateBatch) -> None:
        of = place.sealed.belongs(message.customer_id) if message.customer_id else None
        async with self._database.snapshot() as session:
            found = await Sealed(session, place.sealed).after(_key(batch.cursor), SCANNED, of)
            prefixes = await self._wanted_prefixes(session, place, found)
        stale = [each for each in found if not each.head.startswith(prefixes.get(each.customer_id, NEVER))]
        for some in _portions(stale):
            await self._rewrite_portion(place, some, batch)
            activity.heartbeat()
        batch.cursor = json.dumps(found[-1].key) if len(found) == SCANNED else ""

    async def _wanted_prefixes(
        self, session: AsyncSession, place: Place, found: Sequence[Found]
    ) -> dict[str | None, bytes]:
        """What a value that is as it should be begins with, by customer."""
        if not place.under_data_keys:
            return {None: blob_prefix(RING_FORMAT, self._keyring.primary_id)}
        owners = {each.customer_id or ORGANIZATION: each.customer_id for each in found}
        current = await DataKeys(session).current_ids(list(owners))
        return {owners[owner]: blob_prefix(DATA_FORMAT, key_id) for owner, key_id in current.items()}

    async def _rewrite_portion(self, place: Place, some: Sequence[Found], batch: RotateBatch) -> None:
        """A value that somebody is writing is waited for alone: then it is read anew, so nobody's write is undone."""
        customers = {each.key: each.customer_id for each in some}
        async with self._database.transaction() as session:
            held = await Sealed(session, place.sealed).hold(list(customers), wait=False)
            for key, blob in held:
                await self._rewrite_one(session, place, key, customers[key], blob, batch)
        for key in customers.keys() - {key for key, _ in held}:
            async with self._database.transaction() as session:
                for _, blob in await Sealed(session, place.sealed).hold([key], wait=True):
                    await self._rewrite_one(session, place, key, customers[key], blob, batch)

    async def _rewrite_one(
        self, session: AsyncSession, place: Place, key: Key, customer_id: str | None, blob: bytes, batch: RotateBatch
    ) -> None:
        context = place.context(key)
        try:
            if place.under_data_keys:
                value = await self._vault.decrypt_json(session, blob, context)
                fresh = await self._vault.encrypt_json(session, customer_id, value, context)
            else:
                fresh = self._keyring.encrypt(self._keyring.decrypt(blob, context), context)
        except (DecryptionFailed, KeyMissing) as error:
            _unreadable(batch, place.sealed.name, key, error)
            return
        await Sealed(session, place.sealed).put(key, fresh)
        batch.done += 1

    async def _sync_schedules(self, message: RotateInput, batch: RotateBatch) -> None:
        """What Temporal's schedules start with is encrypted too, and lives as long as an instance."""
        async with self._database.snapshot() as session:
            instance_ids = await InstanceFlows(session).scheduled_instances(batch.cursor, INSTANCES)
        for instance_id in instance_ids:
            await self._schedules.sync_instance(instance_id)
            activity.heartbeat()
        batch.cursor = instance_ids[-1] if len(instance_ids) == INSTANCES else ""


async def planned(
    session: AsyncSession, keyring: Keyring, places: Mapping[str, Place], message: RotateInput
) -> dict[str, int]:
    """How many data keys would be wrapped anew and values rewritten, by stage."""
    found: dict[str, int] = {}
    if message.customer_id is None:
        found[WRAPPED] = await DataKeys(session).count_otherwise(keyring.primary_id)
    for name, place in places.items():
        sealed = Sealed(session, place.sealed)
        if place.under_data_keys:
            of = place.sealed.belongs(message.customer_id) if message.customer_id else None
            every, current = await sealed.counts([b"", bytes([DATA_FORMAT])], of)
            found[name] = every if message.data_keys else every - current
        elif message.customer_id is None:
            every, current = await sealed.counts([b"", blob_prefix(RING_FORMAT, keyring.primary_id)])
            found[name] = every - current
    return found


def _portions(found: Sequence[Found]) -> Iterator[Sequence[Found]]:
    """What fits into one transaction."""
    portion: list[Found] = []
    for each in found:
        if portion and (len(portion) == REWRITTEN or sum(one.size for one in portion) + each.size > REWRITTEN_BYTES):
            yield portion
            portion = []
        portion.append(each)
    if portion:
        yield portion


def _key(cursor: str) -> Key | None:
    return tuple(json.loads(cursor)) if cursor else None


def _after_rows(rows: Sequence[DataKeyRow]) -> str:
    return rows[-1].id if len(rows) == DATA_KEYS else ""


def _unreadable(batch: RotateBatch, place: str, key: object, error: FlowgraftError) -> None:
    batch.failed += 1
    log.warning("value_unreadable", place=place, key=key, code=error.code)
