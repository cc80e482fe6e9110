"""Connections that are read live: reusable ones, and what an instance's own connection field has besides its value."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base, Revised, partial_index


class ConnectionRow(Revised, Base):
    """A reusable connection has a name and an owner; an instance's own has its instance and the field's key."""

    __tablename__ = "connections"
    __table_args__ = (
        UniqueConstraint("owner", "name"),
        UniqueConstraint("instance_id", "key"),
        partial_index("ix_connections_failing", "id", where="status IN ('error', 'needs_reauth')"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str | None]
    owner: Mapped[str | None]  # a customer's id or `organization`; null for an instance's own
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"), index=True)  # null: the organisation's
    instance_id: Mapped[str | None] = mapped_column(ForeignKey("instances.id"))
    key: Mapped[str | None]
    values: Mapped[bytes | None]  # encrypted JSON: its inputs; null for an instance's own that deployments hold
    identity: Mapped[str | None]  # domain.oauth identity of the inputs that the tokens belong to
    status: Mapped[str]
    error: Mapped[str | None]
    tokens: Mapped[bytes | None]  # encrypted JSON: {access_token, refresh_token, token_type, scope}
    token_version: Mapped[int] = mapped_column(default=0)  # moved by every change of the tokens
    refused_version: Mapped[int | None]  # the tokens that a target refused right after they were renewed
    connected_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]  # of the access token, where the provider says
    refresh_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None]  # who renews the tokens right now
    lease_until: Mapped[datetime | None]


class ConnectionUseRow(Base):
    """A reusable connection that an instance's configuration names, or that its current deployment does."""

    __tablename__ = "connection_uses"
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)  # config, deployment
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), index=True)


class OAuthStateRow(Base):
    """One authorisation under way, for ten minutes: every token of it as its hash."""

    __tablename__ = "oauth_states"
    id: Mapped[str] = mapped_column(primary_key=True)  # hash of the start token
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), index=True)
    customer_id: Mapped[str | None]  # of the connection
    principal: Mapped[str]
    sealed: Mapped[bytes]  # encrypted JSON: {values, verifier}
    redirect_to: Mapped[str | None]
    state_hash: Mapped[str | None] = mapped_column(unique=True)  # set when a browser has begun
    browser_hash: Mapped[str | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
