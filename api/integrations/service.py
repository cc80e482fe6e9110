"""What can be done with integrations: keep a draft, publish it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.endpoints import follow_publication, rotate
from api.etags import Precondition
from api.events import record
from api.integrations.versions_service import VersionView
from domain.catalog import Catalog
from domain.definitions.model import Definition
from domain.definitions.reader import read_definition
from domain.errors import Conflict, Invalid, NotFound
from runtime.clock import utcnow
from runtime.ids import new_id
from store.integrations import IntegrationFilter, Integrations, LatestVersion
from store.paging import Page
from store.tables import IntegrationRow, VersionRow


@dataclass(frozen=True)
class IntegrationView:
    row: IntegrationRow
    latest: LatestVersion | None
    has_unpublished_changes: bool
    instance_count: int


@dataclass(frozen=True)
class Publication:
    """What is told of a version when it is published."""

    comment: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


async def put_draft(
    session: AsyncSession, principal: str, text: str | bytes, catalog: Catalog, precondition: Precondition
) -> tuple[IntegrationRow, bool]:
    """The integration of the definition's key, with this draft; True when it is new. Raises Invalid."""
    definition = await asyncio.to_thread(_read, text, catalog)  # a hostile text takes seconds
    row = await Integrations(session).by_key(definition.key, for_update=True)
    precondition.ensure(row.revision if row else 0)
    values = _columns(definition, text.decode() if isinstance(text, bytes) else text)
    if row is None:
        return _create(session, principal, values), True
    if row.draft_text != values["draft_text"]:
        _change(session, principal, row, "integration.updated", values)
    return row, False


async def find(session: AsyncSession, wanted: IntegrationFilter, page: Page) -> Sequence[IntegrationView]:
    return await _views(session, await Integrations(session).list(wanted, page))


async def get(session: AsyncSession, integration_id: str, *, for_update: bool = False) -> IntegrationRow:
    row = await Integrations(session).get(integration_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such integration.")
    return row


async def view(session: AsyncSession, row: IntegrationRow) -> IntegrationView:
    return (await _views(session, [row]))[0]


async def publish(
    session: AsyncSession, principal: str, integration_id: str, told: Publication, precondition: Precondition
) -> VersionView:
    """Raises Conflict: `nothing_to_publish`."""
    row = await get(session, integration_id, for_update=True)
    precondition.ensure(row.revision)
    latest = await Integrations(session).version_by_number(row.id, row.latest_number)
    if latest is not None and latest.text == row.draft_text:
        raise Conflict(f"The draft is the same as version {latest.number}.", code="nothing_to_publish")
    version = _version(row, principal, told)
    Integrations(session).add_version(version)
    follow_publication(row, version.definition)
    _change(session, principal, row, "integration.published", {"latest_number": version.number}, version_id=version.id)
    return VersionView(version, 0)


async def rotate_endpoint(
    session: AsyncSession, principal: str, integration_id: str, overlap: timedelta, precondition: Precondition
) -> IntegrationRow:
    """Another URL of the endpoint that all instances share. Raises Conflict where there is none."""
    row = await get(session, integration_id, for_update=True)
    precondition.ensure(row.revision)
    if row.token is None:
        raise Conflict("No published version has the endpoint mode shared_instance.")
    await rotate(session, row, overlap, utcnow())
    _change(session, principal, row, "integration.endpoint_rotated", {}, overlap_seconds=overlap.total_seconds())
    return row


def _read(text: str | bytes, catalog: Catalog) -> Definition:
    result = read_definition(text, catalog)
    if result.definition is None:
        count = len(result.errors)
        raise Invalid(f"The definition has {count} error{'s' if count != 1 else ''}.", result.errors)
    return result.definition


def _columns(definition: Definition, text: str) -> dict[str, Any]:
    return {
        "key": definition.key,
        "name": definition.name,
        "description": definition.description,
        "category": definition.category,
        "labels": list(dict.fromkeys(label.lower() for label in definition.labels)),
        "draft_text": text,
        "draft": definition.model_dump(mode="json", by_alias=True),
    }


def _create(session: AsyncSession, principal: str, values: dict[str, Any]) -> IntegrationRow:
    now = utcnow()
    row = IntegrationRow(id=new_id("intg"), latest_number=0, revision=1, created_at=now, updated_at=now, **values)
    Integrations(session).add(row)
    record(session, principal, "integration.created", row.id, details={"key": row.key})
    return row


def _change(
    session: AsyncSession, principal: str, row: IntegrationRow, action: str, values: dict[str, Any], **details: Any
) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.revision += 1
    row.updated_at = utcnow()
    record(session, principal, action, row.id, details={"key": row.key, **details})


def _version(row: IntegrationRow, principal: str, told: Publication) -> VersionRow:
    now = utcnow()
    return VersionRow(
        id=new_id("ver"),
        integration_id=row.id,
        number=row.latest_number + 1,
        comment=told.comment,
        attributes=told.attributes,
        principal=principal,
        available=True,
        text=row.draft_text,
        definition=row.draft,
        revision=1,
        created_at=now,
        updated_at=now,
    )


async def _views(session: AsyncSession, rows: Sequence[IntegrationRow]) -> list[IntegrationView]:
    ids = [row.id for row in rows]
    integrations = Integrations(session)
    latest = await integrations.latest_versions(ids)
    unpublished = await integrations.unpublished(ids)
    counts = await integrations.instance_counts(ids)
    return [IntegrationView(row, latest.get(row.id), row.id in unpublished, counts[row.id]) for row in rows]
