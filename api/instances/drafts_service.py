"""Drafts of a configuration: what is begun on a page, kept until it is applied as one change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.connection_fields import ensure_references
from activities.drafts import Draft, Drafts
from activities.vault import Vault
from api.etags import Precondition
from api.instances import access, config_service
from api.instances.config_service import ConfigView, ensure_settable
from api.instances.lifecycle_service import pinned
from api.instances.service import note
from domain.config import is_shown, kept, shown_value
from domain.definitions.model import ConfigField, ConfigPage, Definition
from domain.errors import Invalid, NotFound, Problem
from store.config_drafts import ConfigDrafts


@dataclass(frozen=True)
class DraftView:
    """`fields` are as clients may see them."""

    draft: Draft
    page: ConfigPage
    fields: list[dict[str, Any]]


async def find(session: AsyncSession, vault: Vault, instance_id: str, *, for_customer: bool) -> Sequence[DraftView]:
    """In the order of the pages."""
    row = await access.get(session, instance_id)
    definition = await pinned(session, row)
    return [_view(definition, draft, for_customer=for_customer) for draft in await Drafts(vault).read(session, row.id)]


async def save(
    session: AsyncSession,
    vault: Vault,
    principal: str,
    instance_id: str,
    page: str,
    given: dict[str, Any],
    *,
    for_customer: bool,
) -> DraftView:
    """Replaces the draft of this page. Each value fits its field; nothing is applied. Raises NotFound, Invalid."""
    row = await access.get(session, instance_id, for_update=True)
    access.ensure_stays(row)
    definition = await pinned(session, row)
    index = _index(definition, page)
    _ensure_on_page(definition, index, given)
    ensure_settable(definition, given, for_customer=for_customer)
    fields = definition.fields()
    await ensure_references(session, row.customer_id, fields, given, "#/values")
    values = {key: kept(fields[key], value) for key, value in given.items()}
    draft = await Drafts(vault).save(session, row, index, values)
    note(session, principal, "instance.config_drafted", row, page=index, keys=sorted(given))
    return _view(definition, draft, for_customer=for_customer)


async def discard(session: AsyncSession, principal: str, instance_id: str, page: str) -> None:
    row = await access.get(session, instance_id, for_update=True)
    index = _index(await pinned(session, row), page)
    if not await ConfigDrafts(session).delete(row.id, index):
        raise NotFound("There is no draft of this page.")
    note(session, principal, "instance.config_draft_discarded", row, page=index)


async def apply(
    session: AsyncSession, vault: Vault, principal: str, instance_id: str, precondition: Precondition
) -> ConfigView:
    """All drafts as one change, after which they are gone. What does not fit any more, Invalid, leaves them."""
    row = await config_service.changeable(session, instance_id, precondition)
    drafted = await Drafts(vault).drafted(session, row.id)
    view = await config_service.change(session, vault, principal, instance_id, drafted, precondition)
    if await ConfigDrafts(session).clear(row.id):
        note(session, principal, "instance.config_drafts_applied", row, keys=sorted(drafted))
    return view


def _index(definition: Definition, page: str) -> int:
    """By its name, or counted from 0."""
    names = [each.page for each in definition.config]
    if page in names:
        return names.index(page)
    if page.isascii() and page.isdigit() and len(page) < 5 and int(page) < len(names):
        return int(page)
    raise NotFound("The configuration has no such page.")


def _ensure_on_page(definition: Definition, index: int, given: dict[str, Any]) -> None:
    """Keys that no page has are refused with the values."""
    home = {each.key: position for position, page in enumerate(definition.config) for each in page.fields}
    elsewhere = [key for key in given if home.get(key, index) != index]
    if elsewhere:
        problems = [
            Problem(f"#/values/{key}", "other_page", f"{key} is on the page {definition.config[home[key]].page}")
            for key in elsewhere
        ]
        raise Invalid(problems[0].detail, problems)


def _view(definition: Definition, draft: Draft, *, for_customer: bool) -> DraftView:
    page = definition.config[draft.row.page]
    shown = [each for each in page.fields if each.key in draft.values and (not for_customer or is_shown(each))]
    return DraftView(draft, page, [_field(each, draft.values[each.key]) for each in shown])


def _field(each: ConfigField, value: Any) -> dict[str, Any]:
    return {"key": each.key, "value": shown_value(each, value), "is_set": value is not None}
