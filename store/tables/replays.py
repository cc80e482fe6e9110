"""Replays of many executions."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Stamped


class ReplayRow(Stamped, Base):
    """What was asked for; the job of the same id says how far it is."""

    __tablename__ = "replays"
    id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    principal: Mapped[str]
    filter: Mapped[dict[str, Any]]  # as asked for
    original_version: Mapped[bool]
    from_failed_step: Mapped[bool]
    rate_per_second: Mapped[float]
    stop_at_failure_percent: Mapped[float | None]
    min_ended: Mapped[int]
    wish: Mapped[str]  # domain Wish


class ReplayItemRow(Base):
    """One execution, frozen when the replay was asked for. Positions count from 1: the customers take turns, each with
    its oldest first. No foreign keys to what it names: it says what was done, also when that is gone."""

    __tablename__ = "replay_items"
    __table_args__ = (Index("ix_replay_items_replay_id_status", "replay_id", "status", "position"),)
    replay_id: Mapped[str] = mapped_column(ForeignKey("replays.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    execution_id: Mapped[str] = mapped_column(index=True)
    instance_id: Mapped[str]
    customer_id: Mapped[str]
    status: Mapped[str]  # domain ItemStatus; of one that is `started`, its execution says more
    reason: Mapped[str | None]
    replayed_as: Mapped[str | None] = mapped_column(unique=True)  # the new execution's id
    updated_at: Mapped[datetime]
