"""`flowgraft doctor`."""

import asyncio
import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from activities import reconcile, usage
from cli.doctor import compare_clocks
from cli.finding import State
from runtime.clock import utcnow
from store.engine import Database
from store.sweeps import Sweeps
from store.tables import UsageHourRow
from tests.cli.terminal import Cli
from tests.fixtures.stack import Stack

HOUR = datetime(2020, 1, 1, tzinfo=UTC)


def states(cli: Cli, code: int = 0) -> dict[str, str]:
    return {row["check"]: row["state"] for row in cli.json("doctor", code=code)}


@pytest.fixture
def installed(cli: Cli, product: Stack) -> Cli:
    """Where the settings of the product are, too."""
    return cli.with_environment(
        FLOWGRAFT_DATABASE_URL=product.database_url,
        FLOWGRAFT_ENCRYPTION_KEYS=f"e2e:{base64.b64encode(bytes(32)).decode()}",
        FLOWGRAFT_TEMPORAL_ADDRESS=product.temporal.address,
    )


def test_doctor_finds_a_server_well(cli: Cli) -> None:
    assert states(cli) == {
        "api": "ok",
        "server": "ok",
        "server database": "ok",
        "server temporal": "ok",
        "server schema": "ok",
        "server keys": "ok",
        "api key": "ok",
        "clock": "ok",
        "settings": "skipped",
    }
    assert cli.rows("doctor")[0] == ["CHECK", "STATE", "DETAIL"]


def test_doctor_finds_an_installation_well(installed: Cli) -> None:
    found = states(installed)
    assert {found.pop("reconciler"), found.pop("conservation")} <= {"ok", "skipped"}  # they run every few minutes
    assert {name: state for name, state in found.items() if state != "ok"} == {"fairness": "skipped"}
    assert {"settings", "encryption keys", "database", "data keys", "temporal", "search attributes", "worker"} <= set(
        found
    )


def test_doctor_says_which_key_is_missing(installed: Cli) -> None:
    other = installed.with_environment(FLOWGRAFT_ENCRYPTION_KEYS=f"k9:{base64.b64encode(b'9' * 32).decode()}")
    found = {row["check"]: row for row in other.json("doctor", code=1)}
    assert found["data keys"]["state"] == "failed"
    assert "lacks e2e (" in found["data keys"]["detail"]


def test_server_without_the_key_of_its_data_does_not_start(installed: Cli) -> None:
    other = installed.with_environment(FLOWGRAFT_ENCRYPTION_KEYS=f"k9:{base64.b64encode(b'9' * 32).decode()}")
    for serving in ("api", "worker"):
        assert "under the encryption key e2e, which is not on the keyring" in other(serving, code=2).stderr


def test_doctor_without_a_server_skips_it(away: Cli) -> None:
    assert states(away) == {"api": "skipped", "settings": "skipped"}


def test_doctor_says_what_is_away(away: Cli) -> None:
    nowhere = away.with_environment(FLOWGRAFT_URL="http://127.0.0.1:1", FLOWGRAFT_API_KEY="k")
    assert states(nowhere, code=1)["api"] == "failed"


def test_doctor_says_which_scope_a_key_has(cli: Cli) -> None:
    key = cli.json("api-keys", "create", "-n", "Patient", "-s", "read")["key"]
    result = cli.with_environment(FLOWGRAFT_API_KEY=key)("doctor")
    assert "the key has read" in result.stdout


def test_doctor_refuses_a_wrong_key(cli: Cli) -> None:
    assert states(cli.with_environment(FLOWGRAFT_API_KEY="wrong"), code=1)["api key"] == "failed"


def test_doctor_says_that_it_is_the_wrong_address(cli: Cli, product: Stack) -> None:
    assert states(cli.with_environment(FLOWGRAFT_URL=f"{product.url}/nowhere"), code=1)["api"] == "failed"


