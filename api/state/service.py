"""Use cases of state. Session first; the caller commits. Steps may change it at the same time: a key is held."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from activities.state import state_context
from api.etags import Precondition
from api.events import record
from api.instances import access
from domain.errors import Invalid, NotFound, Problem
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.integrations import Integrations
from store.paging import Page
from store.state import Place, Row, State
from store.tables import InstanceRow

LONGEST_KEY = 200


class Owner(NamedTuple):
    """Whose state; `instance` is the one that it belongs to, none for an integration's."""

    place: Place
    instance: InstanceRow | None = None


async def of_execution(session: AsyncSession, execution_id: str) -> Owner:
    row = await Executions(session).get(execution_id)
    if row is None:
        raise NotFound("There is no such execution")
    return Owner(Place("execution", row.id, row.instance_id, row.id), await access.get(session, row.instance_id))


async def of_flow(session: AsyncSession, flow_id: str) -> Owner:
    row = await InstanceFlows(session).get(flow_id)
    if row is None:
        raise NotFound("There is no such flow.")
    return Owner(Place("flow", row.id, row.instance_id), await access.get(session, row.instance_id))


async def of_instance(session: AsyncSession, instance_id: str) -> Owner:
    row = await access.get(session, instance_id)
    return Owner(Place("instance", row.id, row.id), row)


async def of_integration(session: AsyncSession, integration_id: str) -> Owner:
    row = await Integrations(session).get(integration_id)
    if row is None:
        raise NotFound("There is no such integration.")
    return Owner(Place("integration", row.id))


async def find(session: AsyncSession, owner: Owner, page: Page) -> Sequence[Row]:
    return await State(session).list(owner.place, page)


async def get(session: AsyncSession, owner: Owner, key: str) -> Row:
    row = await State(session).get(owner.place, key)
    if row is None:
        raise NotFound("There is no such key.")
    return row


async def put(
    session: AsyncSession, keyring: Keyring, principal: str, owner: Owner, key: str, value: Any, guard: Precondition
) -> Row:
    """Raises TooLarge `state_full`."""
    if len(key) > LONGEST_KEY:
        problem = Problem("#/path/key", "string_too_long", f"Keys have at most {LONGEST_KEY} characters.")
        raise Invalid("The key is too long.", [problem])
    _ensure_stays(owner)
    row = await State(session).hold(owner.place, key, utcnow())
    guard.ensure(row.revision)
    sealed = keyring.encrypt_json(value, state_context(*owner.place[:2], key))
    await State(session).change(owner.place, row, sealed, utcnow())
    _note(session, principal, "state.changed", owner, key=key)
    return row


async def delete(session: AsyncSession, principal: str, owner: Owner, key: str, guard: Precondition) -> None:
    _ensure_stays(owner)
    await get(session, owner, key)
    row = await State(session).hold(owner.place, key, utcnow())
    guard.ensure(row.revision)
    await State(session).change(owner.place, row, None, utcnow())
    _note(session, principal, "state.deleted", owner, key=key)


async def clear(session: AsyncSession, principal: str, owner: Owner) -> None:
    _ensure_stays(owner)
    removed = await State(session).clear(owner.place, utcnow())
    _note(session, principal, "state.cleared", owner, removed=removed)


def open_value(keyring: Keyring, owner: Owner, row: Row) -> Any:
    place = owner.place
    return None if row.value is None else keyring.decrypt_json(row.value, state_context(*place[:2], row.key))


def _ensure_stays(owner: Owner) -> None:
    if owner.instance is not None:
        access.ensure_stays(owner.instance)


def _note(session: AsyncSession, principal: str, action: str, owner: Owner, **details: Any) -> None:
    instance = owner.instance
    record(
        session,
        principal,
        action,
        owner.place.owner_id,
        instance_id=instance.id if instance is not None else None,
        customer_id=instance.customer_id if instance is not None else None,
        details={"scope": owner.place.scope} | details,
    )
