"""Deployments as steps need them: they never change, so a process keeps them for a while."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.held import Held
from activities.vault import Vault
from domain.definitions.model import Definition
from domain.errors import StepFailed
from domain.values import secret_marker
from runtime.crypto import Keyring
from store.engine import Database
from store.tables import DeploymentRow, InstanceRow

CACHED = 256


def secrets_context(deployment_id: str) -> str:
    """The associated data of a deployment's encrypted secrets."""
    return f"deployments/{deployment_id}/secrets"


@dataclass(frozen=True)
class Deployment:
    id: str
    instance_id: str
    customer_id: str
    version_id: str
    version_number: int
    definition: Definition
    flows: dict[str, dict[str, Any]]  # flow key → the flow as JSON, for the conductor
    config: dict[str, Any]  # what workflow code may see: secret fields are markers
    secrets: dict[str, str]
    connections: dict[str, dict[str, Any]]  # key → {kind, values, hosts}
    asking_urls: frozenset[str]  # keys of flows that may ask for a webhook URL


class Deployments:
    def __init__(self, database: Database, keyring: Keyring, vault: Vault) -> None:
        self._database = database
        self._keyring = keyring
        self._vault = vault
        self._held: Held[Deployment] = Held(CACHED)

    async def get(self, deployment_id: str, session: AsyncSession | None = None) -> Deployment:
        """Raises StepFailed `deployment_gone` when its instance has been deleted.

        Inside a transaction give its session: whoever holds a connection must not wait for a second one.
        """
        held = self._held.get(deployment_id)
        if held is None:
            held = await self._read(deployment_id, session)
            self._held.put(deployment_id, held)
        return held

    def marker_mac(self, deployment_id: str, key: str) -> str:
        """What makes a secret's marker genuine: data cannot know it."""
        return self._keyring.keyed_hash(f"marker/{deployment_id}/{key}")

    def reveal(self, deployment: Deployment, key: str, mac: str) -> str | None:
        genuine = mac == self.marker_mac(deployment.id, key)
        return deployment.secrets.get(key) if genuine else None

    async def _read(self, deployment_id: str, session: AsyncSession | None) -> Deployment:
        if session is None:
            async with self._database.snapshot() as session:
                return await self._read(deployment_id, session)
        row = await session.get(DeploymentRow, deployment_id)
        if row is None:
            raise StepFailed("The deployment has been deleted", code="deployment_gone", permanent=True)
        return await self.assemble(session, row, await session.get_one(InstanceRow, row.instance_id))

    async def assemble(self, session: AsyncSession, row: DeploymentRow, instance: InstanceRow) -> Deployment:
        hidden = await self._vault.decrypt_json(session, row.secrets, secrets_context(row.id)) if row.secrets else {}
        secrets: dict[str, str] = hidden.get("secrets", {})
        markers = {key: secret_marker(key, self.marker_mac(row.id, key)) for key in secrets}
        return Deployment(
            id=row.id,
            instance_id=row.instance_id,
            customer_id=instance.customer_id,
            version_id=row.version_id,
            version_number=row.version_number,
            definition=Definition.model_validate(row.definition),
            flows={flow["key"]: flow for flow in row.definition["flows"]},
            config=row.config | markers,
            secrets=secrets,
            connections=hidden.get("connections", {}),
            asking_urls=frozenset(flow["key"] for flow in row.definition["flows"] if _asks_for_urls(flow)),
        )


def _asks_for_urls(flow: dict[str, Any]) -> bool:
    """A webhook's URL may be rotated, so it is not kept with the deployment; few flows ask for one."""
    text = json.dumps(flow)
    return "flows." in text or "flows[" in text


def webhook_url(public_url: str, token: str) -> str:
    return f"{public_url}/hooks/{token}"