@pytest.mark.parametrize(
    ("seconds", "state", "says"),
    [(0, State.OK, "same"), (60, State.WARNING, "behind"), (-60, State.WARNING, "ahead of")],
)
def test_clock_is_compared(seconds: int, state: State, says: str) -> None:
    there = utcnow() + timedelta(seconds=seconds)
    finding = compare_clocks(httpx2.Response(200, headers={"date": http_date(there)}))
    assert finding.state is state
    assert says in finding.detail


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_clock_that_is_not_shown_is_not_compared(headers: dict[str, str]) -> None:
    assert compare_clocks(httpx2.Response(200, headers=headers)).state is State.SKIPPED


def http_date(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def test_installation_that_is_broken_is_explained(away: Cli, tmp_path: Path) -> None:
    broken = away.with_environment(
        FLOWGRAFT_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}",
        FLOWGRAFT_TEMPORAL_ADDRESS="127.0.0.1:1",
    )
    rows = {row["check"]: row for row in broken.json("doctor", code=1)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "api": "skipped",
        "settings": "ok",
        "encryption keys": "failed",
        "database": "failed",
        "temporal": "failed",
    }
    assert "flowgraft db upgrade" in rows["database"]["detail"]
    assert "127.0.0.1:1" in rows["temporal"]["detail"]


def test_settings_that_are_wrong_are_named(away: Cli) -> None:
    broken = away.with_environment(FLOWGRAFT_DATABASE_URL="mysql://x")
    result = broken("doctor", code=1)
    assert "FLOWGRAFT_DATABASE_URL" in result.stdout
    assert "settings" in result.stdout


def test_namespace_that_is_bare_lacks_what_the_worker_makes(away: Cli, product: Stack) -> None:
    elsewhere = away.with_environment(
        FLOWGRAFT_DATABASE_URL=product.database_url,
        FLOWGRAFT_TEMPORAL_ADDRESS=product.temporal.address,
        FLOWGRAFT_TASK_QUEUE="nobody-listens",
    )
    assert {row["check"]: row["state"] for row in elsewhere.json("doctor", code=1)}["worker"] == "warning"


async def test_doctor_says_what_the_sweeps_have_found(away: Cli, sqlite_database: Database) -> None:
    """An imbalance is a failure, what the reconciler has mended a warning, and so is one that does not run."""
    alone = away.with_environment(
        FLOWGRAFT_DATABASE_URL=sqlite_database.url,
        FLOWGRAFT_ENCRYPTION_KEYS=f"e2e:{base64.b64encode(bytes(32)).decode()}",
        FLOWGRAFT_TEMPORAL_ADDRESS="127.0.0.1:1",
    )

    async def found(differences: dict[str, int], *, failed: int = 0, ago: int = 0, imbalance: int = 0) -> list[str]:
        ran_at, report = utcnow() - timedelta(minutes=ago), {"differences": differences, "failed": failed}
        async with sqlite_database.transaction() as session:
            await Sweeps(session).note(reconcile.SWEEP, "", ran_at, report | {"looked_at": 7})
            await Sweeps(session).note(usage.SWEEP, "", ran_at, {"imbalance": imbalance})
            await session.merge(UsageHourRow(hour=HOUR, customer_id="cust_1", imbalance=imbalance))
        rows = {row["check"]: row for row in await asyncio.to_thread(alone.json, "doctor", code=1)}
        return [f"{rows[name]['state']}: {rows[name]['detail']}" for name in ("reconciler", "conservation")]

    well = await found({})
    assert re.fullmatch(r"ok: \d s ago, 7 workflows looked at, no difference", well[0])
    assert re.fullmatch(r"ok: The books balance, counted \d s ago", well[1])
    ill = await found({"missing_in_ledger": 2}, failed=1, imbalance=-3)
    assert ill[0].endswith("7 workflows looked at: 2 missing_in_ledger, 1 could not be mended")
    assert ill[1].startswith("failed: 3 too many or too few")
    assert (await found({}, ago=11))[0].startswith("warning: 660 s ago")
