"""Where log lines are sent on to, and how far each of these streams is."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Revised


class LogStreamRow(Revised, Base):
    __tablename__ = "log_streams"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    url: Mapped[str]
    headers: Mapped[bytes | None]  # encrypted JSON: {name: value}
    header_names: Mapped[list[str]]
    template: Mapped[str]
    severities: Mapped[list[str]]  # empty: all
    types: Mapped[list[str]]  # empty: all
    batch_size: Mapped[int]
    batch_format: Mapped[str]  # domain BatchFormat
    enabled: Mapped[bool]
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"), index=True)
    instance_id: Mapped[str | None] = mapped_column(ForeignKey("instances.id"), index=True)
    # Its delivery, moved by the worker alone.
    cursor: Mapped[str]  # every line whose id is not above it has been sent or is not wanted
    looked_at: Mapped[datetime | None]  # when a worker last looked whether there was something to send
    check_after: Mapped[datetime | None]  # then somebody looks whether a worker still does
    delivered: Mapped[int] = mapped_column(default=0)
    delivered_at: Mapped[datetime | None]
    refused: Mapped[int] = mapped_column(default=0)  # lines that the target will not have, not even alone
    failures: Mapped[int] = mapped_column(default=0)  # since the last success
    failing_since: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]  # {at, code, message}: the last one
