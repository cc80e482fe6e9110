"""Instances, their configuration, their deployments and their flows."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Addressed, Base, Revised, Stamped, partial_index


class InstanceRow(Addressed, Revised, Base):
    __tablename__ = "instances"
    __table_args__ = (
        Index("ix_instances_name_id", "name", "id"),
        Index("ix_instances_updated_at_id", "updated_at", "id"),
        partial_index("ix_instances_unconfigured", "id", where="NOT configured"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"), index=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integrations.id"), index=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    labels: Mapped[list[str]]
    enabled: Mapped[bool] = mapped_column(default=True)
    pause_note: Mapped[str | None]
    pause_mode: Mapped[str | None]  # drop or hold, while paused
    hold_number: Mapped[int] = mapped_column(default=0, server_default="0")  # moved by each unpause
    drain_job_id: Mapped[str | None]  # while what was held is started, newer deliveries queue behind it
    suspended_at: Mapped[datetime | None]
    suspension_note: Mapped[str | None]
    configured: Mapped[bool] = mapped_column(default=False)  # config_state, kept at each config write
    needs_deploy: Mapped[bool] = mapped_column(default=True)
    config_revision: Mapped[int] = mapped_column(default=1)
    deployment_id: Mapped[str | None]
    deployed_at: Mapped[datetime | None]
    deleting: Mapped[bool] = mapped_column(default=False)
    log_level: Mapped[str] = mapped_column(default="trace", server_default="trace")  # domain LogLevel: the least kept
    # Inputs and outputs of steps go when their execution ends.
    step_outputs_disabled: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # As the version says that its flows follow: the deployed one, before the first deploy the chosen one.
    endpoint_mode: Mapped[str] = mapped_column(default="flow_specific", server_default="flow_specific")
    # Made with the first version that is instance_specific.
    token: Mapped[str | None] = mapped_column(unique=True, index=True)


class ConfigValueRow(Base):
    """One set config value: `value` in clear, or `secret` (encrypted JSON) for secrets and connections."""

    __tablename__ = "config_values"
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any] | None]  # {"value": anything}
    secret: Mapped[bytes | None]
    updated_at: Mapped[datetime]


class ConfigDraftRow(Stamped, Base):
    """What somebody has begun to change on one page of the configuration."""

    __tablename__ = "config_drafts"
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"), primary_key=True)
    page: Mapped[int] = mapped_column(primary_key=True)  # counted from 0, of the version that is chosen
    values: Mapped[bytes]  # encrypted JSON: {key: value or null}


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


class InstanceFlowRow(Addressed, Stamped, Base):
    """A flow of an instance. It outlives versions: its URL follows the flow's key."""

    __tablename__ = "instance_flows"
    __table_args__ = (
        UniqueConstraint("instance_id", "key"),
        partial_index("ix_instance_flows_dirty", "id", where="schedule_dirty"),
        partial_index("ix_instance_flows_scheduled", "id", where="schedule IS NOT NULL"),
        partial_index("ix_instance_flows_failed", "instance_id", where="failed"),
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
    concurrency: Mapped[dict[str, Any] | None]  # domain/queues.settings_of as deployed; null: parallel
    queue_paused: Mapped[bool] = mapped_column(default=False)
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
