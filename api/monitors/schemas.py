"""What monitors look like on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from activities.targets import NewSecrets
from api.shapes import Filter, Input, Instant, Name, Patch
from api.target_shapes import MOST_TARGETS, DeliveryRead, TargetBody, TargetRead
from domain.logs import Severity
from domain.monitors import LIMITS, Trigger, TriggerType
from store.monitors import MonitorFilter
from store.tables import MonitorRow, TargetRow

EXAMPLE: dict[str, Any] = {
    "name": "Orders fail",
    "instance_id": "inst_…",
    "triggers": [{"type": "execution_failed"}, {"type": "execution_slow", "seconds": 60}],
    "notify": [{"webhook": "https://alerts.example.com/hook"}, {"email": "ops@example.com"}],
}
DAY = 24 * 3600


class TriggerBody(Input):
    """`seconds` belongs to `execution_slow`, `minutes` to `execution_overdue`, `severity` to `log_severity`, `waiting`
    to `queue_backlog`."""

    type: TriggerType
    seconds: Annotated[float, Field(ge=1, le=30 * DAY)] | None = None
    minutes: Annotated[float, Field(ge=1, le=31 * 24 * 60)] | None = None
    severity: Severity | None = None
    waiting: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _has_its_limit(self) -> Self:
        wanted = LIMITS.get(self.type)
        for name in LIMITS.values():
            given = getattr(self, name) is not None
            if given != (name == wanted):
                raise ValueError(f"{self.type} {'needs' if name == wanted else 'takes no'} {name}")
        return self

    def trigger(self) -> Trigger:
        return Trigger(self.type, self.seconds, self.minutes, self.severity, self.waiting)


class MaintenanceBody(Input):
    from_: Instant = Field(alias="from")
    to: Instant

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.to <= self.from_:
            raise ValueError("must end after it begins")
        return self


def _each_once(triggers: list[TriggerBody]) -> list[TriggerBody]:
    if len({each.type for each in triggers}) < len(triggers):
        raise ValueError("must name each type once")
    return triggers


Triggers = Annotated[list[TriggerBody], Field(min_length=1, max_length=len(TriggerType)), AfterValidator(_each_once)]
Notify = Annotated[list[TargetBody], Field(max_length=MOST_TARGETS)]
Id = Annotated[str, Field(min_length=1, max_length=100)]


class MonitorCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    customer_id: Id | None = Field(None, description="All instances of this customer")
    integration_id: Id | None = Field(None, description="All instances of this integration")
    instance_id: Id | None = Field(None, description="This instance. Without any of the three: all instances")
    flow_id: Id | None = Field(None, description="Only this flow of an instance")
    triggers: Triggers
    notify: Notify = Field(default_factory=list, description="Without any it only raises alerts")
    enabled: bool = True
    maintenance: MaintenanceBody | None = Field(None, description="Alerts are recorded then, and not sent")

    def columns(self) -> dict[str, Any]:
        """Without `notify`."""
        return _columns({name: getattr(self, name) for name in type(self).model_fields})


class MonitorUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    name: Name = Field(default_factory=str)
    triggers: Triggers = Field(default_factory=list)
    notify: Notify = Field(default_factory=list, description="Replaces all. A webhook that stays keeps its secret")
    enabled: bool = Field(default_factory=bool)
    maintenance: MaintenanceBody | None = None

    def columns(self) -> dict[str, Any]:
        """Those to change, without `notify`."""
        return _columns(self.changes())


class MonitorQuery(Filter):
    q: str | None = Field(None, description="Any part of the name")
    name: list[str] = Field(default_factory=list, description="Exactly")
    customer_id: list[str] = Field(default_factory=list)
    integration_id: list[str] = Field(default_factory=list)
    instance_id: list[str] = Field(default_factory=list)
    flow_id: list[str] = Field(default_factory=list)
    triggered: bool | None = None
    enabled: bool | None = None

    def wanted(self) -> MonitorFilter:
        return MonitorFilter(
            q=self.q,
            names=self.name,
            customer_ids=self.customer_id,
            integration_ids=self.integration_id,
            instance_ids=self.instance_id,
            flow_ids=self.flow_id,
            triggered=self.triggered,
            enabled=self.enabled,
        )


class TriggerRead(BaseModel):
    type: str = Field(examples=[each.value for each in TriggerType])
    seconds: float | None = None
    minutes: float | None = None
    severity: str | None = None
    waiting: int | None = None


class MaintenanceRead(BaseModel):
    from_: Instant = Field(serialization_alias="from")
    to: Instant


class MonitorRead(BaseModel):
    id: str
    name: str
    customer_id: str | None
    integration_id: str | None
    instance_id: str | None
    flow_id: str | None
    triggers: list[TriggerRead]
    notify: list[TargetRead]
    enabled: bool
    maintenance: MaintenanceRead | None
    triggered: bool = Field(description="Stays set until it is cleared")
    triggered_at: Instant | None
    last_alert_id: str | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: MonitorRow, targets: Sequence[TargetRow], shown: NewSecrets) -> Self:
        return cls(
            id=row.id,
            name=row.name,
            customer_id=row.customer_id,
            integration_id=row.integration_id,
            instance_id=row.instance_id,
            flow_id=row.flow_id,
            triggers=[TriggerRead.model_validate(each) for each in row.triggers],
            notify=[TargetRead.of(each, shown) for each in targets],
            enabled=row.enabled,
            maintenance=_maintenance(row.maintenance_from, row.maintenance_to),
            triggered=row.triggered_at is not None,
            triggered_at=row.triggered_at,
            last_alert_id=row.last_alert_id,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class MonitorTestRead(BaseModel):
    """A test under way."""

    alert_id: str
    deliveries: list[DeliveryRead]


def _columns(given: dict[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in given.items() if name != "notify"}
    if "triggers" in columns:
        columns["triggers"] = [each.trigger().shown() for each in columns["triggers"]]
    if "maintenance" in columns:
        window: MaintenanceBody | None = columns.pop("maintenance")
        columns |= {"maintenance_from": window and window.from_, "maintenance_to": window and window.to}
    return columns


def _maintenance(begin: datetime | None, end: datetime | None) -> MaintenanceRead | None:
    return MaintenanceRead(from_=begin, to=end) if begin and end else None
