"""Keeping, changing and removing alert groups."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from activities.targets import NewSecrets, Wanted
from activities.vault import Vault
from api import targets
from api.etags import Precondition
from api.events import record
from domain.errors import Conflict, NotFound, Problem
from domain.notifications import TargetKind
from runtime.clock import utcnow
from runtime.ids import new_id
from store.monitors import AlertGroups
from store.paging import Page
from store.tables import AlertGroupRow, TargetRow
from store.targets import Targets

OWNER = "alert_group"


@dataclass(frozen=True)
class AlertGroupView:
    row: AlertGroupRow
    targets: Sequence[TargetRow]
    shown: NewSecrets = field(default_factory=dict)


@dataclass(frozen=True)
class Members:
    """`None`: as they are."""

    emails: Sequence[str] | None
    webhooks: Sequence[Wanted] | None


async def create(session: AsyncSession, vault: Vault, principal: str, name: str, members: Members) -> AlertGroupView:
    await _ensure_free(session, name)
    now = utcnow()
    row = AlertGroupRow(id=new_id("grp"), name=name, revision=1, created_at=now, updated_at=now)
    AlertGroups(session).add(row)
    await session.flush()
    shown = await _put(session, vault, row.id, members)
    record(session, principal, "alert_group.created", row.id)
    return await _view(session, row, shown)


async def find(session: AsyncSession, names: Sequence[str], page: Page) -> Sequence[AlertGroupView]:
    rows = await AlertGroups(session).list(names, page)
    found = await Targets(session).of([row.id for row in rows])
    return [AlertGroupView(row, found.get(row.id, [])) for row in rows]


async def get(session: AsyncSession, group_id: str) -> AlertGroupView:
    return await _view(session, await _row(session, group_id), {})


async def update(
    session: AsyncSession,
    vault: Vault,
    principal: str,
    group_id: str,
    name: str | None,
    members: Members,
    precondition: Precondition,
) -> AlertGroupView:
    row = await _row(session, group_id, for_update=True)
    precondition.ensure(row.revision)
    changed = [each for each in ("emails", "webhooks") if getattr(members, each) is not None]
    if name is not None and name != row.name:
        await _ensure_free(session, name)
        row.name = name
        changed.append("name")
    shown = await _put(session, vault, row.id, members)
    if changed:
        row.revision += 1
        row.updated_at = utcnow()
        record(session, principal, "alert_group.updated", row.id, details={"changed": sorted(changed)})
    return await _view(session, row, shown)


async def delete(session: AsyncSession, principal: str, group_id: str, precondition: Precondition) -> None:
    """Monitors that told it tell it no more."""
    row = await _row(session, group_id, for_update=True)
    precondition.ensure(row.revision)
    await Targets(session).delete_group(row.id)
    await AlertGroups(session).delete(row)
    record(session, principal, "alert_group.deleted", group_id)


async def _put(session: AsyncSession, vault: Vault, group_id: str, members: Members) -> NewSecrets:
    """What is not named stays, just as it is."""
    held = (await Targets(session).of([group_id])).get(group_id, [])
    emails = members.emails
    if emails is None:
        emails = [row.address for row in held if row.kind == TargetKind.EMAIL]
    webhooks = members.webhooks
    if webhooks is None:
        webhooks = [
            Wanted(TargetKind.WEBHOOK, row.address, row.template) for row in held if row.kind == TargetKind.WEBHOOK
        ]
    wanted = [*webhooks, *(Wanted(TargetKind.EMAIL, each) for each in emails)]
    return await targets.put(session, vault, (OWNER, group_id), wanted, "#/webhooks")


async def _row(session: AsyncSession, group_id: str, *, for_update: bool = False) -> AlertGroupRow:
    row = await AlertGroups(session).get(group_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such alert group.")
    return row


async def _view(session: AsyncSession, row: AlertGroupRow, shown: NewSecrets) -> AlertGroupView:
    return AlertGroupView(row, (await Targets(session).of([row.id])).get(row.id, []), shown)


async def _ensure_free(session: AsyncSession, name: str) -> None:
    if await AlertGroups(session).by_name(name) is not None:
        detail = "There is an alert group of this name already."
        raise Conflict(detail, [Problem("#/name", "already_exists", detail)], code="already_exists")
