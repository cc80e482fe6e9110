"""What all commands share: connection, requests on demand, pages, errors and exit codes."""

import json

import pytest

from tests.cli.terminal import Cli, Shop
from tests.fixtures.stack import ADMIN_KEY, Stack


@pytest.fixture(scope="module")
def three(product: Stack, shop: Shop) -> list[str]:
    """Ids of three customers that have a label of their own, newest first."""
    cli = Cli({"FLOWGRAFT_URL": product.url, "FLOWGRAFT_API_KEY": ADMIN_KEY})
    made = [cli.json("customers", "create", "-n", f"Page {number}", "-l", "paged")["id"] for number in range(3)]
    return made[::-1]


def ids(cli: Cli, *words: str) -> list[str]:
    return cli("customers", "list", "--label", "paged", "--columns", "id", "--no-header", *words).stdout.split()


def test_list_stops_at_its_limit_and_says_that_there_are_more(cli: Cli, three: list[str]) -> None:
    result = cli("customers", "list", "--label", "paged", "--limit", "2")
    assert len(result.stdout.splitlines()) == 3
    assert "--all" in result.stderr


def test_list_of_all_is_complete_and_says_nothing(cli: Cli, three: list[str]) -> None:
    assert ids(cli, "--all") == three
    assert ids(cli, "--limit", "3") == three
    assert cli("customers", "list", "--label", "paged", "--limit", "3").stderr == ""


def test_requests_are_shown_without_the_key(cli: Cli) -> None:
    result = cli("customers", "create", "-n", "Printed", "--print-requests", "-o", "json")
    assert json.loads(result.stdout)["name"] == "Printed"
    lines = result.stderr.splitlines()
    assert lines[0].startswith("> POST http://127.0.0.1:")
    assert lines[1] == "> Authorization: Bearer bootst…"
    assert lines[2].startswith("> application/json, ")
    assert lines[3].startswith("< 201 req_")
    assert ADMIN_KEY not in result.output


def test_error_is_told_with_every_cause_and_the_request_id(cli: Cli) -> None:
    result = cli("customers", "create", "-n", " ", "-l", "", code=1)
    lines = result.stderr.splitlines()
    assert lines[0] == "2 values are not acceptable."
    assert lines[1].startswith("- #/name: ")
    assert lines[2].startswith("- #/labels/0: ")
    assert lines[3].startswith("Request id: req_")
    assert result.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["customers", "get"],
        ["customers", "list", "--limit", "0"],
        ["customers", "list", "--output", "xml"],
        ["customers", "list", "--colour", "red"],
        ["customers", "delete", "cust_1"],
        ["flows", "list"],
        ["request", "GET", "v1/customers"],
    ],
)
def test_wrong_usage_has_its_own_exit_code(cli: Cli, words: list[str]) -> None:
    assert "Usage" in cli(*words, code=2).stderr


@pytest.mark.parametrize("noun", ["customers", "integrations", "versions", "instances", "flows", "executions", "jobs"])
def test_what_is_not_there_has_its_own_exit_code(cli: Cli, noun: str) -> None:
    assert "There is no such" in cli(noun, "get", "nothing", code=3).stderr


def test_id_cannot_reach_another_address(cli: Cli, shop: Shop) -> None:
    assert cli("customers", "get", f"x/../../instances/{shop.id}", code=3).stdout == ""


def test_key_without_the_scope_is_refused(cli: Cli) -> None:
    key = cli.json("api-keys", "create", "-n", "Reader", "-s", "read")["key"]
    reader = cli.with_environment(FLOWGRAFT_API_KEY=key)
    reader("customers", "list")
    assert "needs the scope write" in reader("customers", "create", "-n", "x", code=1).stderr


def test_server_that_is_away_is_named(away: Cli) -> None:
    nowhere = away.with_environment(FLOWGRAFT_URL="http://127.0.0.1:1", FLOWGRAFT_API_KEY="k")
    assert "http://127.0.0.1:1 cannot be reached" in nowhere("customers", "list", code=1).stderr
