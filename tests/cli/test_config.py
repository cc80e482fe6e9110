"""`flowgraft instances config`."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import Cli, Shop, fresh
from tests.fixtures.stack import ADMIN_KEY, Stack

ALL_TYPES = """\
schema: flowgraft/v1
key: KEY
name: Types KEY
config:
  - page: First
    fields:
      - {key: limit, type: number, default: 10}
      - {key: loud, type: boolean, default: false}
      - {key: region, type: picklist, options: [eu, 1], default: eu}
      - {key: nightly, type: schedule, default: {type: none}}
      - {key: tags, type: string, collection: list, default: []}
      - {key: pin, type: string, secret: true, required: false}
  - page: Second
    fields:
      - {key: api, type: connection, connection: http/bearer}
      - {key: url, type: string, default: URL}
      - key: customer
        type: picklist
        required: false
        options_from:
          action: http.get
          connection: api
          inputs: {url: "{{ config.url }}/v1/customers"}
          items: body.data
          label: name
          value: id
      - {key: tenant, type: string, visible_to: embedded, required: false}
flows: [{key: f, trigger: {type: webhook}, steps: []}]
"""


def values(config: dict[str, Any]) -> dict[str, Any]:
    return {field["key"]: field["value"] for page in config["pages"] for field in page["fields"]}


@pytest.fixture
def typed(cli: Cli, product: Stack) -> str:
    """The id of an instance whose fields are of many types."""
    name = fresh("types")
    text = ALL_TYPES.replace("KEY", name).replace("URL", product.url)
    customer = cli.json("customers", "create", "--name", name)
    integration = cli.json("integrations", "import", "-f", "-", input=text)
    cli("integrations", "publish", integration["id"])
    made = cli.json("instances", "create", "-c", customer["id"], "-i", integration["id"], "-n", name)
    return str(made["id"])


def test_config_is_shown(cli: Cli, shop: Shop) -> None:
    result = cli("instances", "config", "get", shop.id)
    assert result.stdout.split()[:4] == ["PAGE", "KEY", "TYPE", "REQUIRED"]
    assert result.stderr == "configured\n"
    assert set(values(cli.json("instances", "config", "get", shop.id))) == {"service", "greeting", "limit", "pin"}


def test_config_is_shown_as_customers_see_it(cli: Cli, typed: str) -> None:
    assert "tenant" in values(cli.json("instances", "config", "get", typed))
    assert "tenant" not in values(cli.json("instances", "config", "get", typed, "--view", "customer"))


def test_config_is_changed_key_by_key(cli: Cli, own_shop: Shop) -> None:
    changed = values(cli.json("instances", "config", "set", own_shop.id, "greeting=Moin", "limit:=7"))
    assert (changed["greeting"], changed["limit"]) == ("Moin", 7)
    changed = values(cli.json("instances", "config", "set", own_shop.id, "greeting:=null"))
    assert (changed["greeting"], changed["limit"]) == (None, 7)  # the default


def test_values_are_of_their_fields_types(cli: Cli, typed: str) -> None:
    given = ("limit=7", "loud=true", "region=1", "nightly={type: day, at: '03:00'}", "tags=[a, b]", "pin=123")
    changed = values(cli.json("instances", "config", "set", typed, *given))
    assert (changed["limit"], changed["loud"], changed["region"], changed["tags"]) == (7, True, 1, ["a", "b"])
    assert changed["nightly"] == {"type": "day", "at": "03:00"}


def test_values_are_unset(cli: Cli, typed: str) -> None:
    cli("instances", "config", "set", typed, "limit=7", "loud=true", "region=1")
    changed = values(cli.json("instances", "config", "unset", typed, "limit", "loud"))
    assert (changed["limit"], changed["loud"], changed["region"]) == (None, None, 1)


def test_secret_comes_from_standard_input_and_never_back(cli: Cli, own_shop: Shop) -> None:
    result = cli("instances", "config", "set", own_shop.id, "pin=@-", "--print-requests", input="pin-of-the-test\n")
    assert "pin-of-the-test" not in result.output
    assert "pin" in cli("instances", "events", own_shop.id).stdout


def test_secrets_are_asked_for_and_never_shown(cli: Cli, own_shop: Shop) -> None:
    asked = ("--ask", "pin", "--ask", "service.token")
    words = ("instances", "config", "set", own_shop.id, "limit=3", *asked, "--print-requests")
    result = cli(*words, input="@pin-of-the-test\ntoken-of-the-test\n")
    assert "of-the-test" not in result.output
    config = cli.json("instances", "config", "get", own_shop.id)
    assert {field["key"]: field["is_set"] for page in config["pages"] for field in page["fields"]} == {
        "service": True,
        "greeting": False,
        "limit": True,
        "pin": True,
    }


def test_config_is_replaced_from_a_file(cli: Cli, own_shop: Shop, tmp_path: Path) -> None:
    cli("instances", "config", "set", own_shop.id, "limit:=7")
    file = tmp_path / "values.json"
    file.write_text('{"greeting": "Hi", "service": {"token": "t"}}')
    replaced = values(cli.json("instances", "config", "set", own_shop.id, "-f", str(file), "--replace"))
    assert (replaced["greeting"], replaced["limit"]) == ("Hi", None)


def test_wrong_values_are_named(cli: Cli, shop: Shop) -> None:
    result = cli("instances", "config", "set", shop.id, "limit=many", "unknown=1", code=1)
    assert "/limit: this must be a number" in result.stderr
    assert "/unknown: " in result.stderr


def test_nothing_to_set_is_a_usage_error(cli: Cli, shop: Shop) -> None:
    assert "Nothing to set" in cli("instances", "config", "set", shop.id, code=2).stderr


# Options


def test_options_are_listed(cli: Cli, typed: str) -> None:
    assert cli.rows("instances", "config", "options", typed, "region") == [["VALUE", "LABEL"], ["eu", "eu"], ["1", "1"]]


def test_options_are_listed_live(cli: Cli, typed: str) -> None:
    cli("instances", "config", "set", typed, f"api.token={ADMIN_KEY}")
    customers = cli.json("customers", "list", "--limit", "25")
    found = cli.json("instances", "config", "options", typed, "customer")
    assert found[:3] == [{"value": each["id"], "label": each["name"]} for each in customers][:3]


def test_options_that_cannot_be_listed_say_why(cli: Cli, typed: str) -> None:
    cli("instances", "config", "set", typed, "api.token=wrong")
    refused = cli("instances", "config", "options", typed, "customer", code=1)
    assert "#/config/customer: GET 127.0.0.1" in refused.stderr
    assert "answered 401" in refused.stderr


# Drafts


def test_drafts_are_kept_and_applied(cli: Cli, typed: str) -> None:
    words = ("instances", "config", "drafts")
    saved = cli(*words, "set", typed, "First", "limit=7", "--ask", "pin", input="pin-of-the-test\n")
    assert [line.split() for line in saved.stdout.splitlines()] == [
        ["PAGE", "KEY", "IS", "SET", "VALUE"],
        ["First", "limit", "true", "7"],
        ["First", "pin", "true"],
    ]
    assert "of-the-test" not in saved.output
    cli(*words, "set", typed, "1", "url=https://b.example.com")
    drafts = cli.json("instances", "config", "drafts", "list", typed)
    assert [(each["id"], each["name"]) for each in drafts] == [("0", "First"), ("1", "Second")]
    assert values(cli.json("instances", "config", "get", typed))["limit"] is None
    applied = values(cli.json("instances", "config", "drafts", "apply", typed))
    assert (applied["limit"], applied["url"]) == (7, "https://b.example.com")
    assert cli.json("instances", "config", "drafts", "list", typed) == []


def test_draft_is_discarded(cli: Cli, typed: str) -> None:
    cli("instances", "config", "drafts", "set", typed, "First", "limit=7")
    assert "discarded" in cli("instances", "config", "drafts", "discard", typed, "First").stderr
    cli("instances", "config", "drafts", "discard", typed, "First", code=3)


def test_draft_is_checked(cli: Cli, typed: str) -> None:
    refused = cli("instances", "config", "drafts", "set", typed, "First", "limit=many", code=1)
    assert "/limit: this must be a number" in refused.stderr
