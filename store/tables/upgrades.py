"""Bulk upgrades of instances to a version."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Stamped


class UpgradeRow(Stamped, Base):
    """What was asked for and how far it is; the job of the same id says the rest."""

    __tablename__ = "upgrades"
    id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integrations.id"), index=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    principal: Mapped[str]
    redeploy: Mapped[bool]
    rate_per_second: Mapped[float | None]
    rings: Mapped[list[Any]]  # as asked for: {"count"} or {"percent"}
    ring_ends: Mapped[list[Any]]  # the position of each ring's last item
    rings_passed: Mapped[int] = mapped_column(default=0)
    stop_at_failure_percent: Mapped[float | None]
    min_executions: Mapped[int]
    watch_seconds: Mapped[float]
    wish: Mapped[str]  # domain Wish
    observed: Mapped[dict[str, Any] | None]  # {ended, failed}: executions of the upgraded, as last counted
    stopped: Mapped[dict[str, Any] | None]  # domain Failure: why it is rolled back


class UpgradeItemRow(Base):
    """One instance, frozen when the upgrade was asked for. Positions count from 1, in the order of the rings."""

    __tablename__ = "upgrade_items"
    __table_args__ = (Index("ix_upgrade_items_upgrade_id_status", "upgrade_id", "status"),)
    upgrade_id: Mapped[str] = mapped_column(ForeignKey("upgrades.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(index=True)
    ring: Mapped[int]  # from 1; 0: skipped from the start
    status: Mapped[str]  # domain ItemStatus
    reason: Mapped[str | None]
    problems: Mapped[list[Any]]
    from_version_id: Mapped[str]
    from_deployed_version_id: Mapped[str | None]
    job_id: Mapped[str | None]  # of the deploy
    rollback_job_id: Mapped[str | None]
    deployment_id: Mapped[str | None]
    upgraded_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
