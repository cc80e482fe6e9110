"""Keys, idempotency, jobs and events: what is nobody's data."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Revised, Stamped


class ApiKeyRow(Stamped, Base):
    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class IdempotencyRow(Base):
    """`status` null: the first request is still under way."""

    __tablename__ = "idempotency"
    principal: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    status: Mapped[int | None]
    answer: Mapped[bytes | None]  # encrypted JSON: headers and body
    created_at: Mapped[datetime] = mapped_column(index=True)


class JobRow(Stamped, Base):
    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]  # deploy, delete, delete_customer, drain …
    object_id: Mapped[str] = mapped_column(index=True)
    principal: Mapped[str]
    state: Mapped[str]
    stage: Mapped[str | None]
    stages: Mapped[list[Any] | None]  # [{stage, at}], as they were entered first
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    input: Mapped[dict[str, Any] | None]  # what it was asked for, where its object does not say it all
    error: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    handed_over_at: Mapped[datetime | None]


class EventRow(Base):
    """Who did what, to what: never values, never secrets."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_customer_id_id", "customer_id", "id"),
        Index("ix_events_action_id", "action", "id"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    principal: Mapped[str]
    action: Mapped[str]  # instance.created, instance.deployed …
    object_id: Mapped[str] = mapped_column(index=True)
    instance_id: Mapped[str | None] = mapped_column(index=True)
    customer_id: Mapped[str | None]
    details: Mapped[dict[str, Any]]


class SavedViewRow(Revised, Base):
    """A named set of a list's filters, for everybody of the organisation."""

    __tablename__ = "saved_views"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    resource: Mapped[str]
    query: Mapped[dict[str, Any]]  # parameter → list of texts, as the list's address takes them
