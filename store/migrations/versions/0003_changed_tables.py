"""changes of tables that were there"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index("ix_events_action_id", ["action", "id"], unique=False)
        batch_op.create_index("ix_events_customer_id_id", ["customer_id", "id"], unique=False)

    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("root_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("resolved_by", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("unique_key", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("queue_key", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("superseded_by", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("held", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("step_values_removed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_index(
            batch_op.f("ix_executions_pending"), sqlite_where=sa.text("handed_over_at IS NULL AND status = 'queued'")
        )
        batch_op.create_index(
            "ix_executions_held",
            ["instance_id", "id"],
            unique=False,
            postgresql_where=sa.text("held IS NOT NULL AND status = 'queued'"),
            sqlite_where=sa.text("held IS NOT NULL AND status = 'queued'"),
        )
        batch_op.create_index(
            "ix_executions_resuming",
            ["resume_from"],
            unique=False,
            postgresql_where=sa.text("resume_from IS NOT NULL AND ended_at IS NULL"),
            sqlite_where=sa.text("resume_from IS NOT NULL AND ended_at IS NULL"),
        )
        batch_op.create_index(
            "ix_executions_sharing",
            ["payload_id"],
            unique=False,
            postgresql_where=sa.text("replay_of IS NOT NULL"),
            sqlite_where=sa.text("replay_of IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_executions_started_at",
            ["started_at"],
            unique=False,
            postgresql_where=sa.text("started_at IS NOT NULL"),
            sqlite_where=sa.text("started_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_executions_step_values",
            ["ended_at", "id"],
            unique=False,
            postgresql_where=sa.text("ended_at IS NOT NULL AND step_values_removed_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NOT NULL AND step_values_removed_at IS NULL"),
        )
        batch_op.create_index(
            "ix_executions_superseded",
            ["superseded_by"],
            unique=False,
            postgresql_where=sa.text("superseded_by IS NOT NULL"),
            sqlite_where=sa.text("superseded_by IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_executions_tests",
            ["id"],
            unique=False,
            postgresql_where=sa.text("is_test"),
            sqlite_where=sa.text("is_test"),
        )
        batch_op.create_index(
            "ix_executions_unique",
            ["instance_flow_id", "unique_key", "id"],
            unique=False,
            postgresql_where=sa.text("unique_key IS NOT NULL"),
            sqlite_where=sa.text("unique_key IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_executions_unresolved",
            ["id", "customer_id", "instance_id", "instance_flow_id"],
            unique=False,
            postgresql_where=sa.text("status = 'failed' AND replay_of IS NULL AND resolved_at IS NULL"),
            sqlite_where=sa.text("status = 'failed' AND replay_of IS NULL AND resolved_at IS NULL"),
        )
        batch_op.create_index(
            "ix_executions_unstarted",
            ["queued_at"],
            unique=False,
            postgresql_where=sa.text(
                "handed_over_at IS NULL AND status = 'queued' AND held IS NULL AND queue_key IS NULL"
            ),
            sqlite_where=sa.text("handed_over_at IS NULL AND status = 'queued' AND held IS NULL AND queue_key IS NULL"),
        )
        batch_op.create_index("ix_executions_updated_at_id", ["updated_at", "id"], unique=False)
        batch_op.create_index(
            "ix_executions_waiting",
            ["instance_flow_id", "id"],
            unique=False,
            postgresql_where=sa.text(
                "queue_key IS NOT NULL AND handed_over_at IS NULL AND held IS NULL AND status = 'queued'"
            ),
            sqlite_where=sa.text(
                "queue_key IS NOT NULL AND handed_over_at IS NULL AND held IS NULL AND status = 'queued'"
            ),
        )

    with op.batch_alter_table("instance_flows", schema=None) as batch_op:
        batch_op.add_column(sa.Column("concurrency", JSON, nullable=True))
        batch_op.add_column(sa.Column("queue_paused", sa.Boolean(), nullable=False))
        batch_op.add_column(sa.Column("previous_token", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("previous_token_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_instance_flows_failed",
            ["instance_id"],
            unique=False,
            postgresql_where=sa.text("failed"),
            sqlite_where=sa.text("failed"),
        )
        batch_op.create_index(batch_op.f("ix_instance_flows_previous_token"), ["previous_token"], unique=True)
        batch_op.create_index(
            "ix_instance_flows_scheduled",
            ["id"],
            unique=False,
            postgresql_where=sa.text("schedule IS NOT NULL"),
            sqlite_where=sa.text("schedule IS NOT NULL"),
        )

    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pause_mode", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("hold_number", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("drain_job_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("suspension_note", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("log_level", sa.String(), server_default="trace", nullable=False))
        batch_op.add_column(
            sa.Column("step_outputs_disabled", sa.Boolean(), server_default=sa.text("(false)"), nullable=False)
        )
        batch_op.add_column(sa.Column("endpoint_mode", sa.String(), server_default="flow_specific", nullable=False))
        batch_op.add_column(sa.Column("token", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("previous_token", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("previous_token_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index("ix_instances_name_id", ["name", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_instances_previous_token"), ["previous_token"], unique=True)
        batch_op.create_index(batch_op.f("ix_instances_token"), ["token"], unique=True)
        batch_op.create_index(
            "ix_instances_unconfigured",
            ["id"],
            unique=False,
            postgresql_where=sa.text("NOT configured"),
            sqlite_where=sa.text("NOT configured"),
        )
        batch_op.create_index("ix_instances_updated_at_id", ["updated_at", "id"], unique=False)

    with op.batch_alter_table("integrations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("token", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("customer_path", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("previous_token", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("previous_token_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_integrations_previous_token"), ["previous_token"], unique=True)
        batch_op.create_index(batch_op.f("ix_integrations_token"), ["token"], unique=True)

    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stages", JSON, nullable=True))
        batch_op.add_column(sa.Column("input", JSON, nullable=True))

    with op.batch_alter_table("logs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_logs_errors",
            ["id"],
            unique=False,
            postgresql_where=sa.text("severity >= 4"),
            sqlite_where=sa.text("severity >= 4"),
        )
        batch_op.create_index(
            "ix_logs_others",
            ["id"],
            unique=False,
            postgresql_where=sa.text("type <> 'execution'"),
            sqlite_where=sa.text("type <> 'execution'"),
        )

    with op.batch_alter_table("state", schema=None) as batch_op:
        batch_op.add_column(sa.Column("execution_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("size", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("revision", sa.Integer(), server_default="0", nullable=False))
        batch_op.drop_index(batch_op.f("ix_state_instance_id"))
        batch_op.create_index(
            "ix_state_execution_id",
            ["execution_id"],
            unique=False,
            postgresql_where=sa.text("execution_id IS NOT NULL"),
            sqlite_where=sa.text("execution_id IS NOT NULL"),
        )
        batch_op.create_index("ix_state_instance_id_size", ["instance_id", "size"], unique=False)

    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attributes", JSON, nullable=True))
        batch_op.add_column(sa.Column("principal", sa.String(), nullable=True))
