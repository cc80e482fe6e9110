"""Executions and what belongs to one: payload, tags, steps, logs, state, large values."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Stamped, partial_index


class ExecutionRow(Stamped, Base):
    __tablename__ = "executions"
    __table_args__ = (
        # Deduplication: one execution per key and flow; the key is released (set to null) after its window.
        UniqueConstraint("instance_flow_id", "dedupe_key"),
        # Upkeep: what was accepted and not handed over, and what is due for a look.
        partial_index("ix_executions_pending", "queued_at", where="handed_over_at IS NULL AND status = 'queued'"),
        partial_index("ix_executions_check", "check_after", where="check_after IS NOT NULL"),
        # How many of a flow are open, and whether a schedule's fire overlaps.
        partial_index("ix_executions_open", "instance_flow_id", where="ended_at IS NULL"),
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
