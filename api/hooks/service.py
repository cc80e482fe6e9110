"""Accepting a delivery: token → flow, who may call it, is it the same as an earlier one, then one transaction."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bind_contextvars

from activities.acceptance import Request, accept
from activities.deployments import Deployment
from activities.handover import Handover
from activities.payloads import Payload
from api.resources import Resources
from domain.definitions.model import WebhookTrigger
from domain.deliveries import DEDUPE_WINDOW, dedupe_value, ensure_invocable
from domain.errors import FlowgraftError, Gone, MethodNotAllowed, NotFound, TooLarge, Unauthenticated
from domain.executions import TriggerKind
from domain.tags import evaluate_tags
from runtime.clock import utcnow
from runtime.crypto import hash_secret, same_secret
from runtime.ids import new_id
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.logs import Logs
from store.tables import CustomerRow, ExecutionRow, InstanceFlowRow, InstanceRow

API_KEY_HEADER = "api-key"
CACHED_TOKENS = 10_000
REFUSAL_LOGGED_EVERY = timedelta(minutes=1)  # per flow and code
WARN = 3

Delivery = Payload


@dataclass(frozen=True)
class Receipt:
    execution_id: str
    duplicate: bool


class Hooks:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._flow_ids: OrderedDict[str, str] = OrderedDict()  # of a token: immutable, unlike anything else of a flow
        self._refused: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    async def flow_of(self, token: str) -> str:
        """Raises NotFound for an unknown token, Gone for one of a deleted instance."""
        held = self._flow_ids.get(token)
        if held is not None:
            return held
        async with self._resources.database.glance() as session:
            flow = await InstanceFlows(session).by_token(token)
            if flow is None or await InstanceFlows(session).tombstone(token):
                raise await _absent(session, token)
        if flow.trigger != TriggerKind.WEBHOOK:
            raise NotFound("There is no such webhook")
        self._flow_ids[token] = flow.id
        if len(self._flow_ids) > CACHED_TOKENS:
            self._flow_ids.popitem(last=False)
        return flow.id

    async def accept(self, flow_id: str, token: str, read: Callable[[], Awaitable[Delivery]]) -> Receipt:
        """One transaction; then Temporal, which may be away. Refusals stand in the instance's log, `read`'s too."""
        try:
            accepted = await self._accept_once(flow_id, token, await self._read(flow_id, token, read))
        except FlowgraftError as error:
            await self._note_refusal(flow_id, error)
            raise
        if isinstance(accepted, Receipt):
            bind_contextvars(execution_id=accepted.execution_id)
            return accepted
        bind_contextvars(execution_id=accepted.execution_id, customer_id=accepted.customer_id)
        await self._resources.gateway.hand_over(accepted, delivery=True)
        return Receipt(accepted.execution_id, duplicate=False)

    async def _read(self, flow_id: str, token: str, read: Callable[[], Awaitable[Delivery]]) -> Delivery:
        try:
            return await read()
        except TooLarge:
            async with self._resources.database.glance() as session:
                await self._invocation(session, flow_id, token)  # what is gone says so first
            raise

    async def _accept_once(self, flow_id: str, token: str, delivery: Delivery) -> Handover | Receipt:
        try:
            return await self._transact(flow_id, token, delivery)
        except IntegrityError:
            # Two of one dedupe key at once, and the other one was first: this time it is found.
            return await self._transact(flow_id, token, delivery)

    async def _transact(self, flow_id: str, token: str, delivery: Delivery) -> Handover | Receipt:
        async with self._resources.database.transaction() as session:
            flow, instance, customer = await self._invocation(session, flow_id, token)
            deployment = await self._deployment(session, instance)
            trigger = _trigger(deployment, flow)
            await self._authenticate(session, flow, trigger, delivery)
            ensure_invocable(enabled=instance.enabled, deployed=True)
            if delivery.method not in trigger.methods:
                raise MethodNotAllowed(f"This webhook does not take {delivery.method}", list(trigger.methods))
            return await self._store(session, flow, instance, customer, deployment, trigger, delivery)

    async def _invocation(
        self, session: AsyncSession, flow_id: str, token: str
    ) -> tuple[InstanceFlowRow, InstanceRow, CustomerRow]:
        """Read anew for each delivery: only the token's flow is remembered. Raises NotFound, Gone."""
        found = await InstanceFlows(session).invocation(flow_id)
        if found is None or found[0].token != token:
            raise await _absent(session, token)
        if found[1].deleting:
            raise Gone("The instance of this webhook has been deleted")
        return found

    async def _deployment(self, session: AsyncSession, instance: InstanceRow) -> Deployment:
        if instance.deployment_id is None:
            ensure_invocable(enabled=instance.enabled, deployed=False)
        return await self._resources.deployments.get(str(instance.deployment_id), session)

    async def _authenticate(
        self, session: AsyncSession, flow: InstanceFlowRow, trigger: WebhookTrigger, delivery: Delivery
    ) -> None:
        """No key passes where it is optional; a wrong one never does."""
        wanted = trigger.security.api_key if trigger.security else None
        if wanted is None:
            return
        given = [value for name, value in delivery.headers if name.lower() == API_KEY_HEADER]
        if not given and wanted == "optional":
            return
        known = [row.hash for row in await InstanceFlows(session).api_keys(flow.id)]
        if len(given) != 1 or not any(same_secret(hash_secret(given[0]), stored) for stored in known):
            raise Unauthenticated("This webhook wants an API key in the header Api-Key")

    async def _store(
        self,
        session: AsyncSession,
        flow: InstanceFlowRow,
        instance: InstanceRow,
        customer: CustomerRow,
        deployment: Deployment,
        trigger: WebhookTrigger,
        delivery: Delivery,
    ) -> Handover | Receipt:
        payload = _without_key(delivery)
        root = payload.root()
        value = dedupe_value(trigger, root)
        key = self._resources.keyring.keyed_hash(value) if value else None
        if key is not None:
            first = await self._first(session, flow.id, key)
            if first is not None:
                await self._note_other_body(session, first, delivery)
                return Receipt(first.id, duplicate=True)
        roots: dict[str, Any] = {
            "trigger": root,
            "config": deployment.config,
            "customer": {"id": customer.id, "external_id": customer.external_id, "name": customer.name},
            "instance": {"id": instance.id, "name": instance.name},
        }
        tags = evaluate_tags(trigger.tags, roots)
        request = Request(flow, instance, customer, deployment, payload=payload, dedupe_key=key, tags=tags)
        return await accept(session, self._resources.payloads, request)

    async def _first(self, session: AsyncSession, flow_id: str, key: str) -> ExecutionRow | None:
        """The execution that holds the key, while its window lasts."""
        executions = Executions(session)
        first = await executions.by_dedupe_key(flow_id, key)
        if first is not None and first.queued_at < utcnow() - DEDUPE_WINDOW:
            await executions.release_dedupe_key(first.id)
            return None
        return first

    async def _note_other_body(self, session: AsyncSession, first: ExecutionRow, delivery: Delivery) -> None:
        row = await Executions(session).payload(first.payload_id) if first.payload_id else None
        if row is None or self._resources.payloads.open(row).body == delivery.body:
            return
        message = "A delivery with the same dedupe key had another body; it counts as the duplicate"
        line = _log_line(first.instance_flow_id, first.instance_id, first.customer_id, message)
        await Logs(session).add_many([line | {"execution_id": first.id, "type": "execution"}])

    async def _note_refusal(self, flow_id: str, error: FlowgraftError) -> None:
        now = utcnow()
        last = self._refused.get((flow_id, error.code))
        if last is not None and last > now - REFUSAL_LOGGED_EVERY:
            return
        self._refused[(flow_id, error.code)] = now
        if len(self._refused) > CACHED_TOKENS:
            self._refused.popitem(last=False)
        async with self._resources.database.transaction() as session:
            flow = await InstanceFlows(session).get(flow_id)
            instance = await Instances(session).get(flow.instance_id) if flow else None
            if flow is not None and instance is not None:
                message = f"Webhook refused: {error.code}: {error.message}"
                await Logs(session).add_many([_log_line(flow.id, instance.id, instance.customer_id, message)])


async def _absent(session: AsyncSession, token: str) -> FlowgraftError:
    if await InstanceFlows(session).tombstone(token):
        return Gone("The instance of this webhook has been deleted, or its URL was changed")
    return NotFound("There is no such webhook")


def _trigger(deployment: Deployment, flow: InstanceFlowRow) -> WebhookTrigger:
    trigger = deployment.definition.flow(flow.key).trigger if flow.active else None
    if not isinstance(trigger, WebhookTrigger):
        raise NotFound("There is no such webhook")
    return trigger


def _without_key(delivery: Delivery) -> Delivery:
    """The API key has done its work; it is a secret and goes no further."""
    headers = [(name, value) for name, value in delivery.headers if name.lower() != API_KEY_HEADER]
    return Payload(delivery.method, delivery.path, delivery.query, headers, delivery.content_type, delivery.body)


def _log_line(flow_id: str, instance_id: str, customer_id: str, message: str) -> dict[str, Any]:
    return {
        "id": new_id("log"),
        "timestamp": utcnow(),
        "severity": WARN,
        "message": message,
        "type": "management",
        "instance_flow_id": flow_id,
        "instance_id": instance_id,
        "customer_id": customer_id,
    }
