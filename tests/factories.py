"""Builds valid rows in one call. What a test is about it names; the rest has harmless defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from domain.definitions.model import Definition
from domain.executions import TERMINAL, Status
from store.engine import Database
from store.tables import (
    AlertGroupRow,
    AlertRow,
    Base,
    CustomerRow,
    DeliveryRow,
    DeploymentRow,
    EventEndpointRow,
    EventRow,
    ExecutionRow,
    InstanceFlowRow,
    InstanceRow,
    IntegrationRow,
    JobRow,
    MonitorRow,
    TargetRow,
    VersionRow,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STAMPS = {"created_at": NOW, "updated_at": NOW}
DEFINITION = Definition.model_validate(
    {
        "schema": "flowgraft/v1",
        "key": "greeter",
        "name": "Greeter",
        "flows": [
            {
                "key": "hello",
                "name": "Hello",
                "trigger": {"type": "webhook"},
                "steps": [{"key": "greet", "action": "log.write", "inputs": {"message": "Hello {{ customer.name }}"}}],
            }
        ],
    }
)

Built = TypeVar("Built", bound=Base)
_numbers = count(1)


def an_id(prefix: str) -> str:
    """Sorts by the order of making, as real ids do."""
    return f"{prefix}_{next(_numbers):026d}"


def customer(**given: Any) -> CustomerRow:
    fresh = an_id("cust")
    return _row(CustomerRow, STAMPS | {"id": fresh, "name": f"Customer {fresh}", "labels": []}, given)


def integration(definition: Definition = DEFINITION, **given: Any) -> IntegrationRow:
    """Its key differs from the definition's, because keys are unique."""
    fresh = an_id("intg")
    model = definition.model_dump(mode="json", by_alias=True)
    defaults = {
        "id": fresh,
        "key": fresh.replace("_", "-"),
        "name": definition.name,
        "labels": definition.labels,
        "draft_text": definition.model_dump_json(by_alias=True),
        "draft": model,
        "latest_number": 1,
    }
    return _row(IntegrationRow, STAMPS | defaults, given)


def version(of: IntegrationRow, number: int = 1, **given: Any) -> VersionRow:
    defaults = {
        "id": an_id("ver"),
        "integration_id": of.id,
        "number": number,
        "text": of.draft_text,
        "definition": of.draft,
    }
    return _row(VersionRow, STAMPS | defaults, given)


def instance(owner: CustomerRow, chosen: VersionRow, **given: Any) -> InstanceRow:
    fresh = an_id("inst")
    defaults = {
        "id": fresh,
        "customer_id": owner.id,
        "integration_id": chosen.integration_id,
        "version_id": chosen.id,
        "name": f"Instance {fresh}",
        "labels": [],
        "configured": True,
    }
    return _row(InstanceRow, STAMPS | defaults, given)


def deployment(of: InstanceRow, chosen: VersionRow, **given: Any) -> DeploymentRow:
    defaults = {
        "id": an_id("dep"),
        "instance_id": of.id,
        "version_id": chosen.id,
        "version_number": chosen.number,
        "definition": chosen.definition,
        "config": {},
        "created_at": NOW,
    }
    return _row(DeploymentRow, defaults, given)


def instance_flow(of: InstanceRow, key: str = "hello", position: int = 0, **given: Any) -> InstanceFlowRow:
    fresh = an_id("flow")
    defaults = {
        "id": fresh,
        "instance_id": of.id,
        "key": key,
        "name": key.capitalize(),
        "position": position,
        "trigger": "webhook",
        "token": f"token-{fresh}",
    }
    return _row(InstanceFlowRow, STAMPS | defaults, given)


def execution(of: InstanceRow, flow: InstanceFlowRow, **given: Any) -> ExecutionRow:
    """`of` must be deployed."""
    fresh = an_id("exec")
    defaults: dict[str, Any] = {
        "id": fresh,
        "instance_flow_id": flow.id,
        "instance_id": of.id,
        "customer_id": of.customer_id,
        "integration_id": of.integration_id,
        "version_id": of.version_id,
        "deployment_id": of.deployment_id,
        "status": Status.QUEUED,
        "trigger": flow.trigger,
        "retry": {},
        "queued_at": NOW,
        "tags": {},
        "workflow_id": fresh,
    }
    if given.get("status") in TERMINAL:
        defaults["ended_at"] = NOW
    return _row(ExecutionRow, STAMPS | defaults, given)


