"""Whether a delivery comes in, and whether it waits for the end of a pause."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.deliveries import ensure_invocable
from domain.pausing import PauseMode
from store.tables import InstanceRow


async def ensure_accepting(session: AsyncSession, instance: InstanceRow) -> bool:
    """True: it is to be held. Raises Conflict: `instance_not_deployed`, `instance_suspended`, `instance_paused`.

    Where it may be held the instance is locked, shared, until the transaction ends: who ends the pause or the drain
    waits for that, and so finds the delivery.
    """
    if not instance.enabled or instance.drain_job_id is not None:
        await session.refresh(instance, with_for_update={"read": True})
    ensure_invocable(
        enabled=instance.enabled or instance.pause_mode == PauseMode.HOLD,
        deployed=instance.deployment_id is not None,
        suspended=instance.suspended_at is not None,
    )
    return not instance.enabled or instance.drain_job_id is not None


def may_hold(instance: InstanceRow) -> bool:
    """Whether anything of the instance may be held: no other one has to be asked how much that is."""
    return not instance.enabled or instance.drain_job_id is not None or instance.suspended_at is not None
