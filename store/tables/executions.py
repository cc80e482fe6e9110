"""Executions and what belongs to one: payload, tags, steps, logs, large values."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Stamped, partial_index


class ExecutionRow(Stamped, Base):
    __tablename__ = "executions"
    __table_args__ = (
        # Deduplication: one execution per key and flow; the key is released (set to null) after its window.
        UniqueConstraint("instance_flow_id", "dedupe_key"),
        # Upkeep: what was accepted and not handed over, and what is due for a look.
        partial_index(
            "ix_executions_unstarted",
            "queued_at",
            where="handed_over_at IS NULL AND status = 'queued' AND held IS NULL AND queue_key IS NULL",
        ),
        partial_index("ix_executions_check", "check_after", where="check_after IS NOT NULL"),
        # What waits for the end of a pause, in its order.
        partial_index("ix_executions_held", "instance_id", "id", where="held IS NOT NULL AND status = 'queued'"),
        # How many of a flow are open, and whether a schedule's fire overlaps.
        partial_index("ix_executions_open", "instance_flow_id", where="ended_at IS NULL"),
        Index("ix_executions_instance_id_id", "instance_id", "id"),
        Index("ix_executions_customer_id_id", "customer_id", "id"),
        Index("ix_executions_instance_flow_id_id", "instance_flow_id", "id"),
        Index("ix_executions_status_id", "status", "id"),
        partial_index("ix_executions_started_at", "started_at", where="started_at IS NOT NULL"),
        # What has changed of late, for those who watch.
        Index("ix_executions_updated_at_id", "updated_at", "id"),
        # What waits in a queue, in its order.
        partial_index(
            "ix_executions_waiting",
            "instance_flow_id",
            "id",
            where="queue_key IS NOT NULL AND handed_over_at IS NULL AND held IS NULL AND status = 'queued'",
        ),
        # What holds a slot, of its customer or of its flow's queue.
        partial_index(
            "ix_executions_in_slots",
            "customer_id",
            "instance_flow_id",
            where="queue_key IS NOT NULL AND handed_over_at IS NOT NULL AND ended_at IS NULL",
        ),
        # What keeps its place in a queue though it has failed.
        partial_index("ix_executions_parked", "instance_flow_id", "id", where="parked_until IS NOT NULL"),
        # What an execution has called.
        partial_index("ix_executions_invoked_by", "invoked_by", "id", where="invoked_by IS NOT NULL"),
        # What waits for a connection, in its order.
        partial_index(
            "ix_executions_waiting_connection",
            "waiting_connection_id",
            "id",
            where="waiting_connection_id IS NOT NULL",
        ),
        # What a newer delivery about the same thing makes needless, and what it has.
        partial_index("ix_executions_unique", "instance_flow_id", "unique_key", "id", where="unique_key IS NOT NULL"),
        partial_index("ix_executions_superseded", "superseded_by", where="superseded_by IS NOT NULL"),
        # Failed originals without a later success, by what people ask for them.
        partial_index(
            "ix_executions_unresolved",
            "id",
            "customer_id",
            "instance_id",
            "instance_flow_id",
            where="status = 'failed' AND replay_of IS NULL AND resolved_at IS NULL",
        ),
        # Who shares a payload, who needs another's outputs, and whose outputs are still there.
        partial_index("ix_executions_sharing", "payload_id", where="replay_of IS NOT NULL"),
        partial_index("ix_executions_resuming", "resume_from", where="resume_from IS NOT NULL AND ended_at IS NULL"),
        partial_index(
            "ix_executions_step_values",
            "ended_at",
            "id",
            where="ended_at IS NOT NULL AND step_values_removed_at IS NULL",
        ),
        partial_index("ix_executions_answers", "answer_until", where="answer_until IS NOT NULL"),
        # Whose log lines are a test's.
        partial_index("ix_executions_tests", "id", where="is_test"),
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
    root_id: Mapped[str | None]  # of a replay: what was replayed first, however many replays ago
    resolved_at: Mapped[datetime | None]  # a replay of it, or of a replay of it, has succeeded
    resolved_by: Mapped[str | None]  # that replay
    resume_from: Mapped[str | None]  # a replay from the failed step: whose outputs are kept
    payload_id: Mapped[str | None]
    payload_size: Mapped[int] = mapped_column(default=0)
    dedupe_key: Mapped[str | None]
    unique_key: Mapped[str | None]  # keyed hash of the retry's `unique_by`
    queue_key: Mapped[str | None]  # of one that needs a slot: keyed hash of what it keeps order with, or empty
    invoked_by: Mapped[str | None]  # the execution that has called it
    invoked_path: Mapped[str | None]  # by which of its steps
    call_depth: Mapped[int] = mapped_column(default=0, server_default="0")  # how many calls deep
    is_awaited: Mapped[bool] = mapped_column(default=False, server_default=false())  # its caller waits for its end
    waiting_connection_id: Mapped[str | None]  # it goes on once this connection works again
    superseded_by: Mapped[str | None]  # the newer execution that made its pending retry needless
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
    parked_until: Mapped[datetime | None]  # failed for good, it keeps its place in the queue until then
    held: Mapped[int | None]  # by a pause of its instance: the instance's hold_number then
    check_after: Mapped[datetime | None]  # null once terminal
    cancel_requested_at: Mapped[datetime | None]
    step_values_removed_at: Mapped[datetime | None]  # inputs and outputs of its steps are kept no longer
    answer_until: Mapped[datetime | None]  # of these values only what it came to is left, for who waits for it


class PayloadRow(Base):
    """What was received, byte for byte, encrypted, with the id of the execution. Replays share their original's."""

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
    """Migration 0003 adds what searches messages: trigrams on PostgreSQL, a full-text table and triggers on SQLite."""

    __tablename__ = "logs"
    __table_args__ = (
        Index("ix_logs_execution_id_id", "execution_id", "id"),
        Index("ix_logs_instance_id_id", "instance_id", "id"),
        Index("ix_logs_customer_id_id", "customer_id", "id"),
        # The few that people look for: store/logs.py says the same conditions.
        partial_index("ix_logs_errors", "id", where="severity >= 4"),
        partial_index("ix_logs_others", "id", where="type <> 'execution'"),
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


class CallbackRow(Base):
    """What an execution was called back with, once; without a body nobody may call any more."""

    __tablename__ = "callbacks"
    execution_id: Mapped[str] = mapped_column(ForeignKey("executions.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes | None]  # encrypted JSON: the root that the step has as its value
    created_at: Mapped[datetime]


class BlobRow(Base):
    """A large payload of Temporal's, encrypted by the codec."""

    __tablename__ = "blobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    workflow_id: Mapped[str] = mapped_column(index=True)
    data: Mapped[bytes]
    created_at: Mapped[datetime]
