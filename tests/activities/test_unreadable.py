"""Secrets that cannot be decrypted end a step or an execution with a clear word; a missing key is waited for."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.deployments import secrets_context
from runtime.crypto import Keyring
from store.tables import DeploymentRow, ExecutionRow
from tests.activities.kit import Kit, definition, open_input, run_step_input
from tests.fixtures.temporal import KEYRING

LOST = Keyring([("lost", b"0" * 32)])
HIDDEN = {"secrets": {"token": "tok-123"}, "connections": {}}
ELSEWHERE = KEYRING.encrypt_json(HIDDEN, secrets_context("dep_of_another"))
GET = {"url": "https://shop.example.com"}


async def with_secrets(kit: Kit, secrets: bytes | None = None) -> ExecutionRow:
    """An execution whose deployment has these, by default under a key that is not on the ring."""
    made = await kit.made(definition({}))
    async with kit.database.transaction() as session:
        row = await session.get_one(DeploymentRow, made.deployment.id)
        row.secrets = secrets or LOST.encrypt_json(HIDDEN, secrets_context(row.id))
    return await kit.accepted(made)


async def opening_fails(kit: Kit, row: ExecutionRow) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await kit.executions.open_execution(open_input(row))
    return caught.value


async def test_step_whose_secrets_belong_elsewhere_fails_for_good(kit: Kit) -> None:
    row = await with_secrets(kit, ELSEWHERE)
    error = await kit.step_fails(run_step_input(row, "http.get", GET, tries=3))
    assert (error.type, error.non_retryable) == ("decryption_failed", True)
    record = await kit.step_row(row.id, "step")
    assert (record.error or {})["code"] == "decryption_failed"
    assert "tok-123" not in str(record.error)
    assert kit.http.sent == []


async def test_step_whose_key_is_missing_is_tried_again(kit: Kit) -> None:
    row = await with_secrets(kit)
    error = await kit.step_fails(run_step_input(row, "http.get", GET, tries=2))
    assert (error.type, error.non_retryable) == ("encryption_key_missing", False)
    assert "lost" in error.message


async def test_execution_whose_secrets_belong_elsewhere_fails_for_good(kit: Kit) -> None:
    error = await opening_fails(kit, await with_secrets(kit, ELSEWHERE))
    assert (error.type, error.non_retryable) == ("decryption_failed", True)


async def test_execution_whose_key_is_missing_waits_for_it(kit: Kit) -> None:
    error = await opening_fails(kit, await with_secrets(kit))
    assert (error.type, error.non_retryable) == ("encryption_key_missing", False)
