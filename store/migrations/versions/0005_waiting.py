"""waiting

Executions that wait for a connection.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WAITING = sa.text("waiting_connection_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("executions", sa.Column("waiting_connection_id", sa.String(), nullable=True))
    op.create_index(
        "ix_executions_waiting_connection",
        "executions",
        ["waiting_connection_id", "id"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
