"""Keeping the targets of an owner, and their secrets."""

from datetime import timedelta

import pytest

from activities.targets import OwnedTargets, TargetSecrets, Wanted
from activities.vault import Vault, open_keyring
from domain.notifications import TargetKind
from domain.signatures import is_standard_secret
from runtime.clock import utcnow
from store.engine import Database
from store.tables import MonitorRow, TargetRow
from store.targets import Targets
from tests.activities.rotating import BOTH, K1, NEW, OLD, Rotation
from tests.factories import NOW, monitor, saved, target

HOOK, MAIL = "https://alerts.example.com/hook", "ops@example.com"
GIVEN = "whsec_" + "A" * 32


@pytest.fixture
async def owner(database: Database) -> MonitorRow:
    row = monitor()
    await saved(database, row)
    return row


async def put(database: Database, owner: MonitorRow, *wanted: Wanted, vault: Vault | None = None) -> dict[str, str]:
    async with database.transaction() as session:
        return await OwnedTargets(session, vault or Vault(OLD), "monitor", owner.id).replace(wanted)


async def rows(database: Database, owner: MonitorRow) -> list[TargetRow]:
    async with database.snapshot() as session:
        return (await Targets(session).of([owner.id])).get(owner.id, [])


async def secrets(database: Database, row: TargetRow, vault: Vault | None = None) -> tuple[str, dict[str, str]]:
    async with database.snapshot() as session:
        found = await TargetSecrets(vault or Vault(OLD)).read(session, row)
    assert found is not None
    return found.secret, found.headers


def hook(address: str = HOOK, template: str | None = None, **given: object) -> Wanted:
    return Wanted(TargetKind.WEBHOOK, address, template, **given)  # type: ignore[arg-type]


async def test_new_webhook_gets_a_secret_that_is_told_once(database: Database, owner: MonitorRow) -> None:
    shown = await put(database, owner, hook(), Wanted(TargetKind.EMAIL, MAIL))
    webhook, mail = await rows(database, owner)
    assert list(shown) == [webhook.id]
    assert is_standard_secret(shown[webhook.id])
    assert await secrets(database, webhook) == (shown[webhook.id], {})
    assert shown[webhook.id].encode() not in (webhook.sealed or b"")
    assert (mail.kind, mail.address, mail.sealed, mail.position) == ("email", MAIL, None, 1)
    assert await put(database, owner, hook(), Wanted(TargetKind.EMAIL, MAIL)) == {}


async def test_webhook_that_stays_keeps_what_is_not_given(database: Database, owner: MonitorRow) -> None:
    shown = await put(database, owner, hook(headers={"X-Key": "k"}, template="$NAME"))
    [before] = await rows(database, owner)
    await put(database, owner, Wanted(TargetKind.EMAIL, MAIL), hook())
    after = next(row for row in await rows(database, owner) if row.kind == "webhook")
    assert (after.id, after.position, after.template, after.header_names) == (before.id, 1, None, ["X-Key"])
    assert await secrets(database, after) == (shown[before.id], {"X-Key": "k"})
    await put(database, owner, hook(headers={}, secret=GIVEN))
    [last] = await rows(database, owner)
    assert await secrets(database, last) == (GIVEN, {})


async def test_webhook_of_another_address_is_another_one(database: Database, owner: MonitorRow) -> None:
    first = await put(database, owner, hook())
    second = await put(database, owner, hook(HOOK + "/2"))
    assert not first.keys() & second.keys()
    assert [row.id for row in await rows(database, owner)] == list(second)


async def test_putting_a_target_again_enables_it(database: Database, owner: MonitorRow) -> None:
    to = target(owner, kind="email", address=MAIL, failing_since=NOW, disabled_at=NOW, disabled_reason="failing")
    await saved(database, to)
    await put(database, owner, Wanted(TargetKind.EMAIL, MAIL))
    [row] = await rows(database, owner)
    assert (row.id, row.failing_since, row.disabled_at, row.disabled_reason) == (to.id, None, None, None)


async def test_rotation_of_a_secret_keeps_the_one_before_for_a_while(database: Database, owner: MonitorRow) -> None:
    shown = await put(database, owner, hook(headers={"X-Key": "k"}))
    async with database.transaction() as session:
        row = await session.get_one(TargetRow, next(iter(shown)))
        fresh = await OwnedTargets(session, Vault(OLD), "monitor", owner.id).rotate(row, timedelta(hours=1))
    [row] = await rows(database, owner)
    async with database.snapshot() as session:
        held = await TargetSecrets(Vault(OLD)).read(session, row)
    assert held is not None
    now = utcnow()
    assert held.secrets(now) == [fresh, shown[row.id]]
    assert held.secrets(now + timedelta(hours=2)) == [fresh]
    assert held.headers == {"X-Key": "k"}


async def test_secrets_survive_a_rotation_of_keys(database: Database, owner: MonitorRow) -> None:
    await open_keyring(database, [K1])
    shown = await put(database, owner, hook(headers={"X-Key": "k"}))
    rotation = Rotation(database, BOTH)
    await rotation.run(await rotation.plan(data_keys=True))
    [row] = await rows(database, owner)
    assert await secrets(database, row, Vault(NEW)) == (shown[row.id], {"X-Key": "k"})
