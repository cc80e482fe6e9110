"""What was used and whether the books balance, by hour and by day; and how the sweeps that look stand."""

from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, partial_index


class RemovedRow(Base):
    """Executions that are gone, counted in the transaction that removed them: by the hour of their acceptance
    (`accepted`), and by that of their end what they counted as."""

    __tablename__ = "removed_executions"
    customer_id: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)  # accepted, or a column of usage_hours
    count: Mapped[int]


class HourRow(Base):
    __tablename__ = "hours"
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    sampled_at: Mapped[datetime | None]  # when enabled instances were counted
    settled_at: Mapped[datetime | None]  # what was accepted in it is known for good


class UsageHourRow(Base):
    __tablename__ = "usage_hours"
    __table_args__ = (partial_index("ix_usage_hours_imbalance", "hour", where="imbalance <> 0"),)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(primary_key=True)
    accepted: Mapped[int | None]  # as it was when the hour was settled
    imbalance: Mapped[int] = mapped_column(default=0)  # when it was last looked at
    enabled_instances: Mapped[int] = mapped_column(default=0)
    # Executions that ended in it, tests apart, and the steps of both.
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    canceled: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    tests: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int] = mapped_column(default=0)


class UsageDayRow(Base):
    """The sum of the day's hours. It outlives its customer: there may be a last bill."""

    __tablename__ = "usage_days"
    day: Mapped[date] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(primary_key=True)
    enabled_instances: Mapped[float]  # on average over the hours in which they were counted
    succeeded: Mapped[int]
    failed: Mapped[int]
    canceled: Mapped[int]
    skipped: Mapped[int]
    tests: Mapped[int]
    steps: Mapped[int]
    updated_at: Mapped[datetime]


class SweepRow(Base):
    """Where a sweep goes on, and what its last run found."""

    __tablename__ = "sweeps"
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[str]
    ran_at: Mapped[datetime]
    report: Mapped[dict[str, Any]]
