"""search

What only one of the databases has, and what the tables therefore do not say.

PostgreSQL: indexes that end in `_gin`. Text is searched by trigrams where the extension is there and this account may
add it; without them the same queries read every row.
SQLite: the trigrams of log messages in a full-text table, `logs_fts`, kept in line by triggers. Whoever ever copies the
table `logs` into another one makes them again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXTS = (("instances", "name"), ("instances", "description"))

# Which documents a trigram is in, and nothing else: what is found is compared with the message itself.
FULL_TEXT = """
CREATE VIRTUAL TABLE logs_fts USING fts5(message, content = '', tokenize = 'trigram', detail = 'none', columnsize = 0)
"""
KEPT_IN_LINE = (
    """
CREATE TRIGGER logs_fts_insert AFTER INSERT ON logs BEGIN
  INSERT INTO logs_fts (rowid, message) VALUES (new.rowid, new.message);
END
""",
    """
CREATE TRIGGER logs_fts_delete AFTER DELETE ON logs BEGIN
  INSERT INTO logs_fts (logs_fts, rowid, message) VALUES ('delete', old.rowid, old.message);
END
""",
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        _upgrade_postgres(connection)
    else:
        _upgrade_sqlite(connection)


def _upgrade_postgres(connection: sa.Connection) -> None:
    op.create_index("ix_instances_labels_gin", "instances", ["labels"], postgresql_using="gin")
    if not _has_trigrams(connection):
        return
    for table, column in TEXTS:
        op.create_index(
            f"ix_{table}_{column}_gin",
            table,
            [sa.text(f"{column} gin_trgm_ops")],
            postgresql_using="gin",
        )
    # Every execution writes lines: the index takes them up in passing, and a few at a time lest one of them waits long.
    op.create_index(
        "ix_logs_message_gin",
        "logs",
        [sa.text("message gin_trgm_ops")],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 512},
    )


def _has_trigrams(connection: sa.Connection) -> bool:
    """The extension is trusted: who may create in the database may add it, where the server has it at all."""
    available = "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'"
    if connection.execute(sa.text(available)).first() is None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    except DBAPIError:
        return False
    return True


def _upgrade_sqlite(connection: sa.Connection) -> None:
    """Where this SQLite has no such table, the same queries read every line."""
    try:
        connection.execute(sa.text(FULL_TEXT))
    except DBAPIError:
        return
    connection.execute(sa.text("INSERT INTO logs_fts (rowid, message) SELECT rowid, message FROM logs"))
    for trigger in KEPT_IN_LINE:
        connection.exec_driver_sql(trigger)
