"""`flowgraft executions replay` of many, `flowgraft replays`, and the preview of one."""

import pytest

from tests.cli.terminal import Cli, Json, Shop


@pytest.fixture
def failed(cli: Cli, own_shop: Shop) -> list[Json]:
    return [cli.executed(own_shop.flow("refuse"), code=4) for _ in range(2)]


def test_dry_run_counts_and_shows(cli: Cli, own_shop: Shop, failed: list[Json]) -> None:
    run = ("executions", "replay", "--unresolved", "--dry-run", "--instance-id", own_shop.id)
    printed = cli(*run)
    assert [row.split()[:2] for row in printed.stdout.splitlines()[1:]] == [[each["id"], "failed"] for each in failed]
    assert "2 would be replayed." in printed.stderr
    told = cli.json(*run)
    assert (told["matched"], len(told["sample"])) == (2, 2)
    assert cli.json("executions", "list", "--replay-of", failed[0]["id"]) == []


def test_many_are_replayed_watched_and_looked_into(cli: Cli, own_shop: Shop, failed: list[Json]) -> None:
    pace = ("--rate-per-second", "50", "--stop-at-failure-percent", "100", "--min-ended", "2")
    wanted = ("--status", "failed", "--instance-id", own_shop.id, "--version", "original", "--from-failed")
    begun = cli.json("executions", "replay", *wanted, *pace)
    assert (begun["matched"], begun["version"], begun["from"]) == (2, "original", "failed_step")
    assert (begun["filter"], begun["min_ended"]) == ({"instance_id": [own_shop.id], "status": ["failed"]}, 2)
    watched = cli("replays", "watch", begun["id"], "--timeout", "60", code=1)  # they fail again
    assert "replay: succeeded" in watched.stderr
    shown = cli.json("replays", "get", begun["id"])
    assert (shown["state"], shown["failed"], shown["started"]) == ("succeeded", 2, 2)
    items = cli.json("replays", "items", begun["id"], "--status", "failed")
    assert [item["execution_id"] for item in items] == [each["id"] for each in failed]
    assert cli.rows("replays", "items", begun["id"])[1][:2] == ["1", failed[0]["id"]]
    assert begun["id"] in [each["id"] for each in cli.json("replays", "list", "--state", "succeeded")]


def test_replay_is_paused_resumed_and_aborted(cli: Cli, own_shop: Shop, failed: list[Json]) -> None:
    begun = cli.json("executions", "replay", "--instance-id", own_shop.id, "--rate-per-second", "0.01")
    assert cli.json("replays", "pause", begun["id"])["state"] == "paused"
    assert cli.json("replays", "resume", begun["id"])["state"] == "running"
    assert cli.json("replays", "abort", begun["id"])["stage"] == "aborting"
    ended = cli.json("replays", "watch", begun["id"], "--timeout", "60", code=1)
    assert (ended["state"], ended["done"]) == ("aborted", 2)


def test_preview_says_what_would_run_again(cli: Cli, failed: list[Json]) -> None:
    path = ("executions", "replay", failed[0]["id"], "--preview")
    printed = cli(*path, "--from-failed")
    assert printed.stdout.splitlines()[1].split() == ["say", "say", "log.write", "kept", "false", "false", "1"]
    assert "On version 1; 0 of its steps reach the outside world." in printed.stderr
    assert cli.json(*path)["steps"][0]["runs"] == "again"
    assert cli.json("executions", "get", failed[0]["id"])["replays"] == []


@pytest.mark.parametrize("words", [(), ("exec_1", "--unresolved")])
def test_either_one_or_many(cli: Cli, words: tuple[str, ...]) -> None:
    assert "Say either" in cli("executions", "replay", *words, code=2).stderr
