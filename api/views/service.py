"""Keeping, changing and removing saved views."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.etags import Precondition
from api.events import record
from domain.errors import Conflict, NotFound, Problem
from runtime.clock import utcnow
from runtime.ids import new_id
from store.paging import Page
from store.saved_views import SavedViews
from store.tables import SavedViewRow


async def create(session: AsyncSession, principal: str, values: Mapping[str, Any]) -> SavedViewRow:
    await _ensure_free(session, values["name"])
    now = utcnow()
    row = SavedViewRow(id=new_id("view"), revision=1, created_at=now, updated_at=now, **values)
    SavedViews(session).add(row)
    record(session, principal, "view.created", row.id, details={"resource": row.resource})
    return row


async def find(
    session: AsyncSession, resources: Sequence[str], names: Sequence[str], page: Page
) -> Sequence[SavedViewRow]:
    return await SavedViews(session).list(resources, names, page)


async def get(session: AsyncSession, view_id: str, *, for_update: bool = False) -> SavedViewRow:
    row = await SavedViews(session).get(view_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such view.")
    return row


async def update(
    session: AsyncSession, principal: str, row: SavedViewRow, changes: Mapping[str, Any], precondition: Precondition
) -> None:
    precondition.ensure(row.revision)
    changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if "name" in changed:
        await _ensure_free(session, changed["name"])
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        row.revision += 1
        row.updated_at = utcnow()
        record(session, principal, "view.updated", row.id, details={"changed": sorted(changed)})


async def delete(session: AsyncSession, principal: str, view_id: str, precondition: Precondition) -> None:
    row = await get(session, view_id, for_update=True)
    precondition.ensure(row.revision)
    await SavedViews(session).delete(row)
    record(session, principal, "view.deleted", view_id)


async def _ensure_free(session: AsyncSession, name: str) -> None:
    if await SavedViews(session).by_name(name) is not None:
        detail = "There is a view of this name already."
        raise Conflict(detail, [Problem("#/name", "already_exists", detail)], code="already_exists")
