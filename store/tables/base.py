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


class Addressed:
    """What `/hooks/{token}` leads to. The token it had before leads to it until then."""

    previous_token: Mapped[str | None] = mapped_column(unique=True, index=True)
    previous_token_until: Mapped[datetime | None]


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows that are not settled."""
    return Index(name, *columns, postgresql_where=text(where), sqlite_where=text(where))
