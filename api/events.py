"""Writing down who did what: never values, never secrets."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.outbox import note
from runtime.clock import utcnow
from runtime.ids import new_id
from store.tables import EventRow


def record(
    session: AsyncSession,
    principal: str,
    action: str,
    object_id: str,
    *,
    instance_id: str | None = None,
    customer_id: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """`action` is `noun.verbed`, such as `instance.deployed`; `details` names keys and ids only."""
    row = EventRow(
        id=new_id("evt"),
        at=utcnow(),
        principal=principal,
        action=action,
        object_id=object_id,
        instance_id=instance_id,
        customer_id=customer_id,
        details=details or {},
    )
    note(session, row)
