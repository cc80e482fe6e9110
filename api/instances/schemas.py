"""What instances and their events look like on the wire."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from api.endpoints import EndpointRead
from api.flows.schemas import FlowRead
from api.instances.service import InstanceShown
from api.shapes import Filter, Input, Instant, Labels, Name, Patch, Ref, Text, VersionRef
from domain.logs import LOG_LEVELS, LogLevel, least_severity
from domain.pausing import PauseMode
from store.instances import InstanceFilter, InstanceOrder, order_by
from store.tables import EventRow

ConfigState = Literal["configured", "needs_configuration"]
InstanceState = Literal["not_deployed", "enabled", "paused", "suspended", "deleting"]
Order = Literal[
    "name",
    "-name",
    "created_at",
    "-created_at",
    "updated_at",
    "-updated_at",
    "customer",
    "-customer",
    "integration",
    "-integration",
    "version",
    "-version",
]

EXAMPLE: dict[str, Any] = {
    "customer_id": "cust_01k5q2m7a8x9y0z1b2c3d4e5f6",
    "integration_id": "intg_01k5q2m7a8x9y0z1b2c3d4e5f6",
    "name": "Order sync of Acme",
    "config": {"endpoint": "https://shop.example.com"},
}


class InstanceCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    customer_id: str
    integration_id: str
    version_id: str | None = Field(None, description="Default: the latest available")
    name: Name
    description: Text | None = None
    labels: Labels | None = Field(None, description="Default: the integration's")
    config: dict[str, Any] = Field(default_factory=dict, description="Values by key; what is missing may follow later")


class InstanceUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"version_id": "ver_01k5q2m7a8x9y0z1b2c3d4e5f6"}]})

    name: Name = Field(default_factory=str)
    description: Text | None = None
    labels: Labels = Field(default_factory=list)
    version_id: str = Field(default_factory=str, description="Up or down; takes effect at the next deploy")
    log_level: LogLevel = Field(
        default_factory=lambda: LOG_LEVELS[0],
        description="The least severity of its executions' lines that is kept; `none`: no lines. Within half a minute",
    )
    step_outputs_disabled: bool = Field(
        default_factory=bool,
        description="True: inputs and outputs of steps go when their execution ends. Within half a minute",
    )


class InstanceQuery(Filter):
    q: str | None = Field(None, description="Any part of the name")
    description: str | None = Field(None, description="Any part of it")
    customer_id: list[str] = Field(default_factory=list)
    integration_id: list[str] = Field(default_factory=list)
    version_id: list[str] = Field(default_factory=list)
    label: list[str] = Field(default_factory=list, description="Repeated: all of them")
    enabled: list[bool] = Field(default_factory=list)
    config_state: list[ConfigState] = Field(default_factory=list)
    needs_deploy: list[bool] = Field(default_factory=list)
    in_failed_state: list[bool] = Field(default_factory=list)
    state: list[InstanceState] = Field(default_factory=list)
    suspended: list[bool] = Field(default_factory=list)
    visible_to_customer: list[bool] = Field(
        default_factory=list, description="What the customer sees: not what staff has made and left unconfigured"
    )
    sort: Order | None = Field(None, description="Default: newest first. With - in front: the other way round")

    def order(self) -> InstanceOrder | None:
        if self.sort is None:
            return None
        return order_by(self.sort.removeprefix("-"), descending=self.sort.startswith("-"))

    def wanted(self) -> InstanceFilter:
        return InstanceFilter(
            q=self.q,
            description=self.description,
            customer_ids=self.customer_id,
            integration_ids=self.integration_id,
            version_ids=self.version_id,
            labels=[label.lower() for label in self.label],
            enabled=_one_of(self.enabled),
            configured=_one_of([state == "configured" for state in self.config_state]),
            needs_deploy=_one_of(self.needs_deploy),
            failed=_one_of(self.in_failed_state),
            states=self.state,
            suspended=_one_of(self.suspended),
            visible_to_customer=_one_of(self.visible_to_customer),
        )


class InstanceRead(BaseModel):
    id: str
    name: str
    description: str | None
    labels: list[str]
    customer: Ref
    integration: Ref
    version: VersionRef
    latest_version: VersionRef | None = Field(description="The newest that can be chosen, if there is any")
    new_version_available: bool
    config_state: ConfigState
    deployed: bool
    deployed_version: int | None
    deployed_at: Instant | None
    enabled: bool
    pause_note: str | None
    pause_mode: PauseMode | None = Field(description="While paused, what webhooks do: refused, or held")
    held_count: int = Field(description="Executions that wait for the end of the pause, or behind a drain")
    drain_job_id: str | None = Field(description="The job that starts what was held, while it does")
    suspended: bool = Field(description="By the operator; whether it is enabled stays as it is")
    suspension_note: str | None
    log_level: LogLevel = Field(description="The least severity of its executions' lines that is kept")
    step_outputs_disabled: bool = Field(description="Inputs and outputs of steps go when their execution ends")
    needs_deploy: bool
    in_failed_state: bool
    connection_error: str | None
    last_execution_at: Instant | None
    endpoint: EndpointRead
    flows: list[FlowRead]
    state: Literal["active", "deleting"]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, shown: InstanceShown, public_url: str) -> Self:
        row, view = shown.view.row, shown.view
        latest = None
        if view.latest_version_id is not None and view.latest_version_number is not None:
            latest = VersionRef(id=view.latest_version_id, number=view.latest_version_number)
        return cls(
            id=row.id,
            name=row.name,
            description=row.description,
            labels=row.labels,
            customer=Ref(id=row.customer_id, name=view.customer_name),
            integration=Ref(id=row.integration_id, name=view.integration_name),
            version=VersionRef(id=row.version_id, number=view.version_number),
            latest_version=latest,
            new_version_available=latest is not None and latest.number > view.version_number,
            config_state="configured" if row.configured else "needs_configuration",
            deployed=row.deployment_id is not None,
            deployed_version=view.deployed_version,
            deployed_at=row.deployed_at,
            enabled=row.enabled,
            pause_note=row.pause_note,
            pause_mode=PauseMode(row.pause_mode or PauseMode.DROP) if not row.enabled else None,
            held_count=shown.held,
            drain_job_id=row.drain_job_id,
            suspended=row.suspended_at is not None,
            suspension_note=row.suspension_note,
            log_level=LOG_LEVELS[least_severity(row.log_level)],
            step_outputs_disabled=row.step_outputs_disabled,
            needs_deploy=row.needs_deploy,
            in_failed_state=view.failed,
            connection_error=shown.connection_error,
            last_execution_at=view.last_execution_at,
            endpoint=EndpointRead.of(row.endpoint_mode, shown.address, public_url),
            flows=[FlowRead.of(flow, public_url) for flow in shown.flows],
            state="deleting" if row.deleting else "active",
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class EventRead(BaseModel):
    """Who did what, and when: keys and ids, never values."""

    id: str
    at: Instant
    principal: str = Field(description="The id of the API key, or bootstrap")
    action: str = Field(examples=["instance.configured"])
    object_id: str
    details: dict[str, Any]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: EventRow) -> Self:
        return cls(
            id=row.id,
            at=row.at,
            principal=row.principal,
            action=row.action,
            object_id=row.object_id,
            details=row.details,
            created_at=row.at,
            updated_at=row.at,
        )


def _one_of(wanted: Sequence[bool]) -> bool | None:
    """Both is the same as neither."""
    return wanted[0] if len(set(wanted)) == 1 else None
