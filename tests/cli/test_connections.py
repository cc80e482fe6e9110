"""`flowgraft connections` and `flowgraft instances connections`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import Cli, Shop, fresh
from tests.cli.test_main import command_line, environment
from tests.fixtures.oauth_server import CLIENT, SECRET, OAuthServer, threaded_oauth_server

BROWSER = f"{sys.executable} {Path(__file__).parent / 'browser.py'} %s"
DEFINITION = """\
schema: flowgraft/v1
key: KEY
name: OAuth KEY
config:
  - page: Connect
    fields:
      - key: shop
        type: connection
        connection: http/oauth2
        default: {authorize_url: "URL/authorize", token_url: "URL/token"}
flows:
  - key: f
    trigger: {type: webhook}
    steps: [{key: a, action: http.get, connection: shop, inputs: {url: "URL/api"}}]
"""


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with threaded_oauth_server() as server:
        yield server


@pytest.fixture
def instance(cli: Cli, provider: OAuthServer) -> str:
    """The id of an instance whose connection is not authorised yet."""
    name = fresh("oauth")
    text = DEFINITION.replace("KEY", name).replace("URL", provider.url)
    customer = cli.json("customers", "create", "--name", name)
    integration = cli.json("integrations", "import", "-f", "-", input=text)
    cli("integrations", "publish", integration["id"])
    config = ("--config", f"shop.client_id={CLIENT}", "--config", f"shop.client_secret={SECRET}")
    made = cli.json("instances", "create", "-c", customer["id"], "-i", integration["id"], "-n", name, *config)
    return str(made["id"])


@pytest.fixture
def made(cli: Cli, provider: OAuthServer) -> str:
    """The id of a reusable OAuth connection."""
    values = json.dumps(provider.values(revocation_url=f"{provider.url}/revoke"))
    words = ("connections", "create", "-n", fresh("shop"), "-k", "http/oauth2", "-f", "-")
    return str(cli.json(*words, input=values)["id"])


def with_browser(cli: Cli, *words: str) -> subprocess.CompletedProcess[bytes]:
    """A process whose browser is a program that agrees with everything."""
    variables = environment(cli) | {"BROWSER": BROWSER}
    return subprocess.run(command_line(*words, "-o", "json"), env=variables, capture_output=True, timeout=60)


def test_reusable_connection_lives_on_the_command_line(cli: Cli) -> None:
    name = fresh("ledger")
    made = cli.json("connections", "create", "-n", name, "-k", "http/basic", "username=ann", "password=pa55")
    assert (made["values"], made["status"], made["used_by"]) == ({"username": "ann"}, "active", 0)
    changed = cli.json("connections", "update", made["id"], "username=bob")
    assert changed["values"] == {"username": "bob"}
    assert cli.json("connections", "list", "--q", name)[0]["id"] == made["id"]
    assert cli.json("connections", "get", made["id"])["name"] == name
    assert cli.json("connections", "test", made["id"])["ok"] is True
    cli("connections", "delete", made["id"])
    assert cli("connections", "get", made["id"], code=3).stdout == ""


def test_connection_in_use_is_not_deleted(cli: Cli, own_shop: Shop) -> None:
    made = cli.json("connections", "create", "-n", fresh("shop"), "-k", "http/bearer", "token=t")
    cli("instances", "config", "set", own_shop.id, f"service.connection_id={made['id']}")
    assert "1 instance uses it" in cli("connections", "delete", made["id"], code=1).stderr
    (found,) = cli.json("instances", "connections", "list", own_shop.id)
    assert (found["key"], found["connection_id"]) == ("service", made["id"])


def test_connect_opens_the_browser_and_waits(cli: Cli, instance: str) -> None:
    ended = with_browser(cli, "instances", "connections", "connect", instance, "shop", "--timeout", "30")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["status"] == "active"
    cli("instances", "deploy", instance)
    assert cli.json("instances", "connections", "test", instance, "shop")["ok"] is True
    assert cli.json("instances", "connections", "disconnect", instance, "shop")["status"] == "pending"
    assert cli.json("instances", "connections", "test", instance, "shop", code=1)["ok"] is False


def test_connect_tells_what_the_provider_said(cli: Cli, instance: str, provider: OAuthServer) -> None:
    provider.deny = "access_denied"
    ended = with_browser(cli, "instances", "connections", "connect", instance, "shop", "--timeout", "30")
    assert (ended.returncode, b"access_denied" in ended.stderr) == (1, True)


def test_connect_without_a_browser_prints_the_address(cli: Cli, instance: str) -> None:
    words = ("instances", "connections", "connect", instance, "shop")
    printed = cli(*words, "--no-browser", "--timeout", "0", "-q", code=1)
    assert "/oauth/start/" in printed.stderr
    begun = cli.json(*words, "--no-wait")
    assert "/oauth/start/" in begun["authorize_url"]


def test_reusable_connection_is_connected_for_all(cli: Cli, made: str, provider: OAuthServer) -> None:
    words = ("connections", "connect", made)
    ended = with_browser(cli, *words, "--timeout", "30")
    assert json.loads(ended.stdout)["status"] == "active"
    assert cli.json("connections", "disconnect", made)["status"] == "pending"
    assert len(provider.revoked) == 1


@pytest.mark.parametrize("words", [("instances", "connections"), ("connections",)])
def test_tokens_are_imported(cli: Cli, request: pytest.FixtureRequest, words: tuple[str, ...]) -> None:
    at: tuple[Any, ...] = (request.getfixturevalue("made"),)
    if words[0] == "instances":
        at = (request.getfixturevalue("instance"), "shop")
    found = cli.json(*words, "import-tokens", *at, "access_token=a-secret", "expires_in:=3600")
    assert (found["status"], "a-secret" in str(found)) == ("active", False)


def test_tokens_are_read_from_standard_input(cli: Cli, instance: str, made: str) -> None:
    cli("instances", "connections", "import-tokens", instance, "shop", "access_token=@-", input="a-secret\n")
    found = cli.json("connections", "import-tokens", made, "access_token=@-", input="a-secret\n")
    assert found["status"] == "active"
