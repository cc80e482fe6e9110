"""parking

Executions that have failed for good and keep their place in a queue.
"""

import sqlalchemy as sa
from alembic import op

import store.types

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PARKED = sa.text("parked_until IS NOT NULL")


def upgrade() -> None:
    op.add_column("executions", sa.Column("parked_until", store.types.UtcDateTime(), nullable=True))
    op.create_index(
        "ix_executions_parked",
        "executions",
        ["instance_flow_id", "id"],
        postgresql_where=PARKED,
        sqlite_where=PARKED,
    )
