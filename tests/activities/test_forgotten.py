"""A workflow that its worker forgets while it stands still: it must end in silence, not with a clock that is gone."""

import gc
from typing import Any

import pytest

from domain.executions import Status
from tests.activities.kit import Kit, definition, working
from tests.activities.test_reconcile import started, until

STILL: list[dict[str, Any]] = [{"key": "nap", "sleep": "1h"}, {"key": "answer", "wait": {"timeout": "1h"}}]


@pytest.mark.parametrize("step", STILL, ids=["sleep", "wait"])
async def test_forgotten_workflow_ends_in_silence(temporal_kit: Kit, step: dict[str, Any]) -> None:
    """What it would complain of is an unraisable exception, which fails a test here."""
    kit = temporal_kit
    made = await kit.made(definition({"steps": [step]}))
    async with working(kit):
        row = await started(kit, made)
        await until(kit, row.id, Status.RUNNING)
    await kit.temporal.get_workflow_handle(row.id).terminate()
    gc.collect()
