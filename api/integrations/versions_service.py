"""What can be done with versions: read them, compare two, say which are offered, choose one for instances."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.etags import Precondition
from api.events import record
from domain.definitions.diff import DefinitionDiff, diff
from domain.definitions.model import Definition
from domain.errors import Conflict, Invalid, NotFound, Problem
from runtime.clock import utcnow
from store.integrations import Integrations
from store.paging import Page
from store.tables import IntegrationRow, VersionRow


@dataclass(frozen=True)
class VersionView:
    row: VersionRow
    instance_count: int


@dataclass(frozen=True)
class VersionDiff:
    version: VersionRow
    against: VersionRow | None
    found: DefinitionDiff


async def find(session: AsyncSession, integration_id: str, page: Page) -> Sequence[VersionView]:
    if await Integrations(session).get(integration_id) is None:
        raise NotFound("There is no such integration.")
    versions = await Integrations(session).versions(integration_id, page)
    counts = await Integrations(session).version_instance_counts([version.id for version in versions])
    return [VersionView(version, counts[version.id]) for version in versions]


async def get(session: AsyncSession, version_id: str) -> VersionView:
    row = await Integrations(session).version(version_id)
    if row is None:
        raise NotFound("There is no such version.")
    counts = await Integrations(session).version_instance_counts([row.id])
    return VersionView(row, counts[row.id])


async def update(
    session: AsyncSession, principal: str, version_id: str, changes: dict[str, Any], precondition: Precondition
) -> VersionView:
    version = await get(session, version_id)
    row = version.row
    precondition.ensure(row.revision)
    available = changes.get("available", row.available)
    if available != row.available:
        row.available = available
        row.revision += 1
        row.updated_at = utcnow()
        record(session, principal, "version.updated", row.id, details={"available": available})
    return version


async def compare(session: AsyncSession, version_id: str, against_id: str | None) -> VersionDiff:
    """With another version of the integration; by default with the one before, if there is one."""
    version = (await get(session, version_id)).row
    against = await _other(session, version, against_id)
    found = await asyncio.to_thread(_difference, version, against)  # large definitions take a while
    return VersionDiff(version, against, found)


async def chosen(session: AsyncSession, integration: IntegrationRow, version_id: str | None) -> VersionRow:
    """The version asked for, else the latest available. Raises Invalid, Conflict `no_version`."""
    if version_id is not None:
        return await offered(session, integration.id, version_id)
    latest = await Integrations(session).latest_available(integration.id)
    if latest is None:
        raise Conflict("The integration has no available version: publish one first.", code="no_version")
    return latest


async def offered(session: AsyncSession, integration_id: str, version_id: str) -> VersionRow:
    """Raises Invalid for a version that an instance of the integration cannot choose."""
    version = await Integrations(session).version(version_id)
    if version is None:
        raise _unfit("#/version_id", "not_found", "There is no such version.")
    if version.integration_id != integration_id:
        raise _unfit("#/version_id", "wrong_integration", "This is a version of another integration.")
    if not version.available:
        raise _unfit("#/version_id", "version_unavailable", f"Version {version.number} is not available.")
    return version


async def _other(session: AsyncSession, version: VersionRow, against_id: str | None) -> VersionRow | None:
    if against_id is None:
        return await Integrations(session).version_by_number(version.integration_id, version.number - 1)
    against = await Integrations(session).version(against_id)
    if against is None:
        raise _unfit("#/query/against", "not_found", "There is no such version.")
    if against.integration_id != version.integration_id:
        raise _unfit("#/query/against", "wrong_integration", "This is a version of another integration.")
    return against


def _difference(version: VersionRow, against: VersionRow | None) -> DefinitionDiff:
    before = Definition.model_validate(against.definition) if against is not None else None
    return diff(before, Definition.model_validate(version.definition))


def _unfit(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, [Problem(pointer, code, detail)])