def job(**given: Any) -> JobRow:
    defaults = {
        "id": an_id("job"),
        "kind": "deploy",
        "object_id": an_id("inst"),
        "principal": "bootstrap",
        "state": "running",
    }
    return _row(JobRow, STAMPS | defaults, given)


def event(of: InstanceRow, action: str, **given: Any) -> EventRow:
    defaults = {
        "id": an_id("evt"),
        "at": NOW,
        "principal": "bootstrap",
        "action": action,
        "object_id": of.id,
        "instance_id": of.id,
        "customer_id": of.customer_id,
        "details": {},
    }
    return _row(EventRow, defaults, given)


def monitor(*triggers: dict[str, Any], **given: Any) -> MonitorRow:
    """Of all instances, unless told otherwise. Without triggers: of executions that fail."""
    defaults = {
        "id": an_id("mon"),
        "name": "Watchdog",
        "triggers": list(triggers) or [{"type": "execution_failed"}],
        "enabled": True,
        "armed_at": NOW,
    }
    return _row(MonitorRow, STAMPS | defaults, given)


def target(owner: MonitorRow | AlertGroupRow | EventEndpointRow, **given: Any) -> TargetRow:
    """A webhook without a secret, unless told otherwise."""
    fresh = an_id("tgt")
    defaults = {
        "id": fresh,
        "owner_kind": {"mon": "monitor", "grp": "alert_group", "hook": "event_endpoint"}[owner.id.partition("_")[0]],
        "owner_id": owner.id,
        "position": 0,
        "kind": "webhook",
        "address": f"https://alerts.example.com/{fresh}",
        "header_names": [],
    }
    return _row(TargetRow, STAMPS | defaults, given)


def alert_group(**given: Any) -> AlertGroupRow:
    fresh = an_id("grp")
    return _row(AlertGroupRow, STAMPS | {"id": fresh, "name": f"Group {fresh}"}, given)


def event_endpoint(*events: str, **given: Any) -> EventEndpointRow:
    defaults = {"id": an_id("hook"), "name": "Endpoint", "events": list(events) or ["*"], "enabled": True}
    return _row(EventEndpointRow, STAMPS | defaults, given)


def alert(of: MonitorRow, **given: Any) -> AlertRow:
    defaults = {
        "id": an_id("alert"),
        "at": NOW,
        "monitor_id": of.id,
        "monitor_name": of.name,
        "trigger": {"type": "execution_failed"},
        "message": "an execution has failed",
        "suppressed": False,
        "is_test": False,
        "names": {},
    }
    return _row(AlertRow, defaults, given)


def delivery(to: TargetRow, **given: Any) -> DeliveryRow:
    """Due, and not begun."""
    defaults = {
        "id": an_id("dlv"),
        "target_id": to.id,
        "kind": to.kind,
        "address": to.address,
        "event": "monitor.triggered",
        "subject": "Flowgraft alert",
        "body": "{}",
        "content_type": "application/json",
        "is_test": False,
        "state": "pending",
        "attempts": 0,
        "failed_in_a_row": 0,
        "due_at": NOW,
    }
    return _row(DeliveryRow, STAMPS | defaults, given)


@dataclass(frozen=True)
class Deployed:
    """One customer's deployed instance of one integration with one flow."""

    customer: CustomerRow
    integration: IntegrationRow
    version: VersionRow
    instance: InstanceRow
    deployment: DeploymentRow
    flow: InstanceFlowRow


async def deployed(session: AsyncSession, definition: Definition = DEFINITION, **of_instance: Any) -> Deployed:
    """Written in the given transaction; its flow is the definition's first."""
    owner, offered = customer(), integration(definition)
    published = version(offered)
    made = instance(owner, published, needs_deploy=False, deployed_at=NOW, **of_instance)
    resolved = deployment(made, published)
    made.deployment_id = resolved.id
    first = definition.flows[0]
    flow = instance_flow(made, first.key, trigger=first.trigger.type)
    await save(session, owner, offered, published, made, resolved, flow)
    return Deployed(owner, offered, published, made, resolved, flow)


async def save(session: AsyncSession, *rows: Base) -> None:
    """In the order given: the tables have foreign keys, and the session does not know them as relationships."""
    for row in rows:
        session.add(row)
        await session.flush()


async def saved(database: Database, *rows: Base) -> None:
    """As `save`, in a transaction of its own."""
    async with database.transaction() as session:
        await save(session, *rows)


def _row(kind: type[Built], defaults: Mapping[str, Any], given: Mapping[str, Any]) -> Built:
    return kind(**{**defaults, **given})
