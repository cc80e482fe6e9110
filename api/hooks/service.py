"""Accepting a delivery: token → flow, who may call it, is it the same as an earlier one, then one transaction."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bind_contextvars

from activities.acceptance import Request, accept
from activities.handover import Handover
from activities.holding import ensure_accepting
from activities.keys import queue_key, unique_key
from api.hooks.inbound import Delivery, Inbound
from api.hooks.refusals import Refusals, log_line
from api.hooks.security import admitted
from api.hooks.targets import Concerned, Finder, Target
from api.hooks.tokens import Tokens
from api.resources import Resources
from domain.deliveries import DEDUPE_WINDOW, dedupe_value
from domain.errors import Conflict, FlowgraftError, MethodNotAllowed, TooLarge
from domain.tags import evaluate_tags
from runtime.clock import utcnow
from store.executions import Executions
from store.logs import Logs
from store.tables import ExecutionRow

Read = Callable[[], Awaitable[Delivery]]


@dataclass(frozen=True)
class Receipt:
    """`waits`: somebody is served by waiting for its end; what a pause holds may take days."""

    execution_id: str
    duplicate: bool
    synchronous: bool = False
    waits: bool = True


Accepted = tuple[Receipt, Handover | None]  # what is to be started now, if anything is


class Hooks:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._tokens = Tokens(resources.database)
        self._refusals = Refusals(resources.database)

    async def accept(self, token: str, read: Read) -> Receipt:
        """One transaction; then Temporal, which may be away. Refusals stand in the instance's log, `read`'s too.

        Raises NotFound, Gone, TooLarge, Unauthenticated, Conflict and MethodNotAllowed, in this order.
        """
        finder = Finder(self._resources.deployments, await self._tokens.owner(token), token)
        try:
            receipt, handover = await self._accept_once(finder, await self._read(finder, read))
        except FlowgraftError as error:
            await self._refusals.note(finder.concerned, error)
            raise
        bind_contextvars(execution_id=receipt.execution_id)
        if handover is not None:
            bind_contextvars(customer_id=handover.customer_id)
            await self._resources.gateway.hand_over(handover, delivery=True)
        return receipt

    async def _read(self, finder: Finder, read: Read) -> Inbound:
        try:
            return Inbound(await read())
        except TooLarge:
            async with self._resources.database.glance() as session:
                await finder.ensure_alive(session)  # what is gone says so first
            raise

    async def _accept_once(self, finder: Finder, inbound: Inbound) -> Accepted:
        try:
            return await self._transact(finder, inbound)
        except IntegrityError:
            # Two of one dedupe key at once, and the other one was first: this time it is found.
            return await self._transact(finder, inbound)

    async def _transact(self, finder: Finder, inbound: Inbound) -> Accepted:
        async with self._resources.database.transaction() as session:
            target = await self._target(session, finder, inbound)
            hold = await ensure_accepting(session, target.instance)
            method = inbound.delivery.method
            if method not in target.trigger.methods:
                raise MethodNotAllowed(f"This webhook does not take {method}", list(target.trigger.methods))
            return await self._store(session, target, inbound, hold)

    async def _target(self, session: AsyncSession, finder: Finder, inbound: Inbound) -> Target:
        """Where a customer has several instances at a shared address, the flow or the caller's key must tell which."""
        targets = await admitted(session, await finder.targets(session, inbound), inbound)
        finder.narrow(targets)
        if len(targets) > 1:
            raise Conflict("Several instances of this customer take such a request", code="ambiguous")
        return targets[0]

    async def _store(self, session: AsyncSession, target: Target, inbound: Inbound, hold: bool) -> Accepted:
        value = dedupe_value(target.trigger, inbound.root)
        key = self._resources.keyring.keyed_hash(value) if value else None
        synchronous = target.trigger.respond == "sync"
        if key is not None:
            first = await self._first(session, target.flow.id, key)
            if first is not None:
                await self._note_other_body(session, first, inbound)
                return Receipt(first.id, True, synchronous, waits=first.held is None), None
        instance, customer, deployment = target.instance, target.customer, target.deployment
        roots: dict[str, Any] = {
            "trigger": inbound.root,
            "config": deployment.config,
            "customer": {"id": customer.id, "external_id": customer.external_id, "name": customer.name},
            "instance": {"id": instance.id, "name": instance.name},
        }
        flow = deployment.definition.flow(target.flow.key)
        request = Request(
            target.flow,
            instance,
            customer,
            deployment,
            payload=inbound.payload,
            dedupe_key=key,
            unique_key=unique_key(self._resources.keyring, flow, roots),
            queue_key=queue_key(self._resources.keyring, flow, roots),
            tags=evaluate_tags(target.trigger.tags, roots),
            hold=hold,
        )
        handover = await accept(session, self._resources.payloads, request)
        receipt = Receipt(handover.execution_id, False, synchronous, waits=not hold)
        return receipt, None if hold else handover

    async def _first(self, session: AsyncSession, flow_id: str, key: str) -> ExecutionRow | None:
        """The execution that holds the key, while its window lasts."""
        executions = Executions(session)
        first = await executions.by_dedupe_key(flow_id, key)
        if first is not None and first.queued_at < utcnow() - DEDUPE_WINDOW:
            await executions.release_dedupe_key(first.id)
            return None
        return first

    async def _note_other_body(self, session: AsyncSession, first: ExecutionRow, inbound: Inbound) -> None:
        row = await Executions(session).payload(first.payload_id) if first.payload_id else None
        if row is None or self._resources.payloads.open(row).body == inbound.delivery.body:
            return
        message = "A delivery with the same dedupe key had another body; it counts as the duplicate"
        line = log_line(Concerned(first.instance_id, first.customer_id, first.instance_flow_id), message)
        await Logs(session).add_many([line | {"execution_id": first.id, "type": "execution"}])
