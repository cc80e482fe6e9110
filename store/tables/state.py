"""State: values that outlive the step that wrote them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, partial_index


class StateValue:
    value: Mapped[bytes | None]  # encrypted JSON; null = absent, the row is kept as the lock
    size: Mapped[int] = mapped_column(default=0, server_default="0")  # bytes of key and value
    revision: Mapped[int] = mapped_column(default=0, server_default="0")  # moved by every write, of steps too
    updated_at: Mapped[datetime]


class StateRow(StateValue, Base):
    """State of an execution, a flow or an instance, by scope and owner id."""

    __tablename__ = "state"
    __table_args__ = (
        Index("ix_state_instance_id_size", "instance_id", "size"),
        partial_index("ix_state_execution_id", "execution_id", where="execution_id IS NOT NULL"),
    )
    scope: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"))
    execution_id: Mapped[str | None]  # of an execution's state: it goes with it


class IntegrationStateRow(StateValue, Base):
    """State that all instances of an integration share."""

    __tablename__ = "integration_state"
    owner_id: Mapped[str] = mapped_column(ForeignKey("integrations.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
