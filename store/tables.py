"""All tables. Rows have no methods. Encrypted columns are bytes; this room has no key."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, MetaData, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.types import Json, UtcDateTime


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[Any]: Json,
        list[str]: Json,
        bytes: LargeBinary,
    }


class Stamped:
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Revised(Stamped):
    revision: Mapped[int] = mapped_column(default=1)  # the ETag: moved only by clients' writes


def _partial(name: str, column: str, *, where: str) -> Index:
    """An index of the few rows that are not settled."""
    return Index(name, column, postgresql_where=text(where), sqlite_where=text(where))


class CustomerRow(Revised, Base):
    __tablename__ = "customers"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    external_id: Mapped[str | None] = mapped_column(unique=True)
    description: Mapped[str | None]
    labels: Mapped[list[str]]
    show_all_instances: Mapped[bool] = mapped_column(default=False)
    deleting: Mapped[bool] = mapped_column(default=False)


class IntegrationRow(Revised, Base):
    __tablename__ = "integrations"
    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    description: Mapped[str | None]
    category: Mapped[str | None]
    labels: Mapped[list[str]]
    draft_text: Mapped[str]
    draft: Mapped[dict[str, Any]]  # the model, as read
    latest_number: Mapped[int] = mapped_column(default=0)


class VersionRow(Stamped, Base):
    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("integration_id", "number"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integrations.id"))
    number: Mapped[int]
    comment: Mapped[str | None]
    available: Mapped[bool] = mapped_column(default=True)
    text: Mapped[str]
    definition: Mapped[dict[str, Any]]
    revision: Mapped[int] = mapped_column(default=1)


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
        _partial("ix_instance_flows_dirty", "id", where="schedule_dirty"),
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


class ExecutionRow(Stamped, Base):
    __tablename__ = "executions"
    __table_args__ = (
        # Deduplication: one execution per key and flow; the key is released (set to null) after its window.
        UniqueConstraint("instance_flow_id", "dedupe_key"),
        # Upkeep: what was accepted and not handed over, and what is due for a look.
        _partial("ix_executions_pending", "queued_at", where="handed_over_at IS NULL AND status = 'queued'"),
        _partial("ix_executions_check", "check_after", where="check_after IS NOT NULL"),
        # How many of a flow are open, and whether a schedule's fire overlaps.
        _partial("ix_executions_open", "instance_flow_id", where="ended_at IS NULL"),
        Index("ix_executions_instance_id_id", "instance_id", "id"),
        Index("ix_executions_customer_id_id", "customer_id", "id"),
        Index("ix_executions_instance_flow_id_id", "instance_flow_id", "id"),
        Index("ix_executions_status_id", "status", "id"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    instance_flow_id: Mapped[str] = mapped_column(ForeignKey("instance_flows.id"))
    instance_id: Mapped[str]
    customer_id: Mapped[str]
    integration_id: Mapped[str]
    version_id: Mapped[str]
    # No foreign key to deployments and payloads: removing those rows would look through this whole table for each.
    deployment_id: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    trigger: Mapped[str]
    is_test: Mapped[bool] = mapped_column(default=False)
    replay_of: Mapped[str | None] = mapped_column(index=True)
    resume_from: Mapped[str | None]  # a replay from the failed step: whose outputs are kept
    payload_id: Mapped[str | None]
    payload_size: Mapped[int] = mapped_column(default=0)
    dedupe_key: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=1)
    retry: Mapped[dict[str, Any]]  # domain RetryRule
    next_attempt_at: Mapped[datetime | None]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]  # {code, message, step}
    tags: Mapped[dict[str, Any]]
    workflow_id: Mapped[str | None]
    run_id: Mapped[str | None]
    handed_over_at: Mapped[datetime | None]
    check_after: Mapped[datetime | None]  # null once terminal
    cancel_requested_at: Mapped[datetime | None]


class PayloadRow(Base):
    """What was received, byte for byte, encrypted. Replays share their original's."""

    __tablename__ = "payloads"
    id: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(index=True)
    head: Mapped[bytes]  # encrypted JSON: method, path, query, headers, content_type
    body: Mapped[bytes]  # encrypted
    created_at: Mapped[datetime]


class ExecutionTagRow(Base):
    __tablename__ = "execution_tags"
    __table_args__ = (Index("ix_execution_tags_key_value", "key", "value", "execution_id"),)
    execution_id: Mapped[str] = mapped_column(ForeignKey("executions.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class StepRow(Base):
    """The record of one step of one attempt: what makes a repeated activity harmless."""

    __tablename__ = "steps"
    execution_id: Mapped[str] = mapped_column(ForeignKey("executions.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    name: Mapped[str]
    component: Mapped[str]
    action: Mapped[str]
    position: Mapped[int]
    iteration: Mapped[list[Any]]
    status: Mapped[str]
    tries: Mapped[int] = mapped_column(default=1)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    inputs: Mapped[bytes | None]  # encrypted JSON, masked
    output: Mapped[bytes | None]  # encrypted JSON
    output_size: Mapped[int] = mapped_column(BigInteger, default=0)
    branch: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]  # domain Failure


class LogRow(Base):
    __tablename__ = "logs"
    __table_args__ = (
        Index("ix_logs_execution_id_id", "execution_id", "id"),
        Index("ix_logs_instance_id_id", "instance_id", "id"),
        Index("ix_logs_customer_id_id", "customer_id", "id"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    timestamp: Mapped[datetime]
    severity: Mapped[int]  # 0 trace … 5 fatal
    message: Mapped[str]
    type: Mapped[str]
    step: Mapped[str | None]
    attempt: Mapped[int | None]
    execution_id: Mapped[str | None]
    instance_flow_id: Mapped[str | None]
    instance_id: Mapped[str | None]
    customer_id: Mapped[str | None]


class StateRow(Base):
    """State of a flow or an instance, by scope and owner id."""

    __tablename__ = "state"
    scope: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"), index=True)
    value: Mapped[bytes | None]  # encrypted JSON; null = absent, the row is kept as the lock
    updated_at: Mapped[datetime]


class BlobRow(Base):
    """A large payload of Temporal's, encrypted by the codec."""

    __tablename__ = "blobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    workflow_id: Mapped[str] = mapped_column(index=True)
    data: Mapped[bytes]
    created_at: Mapped[datetime]


class ApiKeyRow(Stamped, Base):
    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class IdempotencyRow(Base):
    """`status` null: the first request is still under way."""

    __tablename__ = "idempotency"
    principal: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    status: Mapped[int | None]
    answer: Mapped[bytes | None]  # encrypted JSON: headers and body
    created_at: Mapped[datetime] = mapped_column(index=True)


class JobRow(Stamped, Base):
    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]  # deploy, delete, delete_customer
    object_id: Mapped[str] = mapped_column(index=True)
    principal: Mapped[str]
    state: Mapped[str]
    stage: Mapped[str | None]
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    handed_over_at: Mapped[datetime | None]


class EventRow(Base):
    """Who did what, to what: never values, never secrets."""

    __tablename__ = "events"
    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    principal: Mapped[str]
    action: Mapped[str]  # instance.created, instance.deployed …
    object_id: Mapped[str] = mapped_column(index=True)
    instance_id: Mapped[str | None] = mapped_column(index=True)
    customer_id: Mapped[str | None]
    details: Mapped[dict[str, Any]]
