"""answers

What an execution came to, for who waits for it, where the values of steps are not to be kept.
"""

import sqlalchemy as sa
from alembic import op

import store.types

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ANSWERED = sa.text("answer_until IS NOT NULL")


def upgrade() -> None:
    op.add_column("executions", sa.Column("answer_until", store.types.UtcDateTime(), nullable=True))
    op.create_index(
        "ix_executions_answers",
        "executions",
        ["answer_until"],
        postgresql_where=ANSWERED,
        sqlite_where=ANSWERED,
    )
