"""Monitors and their alerts, event endpoints, and what is on its way to their targets."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Revised, Stamped, partial_index


class MonitorRow(Revised, Base):
    """Where it watches: at most one of customer, integration and instance; a flow goes with its instance. What is
    deleted there takes its monitors along, once they have told of it, so nothing refers to it."""

    __tablename__ = "monitors"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    customer_id: Mapped[str | None] = mapped_column(index=True)
    integration_id: Mapped[str | None] = mapped_column(index=True)
    instance_id: Mapped[str | None] = mapped_column(index=True)
    flow_id: Mapped[str | None]
    triggers: Mapped[list[Any]]  # domain Trigger, as shown
    enabled: Mapped[bool]
    armed_at: Mapped[datetime]  # since when it watches
    maintenance_from: Mapped[datetime | None]
    maintenance_to: Mapped[datetime | None]
    triggered_at: Mapped[datetime | None]  # until somebody clears it
    last_alert_id: Mapped[str | None]


class AlertGroupRow(Revised, Base):
    __tablename__ = "alert_groups"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class EventEndpointRow(Revised, Base):
    """Its address is that of its one target."""

    __tablename__ = "event_endpoints"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str | None]
    events: Mapped[list[str]]  # patterns such as instance.*
    enabled: Mapped[bool]


class TargetRow(Stamped, Base):
    """Whom a monitor, a group or an event endpoint tells."""

    __tablename__ = "targets"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner_kind: Mapped[str]  # monitor, alert_group or event_endpoint
    owner_id: Mapped[str] = mapped_column(index=True)
    position: Mapped[int]
    kind: Mapped[str]  # domain TargetKind
    address: Mapped[str]  # a URL, an e-mail address or the id of a group
    template: Mapped[str | None]
    sealed: Mapped[bytes | None]  # of a webhook, encrypted JSON: {secret, previous, previous_until, headers}
    header_names: Mapped[list[str]]
    failing_since: Mapped[datetime | None]  # every try has failed since then
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]


class OutboxRow(Base):
    """A fact that somebody wants to hear of, written in the transaction of its cause."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_tries_id", "tries", "id"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    at: Mapped[datetime]
    fact: Mapped[dict[str, Any]]  # where it happened and what is known of it
    tries: Mapped[int] = mapped_column(default=0)  # that an error of ours has ended


class AlertRow(Base):
    """One firing. It outlives its monitor, and keeps the names of what it is about."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_monitor_id_id", "monitor_id", "id"),
        Index("ix_alerts_customer_id_id", "customer_id", "id"),
        Index("ix_alerts_instance_id_id", "instance_id", "id"),
        Index("ix_alerts_flow_id_id", "flow_id", "id"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    monitor_id: Mapped[str]
    monitor_name: Mapped[str]
    trigger: Mapped[dict[str, Any]]  # domain Trigger, as shown
    message: Mapped[str]
    suppressed: Mapped[bool]
    is_test: Mapped[bool]
    customer_id: Mapped[str | None]
    integration_id: Mapped[str | None]
    instance_id: Mapped[str | None]
    flow_id: Mapped[str | None]
    execution_id: Mapped[str | None]
    connection_id: Mapped[str | None]
    step: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    names: Mapped[dict[str, Any]]  # of customer, integration, instance and flow


class ConditionRow(Base):
    """Of what is looked for, what has been found and told: it fires again once it has been over."""

    __tablename__ = "monitor_conditions"
    monitor_id: Mapped[str] = mapped_column(ForeignKey("monitors.id"), primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(primary_key=True)  # of a flow or an execution
    since: Mapped[datetime]


class DeliveryRow(Stamped, Base):
    """One message to one target; its id is the message's `webhook-id` and the workflow's."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_endpoint_id_id", "endpoint_id", "id"),
        Index("ix_deliveries_ended_at", "ended_at"),
        partial_index("ix_deliveries_pending", "due_at", where="state = 'pending'"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    alert_id: Mapped[str | None] = mapped_column(index=True)
    endpoint_id: Mapped[str | None]
    customer_id: Mapped[str | None] = mapped_column(index=True)  # whom the message is about
    target_id: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]  # domain TargetKind
    address: Mapped[str]
    event: Mapped[str]  # the message's type
    subject: Mapped[str]
    body: Mapped[str]
    content_type: Mapped[str]
    is_test: Mapped[bool]
    state: Mapped[str]  # domain DeliveryState
    attempts: Mapped[int]
    failed_in_a_row: Mapped[int]  # since it was begun, or asked for once more
    status_code: Mapped[int | None]  # of the last attempt
    error: Mapped[str | None]
    due_at: Mapped[datetime]  # of the next attempt
    handed_over_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class DeliveryAttemptRow(Base):
    __tablename__ = "delivery_attempts"
    delivery_id: Mapped[str] = mapped_column(ForeignKey("deliveries.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    seconds: Mapped[float]
    status_code: Mapped[int | None]
    error: Mapped[str | None]


class MaintenanceWindowRow(Stamped, Base):
    """While it lasts, alerts are recorded and not sent: everybody's, a customer's or an instance's."""

    __tablename__ = "maintenance_windows"
    id: Mapped[str] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    customer_id: Mapped[str | None]
    instance_id: Mapped[str | None]
    note: Mapped[str | None]
    principal: Mapped[str]
