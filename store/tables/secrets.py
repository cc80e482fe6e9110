"""Data keys: what the secrets of one owner are encrypted with."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base


class DataKeyRow(Base):
    """The owner's highest generation encrypts; an older one stays until no value is under it."""

    __tablename__ = "data_keys"
    __table_args__ = (UniqueConstraint("owner", "generation"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]  # a customer's id, `organization` or `keyed_hash`
    generation: Mapped[int]
    wrapped: Mapped[bytes]  # under a key of the ring
    wrapped_by: Mapped[str] = mapped_column(index=True)  # that key's id
    created_at: Mapped[datetime]
