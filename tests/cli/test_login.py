"""`flowgraft login`, `logout` and `profiles`."""

from pathlib import Path

import pytest

from tests.cli.terminal import Cli
from tests.fixtures.stack import ADMIN_KEY, Stack


@pytest.fixture
def home(away: Cli, product: Stack) -> Cli:
    """Logged in, without anything in the environment."""
    away("login", "--url", product.url, input=f"{ADMIN_KEY}\n")
    return away


def test_login_reads_the_key_and_is_used_from_then_on(home: Cli) -> None:
    home("customers", "list")
    assert ADMIN_KEY in Path(home.environment["FLOWGRAFT_CONFIG"]).read_text()


def test_login_takes_the_key_as_a_flag_under_another_name(home: Cli, product: Stack) -> None:
    home("login", "--profile", "other", "--url", product.url, "--api-key", ADMIN_KEY)
    assert home.rows("profiles", "list")[1:] == [
        ["default", product.url, "bootst…", "false"],
        ["other", product.url, "bootst…", "true"],
    ]


def test_login_again_needs_no_url(home: Cli) -> None:
    assert "Logged in" in home("login", input=f"{ADMIN_KEY}\n").stderr


def test_login_with_a_wrong_key_keeps_nothing(away: Cli, product: Stack) -> None:
    result = away("login", "--url", product.url, input="wrong-key\n", code=1)
    assert "unknown or has expired" in result.stderr
    assert not Path(away.environment["FLOWGRAFT_CONFIG"]).exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--url", "nowhere"], "not the address"), ([], "Which server"), (["-P", "a b", "--url", "http://x"], "name")],
)
def test_login_names_what_is_wrong(away: Cli, words: list[str], says: str) -> None:
    assert says in away("login", *words, input="key\n", code=2).stderr


def test_login_where_nothing_listens_says_so(away: Cli) -> None:
    assert "cannot be reached" in away("login", "--url", "http://127.0.0.1:1", input="key\n", code=1).stderr


def test_logout_forgets_the_key(home: Cli) -> None:
    home("logout")
    assert ADMIN_KEY not in Path(home.environment["FLOWGRAFT_CONFIG"]).read_text()
    assert "flowgraft login" in home("customers", "list", code=2).stderr
    assert "not logged in" in home("logout").stderr


def test_profiles_are_chosen_and_deleted(home: Cli, product: Stack) -> None:
    home("login", "-P", "other", "--url", product.url, input=ADMIN_KEY)
    home("profiles", "use", "default")
    assert [each["name"] for each in home.json("profiles", "list") if each["current"]] == ["default"]
    home("profiles", "delete", "default")
    assert [each["name"] for each in home.json("profiles", "list")] == ["other"]
    assert "No server is named" in home("customers", "list", code=2).stderr
    home("customers", "list", "--profile", "other")
    home.with_environment(FLOWGRAFT_PROFILE="other")("customers", "list")


@pytest.mark.parametrize("verb", ["use", "delete"])
def test_profiles_that_nobody_made_are_refused(home: Cli, verb: str) -> None:
    assert "There is no profile nobody" in home("profiles", verb, "nobody", code=2).stderr


def test_flag_beats_environment_beats_profile(home: Cli) -> None:
    wrong = home.with_environment(FLOWGRAFT_API_KEY="wrong-key-of-nobody")
    wrong("customers", "list", code=1)
    wrong("customers", "list", "--profile", "default")
    wrong("customers", "list", "--api-key", ADMIN_KEY)
