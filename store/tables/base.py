"""What all tables share."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.types import Json, UtcDateTime


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[Any]: Json,
        list[str]: Json,
        bytes: LargeBinary,
    }


class Stamped:
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Revised(Stamped):
    revision: Mapped[int] = mapped_column(default=1)  # the ETag: moved only by clients' writes


def partial_index(name: str, column: str, *, where: str) -> Index:
    """An index of the few rows that are not settled."""
    return Index(name, column, postgresql_where=text(where), sqlite_where=text(where))
