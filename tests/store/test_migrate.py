"""The migrations make what store/tables/ says, on both dialects."""

import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from domain.errors import Unavailable
from store.engine import Database
from store.migrate import connect, current, ensure_current, head, upgrade
from store.tables import Base
from tests.fixtures.postgres import Cluster


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
        return
    with request.getfixturevalue("postgres_cluster").empty_database() as url:
        yield url


def test_schema_equals_tables(database_url: str) -> None:
    """But for the indexes that only PostgreSQL has, and the table that only SQLite has."""
    with connect(database_url) as connection:
        options = {"include_name": lambda name, kind, _: not re.search("_gin$|^logs_fts", name or "")}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    assert differences == []


def test_postgres_searches_text_by_trigrams(postgres_cluster: Cluster) -> None:
    with postgres_cluster.empty_database() as url:
        upgrade(url)
        with connect(url) as connection:
            query = "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%USING gin%'"
            found = set(connection.execute(text(query)).scalars())
    assert {"ix_instances_labels_gin", "ix_instances_name_gin", "ix_instances_description_gin"} <= found
    assert "ix_logs_message_gin" in found


def test_partial_indexes_equal_tables(database_url: str) -> None:
    """Alembic does not compare the condition of a partial index."""
    with connect(database_url) as connection:
        query = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'",
            "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '% WHERE %'",
        }[connection.dialect.name]
        partial = set(connection.execute(text(query)).scalars())
    declared = {
        index.name
        for table in Base.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["postgresql"]["where"] is not None
    }
    assert partial == declared


def test_upgrade_of_an_empty_database(empty_url: str) -> None:
    assert current(empty_url) is None
    upgrade(empty_url)
    assert current(empty_url) == head()


def test_upgrade_repeated(database_url: str) -> None:
    upgrade(database_url)
    assert current(database_url) == head()


def test_upgrade_by_two_at_once(empty_url: str) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(upgrade, [empty_url, empty_url]))
    assert current(empty_url) == head()


async def test_ensure_current_accepts_the_head(database: Database) -> None:
    await ensure_current(database)


async def test_ensure_current_names_the_remedy(empty_url: str) -> None:
    database = Database(empty_url)
    with pytest.raises(Unavailable, match="flowgraft db upgrade") as caught:
        await ensure_current(database)
    await database.dispose()
    assert caught.value.code == "schema_outdated"
