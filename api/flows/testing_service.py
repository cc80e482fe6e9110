"""Testing a flow: an execution as if a request had come in, and the payload kept for it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.acceptance import Request, accept
from activities.deployments import Deployment, Deployments
from activities.handover import Handover
from activities.payloads import Payload, stored_payload_context
from api.etags import Precondition
from api.flows.service import changeable, get_row, note, touch
from api.resources import Resources
from domain.definitions.model import WebhookTrigger
from domain.deliveries import ensure_not_suspended
from domain.errors import Conflict, Invalid, Problem
from domain.executions import TriggerKind
from domain.jsontext import dumps
from domain.tags import evaluate_tags
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.instances import Instances
from store.tables import CustomerRow, InstanceFlowRow, InstanceRow

JSON = "application/json"

Given = Mapping[str, Any]


async def start(session: AsyncSession, resources: Resources, principal: str, flow_id: str, given: Given) -> Handover:
    """Accepts a test, paused or not. What the request does not say, the stored payload does, unless it has a body."""
    flow, instance = await changeable(session, flow_id)
    ensure_not_suspended(instance.suspended_at is not None)
    deployment = await _deployment(session, resources.deployments, flow, instance)
    customer = await session.get_one(CustomerRow, instance.customer_id)
    whole = given if "body" in given else {**_stored(resources.keyring, flow), **given}
    payload = payload_of(whole, "POST" if flow.trigger == TriggerKind.WEBHOOK else "")
    request = Request(flow, instance, customer, deployment, payload=payload, is_test=True)
    handover = await accept(session, resources.payloads, replace(request, tags=_tags(request, payload)))
    note(session, principal, "flow.tested", flow, instance, execution_id=handover.execution_id)
    return handover


async def stored_payload(
    session: AsyncSession, keyring: Keyring, flow_id: str
) -> tuple[InstanceFlowRow, dict[str, Any]]:
    row = await get_row(session, flow_id)
    return row, _stored(keyring, row)


async def store_payload(
    session: AsyncSession, keyring: Keyring, principal: str, flow_id: str, given: Given, precondition: Precondition
) -> InstanceFlowRow:
    payload_of(given, "POST")
    row, instance = await changeable(session, flow_id, precondition)
    row.test_payload = keyring.encrypt_json(dict(given), stored_payload_context(row.id))
    touch(row, utcnow())
    note(session, principal, "flow.test_payload_changed", row, instance)
    return row


def payload_of(given: Given, method: str) -> Payload:
    """The request that a caller would have sent. Raises Invalid for a body that its content type cannot hold."""
    headers = {name.lower(): value for name, value in given.get("headers", {}).items()}
    content_type = given.get("content_type") or headers.get("content-type") or (JSON if "body" in given else None)
    if content_type is not None:
        headers["content-type"] = content_type
    return Payload(
        method=method,
        path="",
        query=[(name, each) for name, value in given.get("query", {}).items() for each in _each(value)],
        headers=list(headers.items()),
        content_type=content_type,
        body=_encoded(given["body"], content_type or JSON) if "body" in given else b"",
    )


async def _deployment(
    session: AsyncSession, deployments: Deployments, flow: InstanceFlowRow, instance: InstanceRow
) -> Deployment:
    row = await Instances(session).deployment(instance.deployment_id) if instance.deployment_id else None
    if row is None:
        raise Conflict("The instance has not been deployed.", code="instance_not_deployed")
    if not flow.active:
        raise Conflict("The deployed version no longer has this flow.")
    return await deployments.assemble(session, row, instance)


def _tags(request: Request, payload: Payload) -> dict[str, str]:
    """As the webhook itself would be tagged."""
    trigger = request.deployment.definition.flow(request.flow.key).trigger
    if not isinstance(trigger, WebhookTrigger):
        return {}
    customer, instance = request.customer, request.instance
    roots: dict[str, Any] = {
        "trigger": payload.root(),
        "config": request.deployment.config,
        "customer": {"id": customer.id, "external_id": customer.external_id, "name": customer.name},
        "instance": {"id": instance.id, "name": instance.name},
    }
    return evaluate_tags(trigger.tags, roots)


def _stored(keyring: Keyring, row: InstanceFlowRow) -> dict[str, Any]:
    stored: dict[str, Any] = (
        keyring.decrypt_json(row.test_payload, stored_payload_context(row.id)) if row.test_payload else {}
    )
    return stored


def _each(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _encoded(body: Any, content_type: str) -> bytes:
    media = content_type.partition(";")[0].strip().lower()
    if media == JSON or media.endswith("+json"):
        return dumps(body).encode()
    if not isinstance(body, str):
        detail = "Must be text, because the content type is not JSON."
        raise Invalid(f"body: {detail}", [Problem("#/body", "wrong_type", detail)])
    return body.encode()
