"""The order of a rotation of keys: its stages, and what follows after each batch."""

from dataclasses import replace

from domain.messages import Failure, JobEnd, RotateBatch, RotateInput

WRAPPED, FRESH, SCHEDULES, REPLACED = "data_keys", "new_data_keys", "schedules", "old_data_keys"
ROUNDS = 3


def stages(message: RotateInput, under_data_keys: list[str], under_the_ring: list[str]) -> list[str]:
    """Data keys first, so that what is written meanwhile is under the new ones; old ones go when all is done."""
    if message.customer_id is not None:
        return [FRESH, *under_data_keys, REPLACED]
    fresh = [FRESH] if message.data_keys else []
    return [WRAPPED, *fresh, *under_data_keys, *under_the_ring, SCHEDULES, REPLACED]


def advanced(state: RotateInput, batch: RotateBatch) -> RotateInput:
    """Values written under an old data key while its successor came are found by another round."""
    counted = replace(
        state,
        cursor=batch.cursor,
        done=state.done + batch.done,
        failed=state.failed + batch.failed,
        kept=state.kept + batch.kept,
    )
    if batch.cursor:
        return counted
    if state.at + 1 < len(state.stages) or not counted.kept or state.round == ROUNDS:
        return replace(counted, at=state.at + 1)
    return replace(counted, at=0, round=state.round + 1, failed=0, kept=0)


def ended(state: RotateInput) -> bool:
    return bool(state.stages) and state.at >= len(state.stages)


def outcome(state: RotateInput) -> JobEnd:
    """Failed when something is left to do, which the operator must look at; what was rewritten stays rewritten."""
    result = {"rewritten": state.done, "unreadable": state.failed, "old_data_keys_in_use": state.kept}
    if state.failed:
        message = f"{state.failed} values cannot be decrypted, see the workers' log; all others are rewritten."
        return JobEnd(state.job_id, "failed", Failure("values_unreadable", message), result)
    if state.kept:
        message = f"{state.kept} old data keys are still in use, and kept. Rotate again."
        return JobEnd(state.job_id, "failed", Failure("data_keys_in_use", message), result)
    return JobEnd(state.job_id, "succeeded", result=result)
