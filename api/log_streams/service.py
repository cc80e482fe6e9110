"""What can be done with log streams. Sending is the worker's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.log_streams import MOST_STREAMS, Sent, headers_place, send, target_of
from activities.vault import Vault
from api.customers.service import ensure_stays as ensure_customer_stays
from api.etags import Precondition
from api.events import record
from api.instances.access import ensure_stays as ensure_instance_stays
from api.resources import Resources
from domain.errors import Conflict, Invalid, NotFound, Problem
from domain.ids import first_id
from domain.log_streams import SAMPLE, BatchFormat, Template
from runtime.clock import utcnow
from runtime.ids import new_id
from store.customers import Customers
from store.instances import Instances
from store.log_streams import LogStreamFilter, LogStreams
from store.logs import Logs
from store.paging import Page
from store.tables import LogStreamRow

STARTED_WITHIN = timedelta(seconds=10)  # else Temporal is away, and a sweep does it


async def create(
    session: AsyncSession, vault: Vault, principal: str, values: dict[str, Any], headers: Mapping[str, str]
) -> LogStreamRow:
    """It begins with what is logged from now on. Raises Invalid, Conflict."""
    await _ensure_room(session)
    await _ensure_free(session, values["name"])
    _ensure_batches(values["template"], values["batch_format"])
    now = utcnow()
    row = LogStreamRow(
        id=new_id("lstr"),
        header_names=[],
        cursor=first_id("log", now),
        check_after=now + STARTED_WITHIN,
        delivered=0,
        refused=0,
        failures=0,
        revision=1,
        created_at=now,
        updated_at=now,
        **values | {"customer_id": await _owner(session, values["customer_id"], values["instance_id"])},
    )
    await _keep_headers(session, vault, row, headers)
    LogStreams(session).add(row)
    _note(session, principal, "created", row)
    return row


async def find(session: AsyncSession, wanted: LogStreamFilter, page: Page) -> Sequence[LogStreamRow]:
    return await LogStreams(session).list(wanted, page)


async def get(session: AsyncSession, stream_id: str, *, for_update: bool = False) -> LogStreamRow:
    row = await LogStreams(session).get(stream_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such log stream.")
    return row


async def update(
    session: AsyncSession,
    vault: Vault,
    principal: str,
    stream_id: str,
    changes: dict[str, Any],
    headers: Mapping[str, str] | None,
    precondition: Precondition,
) -> LogStreamRow:
    """`headers` None: they stay. What has failed is tried again at once."""
    row = await get(session, stream_id, for_update=True)
    precondition.ensure(row.revision)
    skipping = changes.pop("skip_to_now", False)
    changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if "name" in changed:
        await _ensure_free(session, changed["name"])
    _ensure_batches(changed.get("template", row.template), changed.get("batch_format", row.batch_format))
    for name, value in changed.items():
        setattr(row, name, value)
    said = sorted(changed)
    if headers is not None:
        await _keep_headers(session, vault, row, headers)
        said.append("headers")
    if skipping:
        row.cursor = max(row.cursor, await Logs(session).settled(utcnow()))
        said.append("skip_to_now")
    if said:
        now = utcnow()
        row.failures, row.revision, row.updated_at = 0, row.revision + 1, now
        row.check_after = now + STARTED_WITHIN
        _note(session, principal, "updated", row, changed=said)
    return row


async def delete(session: AsyncSession, principal: str, stream_id: str, precondition: Precondition) -> None:
    row = await get(session, stream_id, for_update=True)
    precondition.ensure(row.revision)
    await LogStreams(session).delete(row.id)
    _note(session, principal, "deleted", row)


async def try_out(resources: Resources, principal: str, stream_id: str) -> Sent:
    """Sends a sample line at once, beside what the stream sends."""
    async with resources.database.snapshot() as session:
        target = await target_of(session, resources.vault, await get(session, stream_id))
    sent = await send(resources.http, target, [replace(SAMPLE, id=new_id("log"), timestamp=utcnow())])
    async with resources.database.transaction() as session:
        _note(session, principal, "tested", await get(session, stream_id), ok=sent.failure is None)
    return sent


async def _keep_headers(session: AsyncSession, vault: Vault, row: LogStreamRow, headers: Mapping[str, str]) -> None:
    row.header_names = sorted(headers)
    place = headers_place(row.id)
    row.headers = await vault.encrypt_json(session, row.customer_id, dict(headers), place) if headers else None


async def _owner(session: AsyncSession, customer_id: str | None, instance_id: str | None) -> str | None:
    """Whose lines they are; locked, so that a delete of it finds this stream."""
    if instance_id is not None:
        instance = await Instances(session).get(instance_id, for_update=True)
        if instance is None or customer_id not in (None, instance.customer_id):
            raise _invalid("#/instance_id", "not_found", "There is no such instance.")
        ensure_instance_stays(instance)
        return instance.customer_id
    if customer_id is None:
        return None
    customer = await Customers(session).get(customer_id, for_update=True)
    if customer is None:
        raise _invalid("#/customer_id", "not_found", "There is no such customer.")
    ensure_customer_stays(customer)
    return customer_id


def _ensure_batches(template: str, batch_format: BatchFormat | str) -> None:
    if batch_format == BatchFormat.ARRAY and not Template(template).is_json:
        detail = "Lines that are no JSON make no array: choose lines or single, or put quotes around the placeholders."
        raise _invalid("#/template", "not_json", detail)


async def _ensure_room(session: AsyncSession) -> None:
    if await LogStreams(session).count() >= MOST_STREAMS:
        raise Conflict(f"There are {MOST_STREAMS} log streams already.", code="too_many")


async def _ensure_free(session: AsyncSession, name: str) -> None:
    if await LogStreams(session).by_name(name) is not None:
        detail = "There is a log stream of this name already."
        raise Conflict(detail, [Problem("#/name", "already_exists", detail)], code="already_exists")


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, [Problem(pointer, code, detail)])


def _note(session: AsyncSession, principal: str, action: str, row: LogStreamRow, **details: Any) -> None:
    ids = {"instance_id": row.instance_id, "customer_id": row.customer_id}
    record(session, principal, f"log_stream.{action}", row.id, **ids, details={"name": row.name} | details)
