"""Which encryption keys are in use, and beginning a rotation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile

from sqlalchemy.ext.asyncio import AsyncSession

from activities.places import FLEETING, Place
from api.customers.service import ensure_stays
from api.events import record
from domain.errors import Conflict, Invalid, Problem
from domain.instants import utc_text
from runtime.clock import utcnow
from runtime.crypto import RING_FORMAT, DecryptionFailed, Keyring, blob_prefix, ring_key_id
from runtime.ids import new_id
from runtime.temporal import RETENTION
from store.customers import Customers
from store.data_keys import DataKeys
from store.executions import Executions
from store.jobs import Jobs
from store.sealed import Sealed, begins
from store.tables import JobRow

ROTATE = "rotate_keys"
RING = "keys"  # what a rotation is about that is not one customer's
STALLED = timedelta(minutes=10)  # a rotation that has said nothing for so long does not keep another one off


@dataclass(frozen=True)
class KeyUse:
    id: str
    primary: bool
    on_ring: bool
    data_keys: int
    values: dict[str, int]
    histories: bool

    @property
    def removable(self) -> bool:
        return not (self.primary or self.data_keys or self.values or self.histories)


async def overview(session: AsyncSession, keyring: Keyring, places: Mapping[str, Place]) -> Sequence[KeyUse]:
    """The keys of the ring, the primary first, then those that are missing. Reads every encrypted column once."""
    data_keys = await DataKeys(session).counts()
    ids = list(dict.fromkeys([*keyring.ids, *data_keys]))
    values: dict[str, dict[str, int]] = {}
    for sealed in (*(place.sealed for place in places.values()), FLEETING):
        for key_id, count in (await _under(Sealed(session, sealed), ids)).items():
            values.setdefault(key_id, {})[sealed.name] = count
    histories = await _in_histories(session, keyring)
    return [
        KeyUse(
            id=key_id,
            primary=key_id == keyring.primary_id,
            on_ring=key_id in keyring.ids,
            data_keys=data_keys.get(key_id, 0),
            values=values.get(key_id, {}),
            histories=key_id == keyring.primary_id or histories,
        )
        for key_id in ids
    ]


async def rotate(
    session: AsyncSession, keyring: Keyring, principal: str, data_keys: bool, customer_id: str | None
) -> JobRow:
    """Adds the job. Raises Conflict `rotation_under_way`."""
    await ensure_askable(session, data_keys, customer_id)
    now = utcnow()
    under_way = await Jobs(session).running(ROTATE)
    if under_way is not None and under_way.updated_at > now - STALLED:
        raise Conflict(f"{under_way.id} is rotating keys already.", code="rotation_under_way")
    asked = {"data_keys": data_keys, "customer_id": customer_id}
    job = JobRow(
        id=new_id("job"),
        kind=ROTATE,
        object_id=customer_id or RING,
        principal=principal,
        state="running",
        stage="queued",
        input=asked | {"primary": keyring.primary_id, "began_at": utc_text(now)},
        total=0,
        done=0,
        failed=0,
        created_at=now,
        updated_at=now,
    )
    Jobs(session).add(job)
    details = asked | {"job_id": job.id}
    record(session, principal, "keys.rotation_begun", job.object_id, customer_id=customer_id, details=details)
    return job


async def ensure_askable(session: AsyncSession, data_keys: bool, customer_id: str | None) -> None:
    """Raises Invalid for a customer that is not there, or that is named without `data_keys`."""
    if customer_id is None:
        return
    if not data_keys:
        detail = "Only data keys are a customer's: set data_keys too."
        raise Invalid(detail, [Problem("#/customer_id", "needs_data_keys", detail)])
    customer = await Customers(session).get(customer_id)
    if customer is None:
        detail = "There is no such customer."
        raise Invalid(detail, [Problem("#/customer_id", "not_found", detail)])
    ensure_stays(customer)


async def _under(sealed: Sealed, ids: list[str]) -> dict[str, int]:
    """How many values are straight under each key. `ids` gains those that nobody knew of."""
    ring = bytes([RING_FORMAT])
    every, *counts = await sealed.counts([ring, *(blob_prefix(RING_FORMAT, key_id) for key_id in ids)])
    found = dict(zip(ids, counts, strict=True))
    while every > sum(found.values()) and (key_id := await _unknown(sealed, ids)) is not None:
        ids.append(key_id)
        [found[key_id]] = await sealed.counts([blob_prefix(RING_FORMAT, key_id)])
    return {key_id: count for key_id, count in found.items() if count}


async def _unknown(sealed: Sealed, ids: Sequence[str]) -> str | None:
    column = sealed.sealed.column
    others = [~begins(column, blob_prefix(RING_FORMAT, key_id)) for key_id in ids]
    head = await sealed.any(begins(column, bytes([RING_FORMAT])), *others)
    try:
        return ring_key_id(head) if head is not None else None
    except DecryptionFailed:
        return None


async def _in_histories(session: AsyncSession, keyring: Keyring) -> bool:
    """What Temporal holds cannot be looked at, but it is under no other key when it began after a rotation."""
    finished = await Jobs(session).succeeded(ROTATE, RING)
    since = [
        job.created_at
        for job in takewhile(lambda job: (job.input or {}).get("primary") == keyring.primary_id, finished)
    ]
    if not since or since[-1] > utcnow() - RETENTION:
        return True
    return await Executions(session).any_open_from_before(since[-1]) or await Jobs(session).any_from_before(since[-1])
