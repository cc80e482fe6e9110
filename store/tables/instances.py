"""Instances, their configuration, their deployments and their flows."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Revised, Stamped, partial_index


class InstanceRow(Revised, Base):
    __tablename__ = "instances"
    id: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"), index=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integrations.id"), index=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    labels: Mapped[list[str]]
    enabled: Mapped[bool] = mapped_column(default=True)
    pause_note: Mapped[str | None]
    configured: Mapped[bool] = mapped_column(default=False)  # config_state, kept at each config write
    needs_deploy: Mapped[bool] = mapped_column(default=True)
    config_revision: Mapped[int] = mapped_column(default=1)
    deployment_id: Mapped[str | None]
    deployed_at: Mapped[datetime | None]
    deleting: Mapped[bool] = mapped_column(default=False)


class ConfigValueRow(Base):
    """One set config value: `value` in clear, or `secret` (encrypted JSON) for secrets and connections."""

    __tablename__ = "config_values"
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any] | None]  # {"value": anything}
    secret: Mapped[bytes | None]
    updated_at: Mapped[datetime]


class DeploymentRow(Base):
    """Immutable: a version and the configuration resolved at deploy."""

    __tablename__ = "deployments"
    id: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"), index=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    version_number: Mapped[int]
    definition: Mapped[dict[str, Any]]
    config: Mapped[dict[str, Any]]  # non-secret values, connections as their non-secret fields
    secrets: Mapped[
        bytes | None
    ]  # encrypted JSON: {"secrets": {key: text}, "connections": {key: {kind, values, hosts}}}
    created_at: Mapped[datetime]


class InstanceFlowRow(Stamped, Base):
    """A flow of an instance. It outlives versions: its URL follows the flow's key."""

    __tablename__ = "instance_flows"
    __table_args__ = (
        UniqueConstraint("instance_id", "key"),
        partial_index("ix_instance_flows_dirty", "id", where="schedule_dirty"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"))
    key: Mapped[str]
    name: Mapped[str]
    position: Mapped[int]
    trigger: Mapped[str]
    token: Mapped[str] = mapped_column(unique=True)
    active: Mapped[bool] = mapped_column(default=True)  # false: the deployed version no longer has it
    schedule: Mapped[dict[str, Any] | None]  # {cron, time_zone, overlap, catch_up_seconds} as deployed
    schedule_dirty: Mapped[bool] = mapped_column(default=False)  # Temporal's schedule may differ from this row
    test_payload: Mapped[bytes | None]
    failed: Mapped[bool] = mapped_column(default=False)  # its latest ended, non-test execution failed
    last_execution_id: Mapped[str | None]
    last_execution_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class FlowApiKeyRow(Base):
    __tablename__ = "flow_api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    instance_flow_id: Mapped[str] = mapped_column(ForeignKey("instance_flows.id"), index=True)
    name: Mapped[str | None]
    hash: Mapped[str]
    created_at: Mapped[datetime]


class TombstoneRow(Base):
    """The webhook token of a deleted instance: 410 for 30 days, then 404."""

    __tablename__ = "tombstones"
    token: Mapped[str] = mapped_column(primary_key=True)
    deleted_at: Mapped[datetime] = mapped_column(index=True)
