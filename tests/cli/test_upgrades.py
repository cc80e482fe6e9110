"""`flowgraft versions diff`, `flowgraft integrations upgrade` and `flowgraft upgrades`."""

import csv
import io

import pytest

from tests.cli.terminal import DEFINITION, Cli, Json, Shop

NEXT = DEFINITION.replace("default: Hello", "default: Good day").replace("message: Refusing", 'message: "Not\\ntoday"')
NEXT += "  - {key: extra, name: Extra, trigger: {type: webhook}, steps: [{key: nap, sleep: 1s}]}\n"


@pytest.fixture
def newer(cli: Cli, own_shop: Shop) -> Json:
    """A second version of the shop's integration."""
    cli("integrations", "import", "-f", "-", input=NEXT.replace("KEY", own_shop.name))
    attributes = ("--attribute", "commit_hash=9f2c1e7", "-a", "build:=17")
    version: Json = cli.json("integrations", "publish", own_shop.integration["id"], "-c", "Politer", *attributes)
    return version


def test_publish_tells_where_it_comes_from(newer: Json) -> None:
    assert (newer["comment"], newer["attributes"]) == ("Politer", {"commit_hash": "9f2c1e7", "build": 17})


def test_diff_is_readable(cli: Cli, newer: Json) -> None:
    printed = cli("versions", "diff", newer["id"]).stdout.splitlines()
    assert printed == [
        "version 1 → version 2",
        "fields",
        "  ~ greeting",
        '    default: "Hello" → "Good day"',
        "flows",
        "  + extra (webhook)",
        "  ~ refuse",
        "    ~ step say",
        '      inputs.message: "Refusing" → "Not\\ntoday"',
    ]


def test_diff_against_another_version_and_for_programs(cli: Cli, own_shop: Shop, newer: Json) -> None:
    first = own_shop.version["id"]
    assert "  - extra (webhook)" in cli("versions", "diff", first, "--against", newer["id"]).stdout.splitlines()
    assert cli.json("versions", "diff", first, "--against", first)["identical"] is True
    assert "No difference." in cli("versions", "diff", first, "--against", first).stdout
    rows = list(csv.DictReader(io.StringIO(cli("versions", "diff", newer["id"], "-o", "csv").stdout)))
    assert [(row["change"], row["what"], row["key"], row["path"]) for row in rows] == [
        ("changed", "field", "greeting", "default"),
        ("added", "flow", "extra", ""),
        ("changed", "step of refuse", "say", "inputs.message"),
    ]
    assert (rows[0]["from"], rows[0]["to"]) == ("Hello", "Good day")


def test_dry_run_changes_nothing(cli: Cli, own_shop: Shop, newer: Json) -> None:
    run = ("integrations", "upgrade", own_shop.integration["id"], "--dry-run")
    preview = cli.json(*run)
    assert [(item["instance_id"], item["ok"], item["flows_added"]) for item in preview["items"]] == [
        (own_shop.id, True, ["extra"])
    ]
    printed = cli(*run)
    assert printed.stdout.splitlines()[1].split()[:4] == [own_shop.id, "1", "2", "true"]
    assert "0 of 1 would fail." in printed.stderr
    assert cli.json("instances", "get", own_shop.id)["version"]["number"] == 1


def test_dry_run_fails_when_some_would(cli: Cli, own_shop: Shop) -> None:
    text = NEXT.replace("KEY", own_shop.name).replace(
        "{key: limit, type: number, default: 10}", "{key: must, type: string}"
    )
    cli("integrations", "import", "-f", "-", input=text)
    cli("integrations", "publish", own_shop.integration["id"])
    printed = cli("integrations", "upgrade", own_shop.integration["id"], "--dry-run", code=1)
    assert "#/config/must" in printed.stdout
    assert "1 of 1 would fail." in printed.stderr


def test_upgrade_is_begun_watched_and_looked_into(cli: Cli, own_shop: Shop, newer: Json) -> None:
    ringed = ("--rings", "1,100%", "--watch-seconds", "0", "--stop-at-failure-percent", "50", "--min-executions", "3")
    begun = cli.json(
        "integrations", "upgrade", own_shop.integration["id"], "-v", newer["id"], "--instance", own_shop.id, *ringed
    )
    assert (begun["matched"], begun["rings"], begun["min_executions"]) == (1, [{"number": 1, "up_to": 1}], 3)
    watched = cli("upgrades", "watch", begun["id"], "--timeout", "60", "-o", "json")
    assert '"state": "succeeded"' in watched.stdout
    assert "upgrade: succeeded ring 1 of 1" in watched.stderr
    assert cli.json("upgrades", "get", begun["id"])["succeeded"] == 1
    listed = cli.json("upgrades", "list", "--integration-id", own_shop.integration["id"], "--state", "succeeded")
    assert [each["id"] for each in listed] == [begun["id"]]
    [item] = cli.json("upgrades", "items", begun["id"], "--status", "ok")
    assert (item["instance_id"], item["to"]["number"]) == (own_shop.id, 2)
    assert cli.rows("upgrades", "items", begun["id"])[1][:4] == ["1", own_shop.id, "1", "ok"]
    assert cli.json("instances", "get", own_shop.id)["deployed_version"] == 2
    done = cli.json("integrations", "upgrade", own_shop.integration["id"], "--wait", "--no-redeploy")
    assert (done["state"], done["skipped"], done["redeploy"]) == ("succeeded", 1, False)


def test_upgrade_is_paused_resumed_and_aborted(cli: Cli, own_shop: Shop, newer: Json) -> None:
    owner = ("-c", own_shop.customer["id"], "-i", own_shop.integration["id"], "-v", own_shop.version["id"])
    for number in range(2):
        cli("instances", "create", *owner, "-n", f"{own_shop.name} {number}", "--config", "service.token=t")
    begun = cli.json("integrations", "upgrade", own_shop.integration["id"], "--rate-per-second", "0.01")
    assert cli.json("upgrades", "pause", begun["id"])["state"] == "paused"
    assert cli.json("upgrades", "resume", begun["id"])["state"] == "running"
    assert cli.json("upgrades", "abort", begun["id"])["stage"] == "aborting"
    ended = cli.json("upgrades", "watch", begun["id"], "--timeout", "60", code=1)
    assert (ended["state"], ended["done"], ended["failed"]) == ("aborted", 3, 0)
    assert ended["succeeded"] < 3


@pytest.mark.parametrize("rings", ["many", "1,x%", "1,,100%"])
def test_rings_that_mean_nothing_are_a_usage_error(cli: Cli, shop: Shop, rings: str) -> None:
    printed = cli("integrations", "upgrade", shop.integration["id"], "--rings", rings, code=2)
    assert "is no ring" in printed.stderr
