"""calls

Flows that call flows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CALLED = sa.text("invoked_by IS NOT NULL")


def upgrade() -> None:
    op.add_column("executions", sa.Column("invoked_by", sa.String(), nullable=True))
    op.add_column("executions", sa.Column("invoked_path", sa.String(), nullable=True))
    op.add_column("executions", sa.Column("call_depth", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("executions", sa.Column("is_awaited", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_executions_invoked_by",
        "executions",
        ["invoked_by", "id"],
        sqlite_where=CALLED,
        postgresql_where=CALLED,
    )
