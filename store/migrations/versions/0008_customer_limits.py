"""customer limits

How many executions of a customer run at once.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

IN_SLOTS = sa.text("queue_key IS NOT NULL AND handed_over_at IS NOT NULL AND ended_at IS NULL")


def upgrade() -> None:
    op.add_column("customers", sa.Column("max_running", sa.Integer(), nullable=True))
    op.create_index(
        "ix_executions_in_slots",
        "executions",
        ["customer_id", "instance_flow_id"],
        postgresql_where=IN_SLOTS,
        sqlite_where=IN_SLOTS,
    )
