"""Where a delivery goes: from what its token was given to, to a flow of a deployed instance."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from activities.deployments import Deployment, Deployments
from activities.endpoints import leads_to
from api.hooks.inbound import Inbound
from api.hooks.tokens import NO_WEBHOOK, absent
from domain.definitions.model import WebhookTrigger
from domain.deliveries import ensure_invocable
from domain.errors import Gone, NotFound
from domain.routing import customer_named, flow_named, no_customer
from runtime.clock import utcnow
from store.endpoints import FLOW, INSTANCE, Addressed, Endpoints, Owner
from store.instance_flows import InstanceFlows
from store.integrations import Integrations
from store.tables import CustomerRow, InstanceFlowRow, InstanceRow, IntegrationRow


@dataclass(frozen=True)
class Concerned:
    """Whom a refusal concerns: an instance, and its flow where that is known."""

    instance_id: str
    customer_id: str
    flow_id: str | None = None


@dataclass(frozen=True)
class Target:
    flow: InstanceFlowRow
    instance: InstanceRow
    customer: CustomerRow
    deployment: Deployment
    trigger: WebhookTrigger


class Finder:
    """Of one delivery, reading in the transaction it is given. `concerned` tells, after a refusal, how far it came."""

    def __init__(self, deployments: Deployments, owner: Owner, token: str) -> None:
        self.concerned: list[Concerned] = []
        self._deployments = deployments
        self._owner = owner
        self._token = token

    async def ensure_alive(self, session: AsyncSession) -> None:
        """Raises NotFound, Gone; the request itself is not looked at."""
        if self._owner.kind == FLOW:
            await self._flow(session)
        elif self._owner.kind == INSTANCE:
            await self._instance(session)
        else:
            await self._integration(session)

    async def targets(self, session: AsyncSession, inbound: Inbound) -> list[Target]:
        """One, unless several instances of a customer take the request. Raises NotFound, Gone, Conflict."""
        if self._owner.kind == FLOW:
            flow, instance, customer = await self._flow(session)
            found = [_target(flow, instance, customer, await self._deployment(session, instance))]
        elif self._owner.kind == INSTANCE:
            found = [await self._routed(session, *await self._instance(session), inbound)]
        else:
            found = await self._shared(session, await self._integration(session), inbound)
        self.narrow(found)
        return found

    def narrow(self, targets: Sequence[Target]) -> None:
        self.concerned = [Concerned(each.instance.id, each.customer.id, each.flow.id) for each in targets]

    async def _shared(self, session: AsyncSession, integration: IntegrationRow, inbound: Inbound) -> list[Target]:
        route = str(integration.customer_path)
        external_id = customer_named(route, inbound.root)
        found = await Endpoints(session).shared_with(integration.id, external_id)
        if not found:
            raise no_customer(route)
        self.concerned = [Concerned(instance.id, customer.id) for instance, customer in found]
        targets, refusals = [], []
        for instance, customer in found:
            try:
                targets.append(await self._routed(session, instance, customer, inbound))
            except NotFound as error:
                refusals.append(error)
        if not targets:
            raise refusals[0]
        return targets

    async def _routed(
        self, session: AsyncSession, instance: InstanceRow, customer: CustomerRow, inbound: Inbound
    ) -> Target:
        deployment = await self._deployment(session, instance)
        flow = await Endpoints(session).flow(instance.id, flow_named(deployment.definition, inbound.root).key)
        if flow is None:
            raise NotFound(NO_WEBHOOK)
        return _target(flow, instance, customer, deployment)

    async def _flow(self, session: AsyncSession) -> tuple[InstanceFlowRow, InstanceRow, CustomerRow]:
        found = await InstanceFlows(session).invocation(self._owner.id)
        if found is None:
            raise await absent(session, self._token)
        flow, instance, customer = found
        self.concerned = [Concerned(instance.id, customer.id, flow.id)]
        await self._ensure_led_by(session, flow)
        _ensure_stays(instance)
        return flow, instance, customer

    async def _instance(self, session: AsyncSession) -> tuple[InstanceRow, CustomerRow]:
        found = await Endpoints(session).instance(self._owner.id)
        if found is None:
            raise await absent(session, self._token)
        instance, customer = found
        self.concerned = [Concerned(instance.id, customer.id)]
        await self._ensure_led_by(session, instance)
        _ensure_stays(instance)
        return instance, customer

    async def _integration(self, session: AsyncSession) -> IntegrationRow:
        integration = await Integrations(session).get(self._owner.id)
        if integration is None:
            raise await absent(session, self._token)
        await self._ensure_led_by(session, integration)
        return integration

    async def _ensure_led_by(self, session: AsyncSession, row: Addressed) -> None:
        """The process may remember a token that the row no longer has."""
        if not leads_to(row, self._token, utcnow()):
            raise await absent(session, self._token)

    async def _deployment(self, session: AsyncSession, instance: InstanceRow) -> Deployment:
        if instance.deployment_id is None:
            ensure_invocable(enabled=instance.enabled, deployed=False)
        return await self._deployments.get(str(instance.deployment_id), session)


def _target(flow: InstanceFlowRow, instance: InstanceRow, customer: CustomerRow, deployment: Deployment) -> Target:
    trigger = deployment.definition.flow(flow.key).trigger if flow.active else None
    if not isinstance(trigger, WebhookTrigger):
        raise NotFound(NO_WEBHOOK)
    return Target(flow, instance, customer, deployment, trigger)


def _ensure_stays(instance: InstanceRow) -> None:
    if instance.deleting:
        raise Gone("The instance of this webhook has been deleted")
