"""Addresses of webhooks: which one a flow is reached at, and how its token is made, changed and buried."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.deployments import webhook_url
from domain.definitions.model import Definition
from runtime.ids import new_secret
from store.endpoints import Addressed, Endpoints
from store.instance_flows import InstanceFlows
from store.tables import InstanceRow, IntegrationRow

TOKEN_BYTES = 24


def new_token() -> str:
    return new_secret(TOKEN_BYTES)


def follow_definition(instance: InstanceRow, definition: Definition) -> None:
    """Its flows follow this version from now on. A token that it has had before stays."""
    instance.endpoint_mode = definition.endpoint_mode
    if definition.endpoint_mode == "instance_specific":
        instance.token = instance.token or new_token()


def follow_publication(integration: IntegrationRow, definition: Mapping[str, Any]) -> None:
    """A version was published: if it is shared, it says from now on where requests name their customer."""
    endpoint = definition.get("endpoint") or {}
    if endpoint.get("mode") == "shared_instance":
        integration.token = integration.token or new_token()
        integration.customer_path = endpoint["customer"]


async def common(session: AsyncSession, instances: Sequence[InstanceRow]) -> dict[str, Addressed]:
    """By instance, what all its webhooks are addressed through; an instance whose flows have their own is left out."""
    shared = {row.integration_id for row in instances if row.endpoint_mode == "shared_instance"}
    integrations = await Endpoints(session).integrations(sorted(shared)) if shared else {}
    found: dict[str, Addressed] = {}
    for row in instances:
        if row.endpoint_mode == "shared_instance":
            found[row.id] = integrations[row.integration_id]
        elif row.endpoint_mode == "instance_specific":
            found[row.id] = row
    return found


def url_of(public_url: str, row: Addressed) -> str:
    assert row.token is not None, "who has no address is not asked for it"
    return webhook_url(public_url, row.token)


def leads_to(row: Addressed, token: str, now: datetime) -> bool:
    """Whether what comes in with this token is still for the flow, instance or integration."""
    return token == row.token or (token == row.previous_token and previous_until(row, now) is not None)


def previous_until(row: Addressed, now: datetime) -> datetime | None:
    """Until when the token before the current one leads here too; None if it does not."""
    until = row.previous_token_until
    return until if row.previous_token is not None and until is not None and until > now else None


async def rotate(session: AsyncSession, row: Addressed, overlap: timedelta, now: datetime) -> None:
    """Another token at once. The one it had goes on for the overlap; one that goes on from before ends now."""
    assert row.token is not None, "who has no address cannot change it"
    await InstanceFlows(session).add_tombstones([row.token], now + overlap)
    row.previous_token, row.previous_token_until = (row.token, now + overlap) if overlap else (None, None)
    row.token = new_token()


async def bury(session: AsyncSession, instance: InstanceRow, now: datetime) -> None:
    """The instance is on its way out: whoever comes to one of its addresses is told so for a while."""
    flows = await InstanceFlows(session).of_instance(instance.id, active_only=False)
    rows: list[Addressed] = [instance, *flows]
    tokens = [token for row in rows for token in (row.token, row.previous_token) if token is not None]
    await InstanceFlows(session).add_tombstones(tokens, now)
