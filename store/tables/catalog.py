"""Customers, integrations and their versions."""

from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Addressed, Base, Revised, Stamped


class CustomerRow(Revised, Base):
    __tablename__ = "customers"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    external_id: Mapped[str | None] = mapped_column(unique=True)
    description: Mapped[str | None]
    labels: Mapped[list[str]]
    show_all_instances: Mapped[bool] = mapped_column(default=False)
    max_running: Mapped[int | None]  # executions at once, in all its instances
    deleting: Mapped[bool] = mapped_column(default=False)


class IntegrationRow(Addressed, Revised, Base):
    __tablename__ = "integrations"
    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    description: Mapped[str | None]
    category: Mapped[str | None]
    labels: Mapped[list[str]]
    draft_text: Mapped[str]
    draft: Mapped[dict[str, Any]]  # the model, as read
    latest_number: Mapped[int] = mapped_column(default=0)
    # Made with the first version that is shared_instance; the newest such version says where requests name customers.
    token: Mapped[str | None] = mapped_column(unique=True, index=True)
    customer_path: Mapped[str | None]


class VersionRow(Stamped, Base):
    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("integration_id", "number"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integrations.id"))
    number: Mapped[int]
    comment: Mapped[str | None]
    attributes: Mapped[dict[str, Any] | None]  # commit_hash, external_version …
    principal: Mapped[str | None]  # who published it
    available: Mapped[bool] = mapped_column(default=True)
    text: Mapped[str]
    definition: Mapped[dict[str, Any]]
    revision: Mapped[int] = mapped_column(default=1)
