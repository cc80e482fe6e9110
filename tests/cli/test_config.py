"""`flowgraft instances config`."""

from pathlib import Path
from typing import Any

from tests.cli.terminal import Cli, Shop


def values(config: dict[str, Any]) -> dict[str, Any]:
    return {field["key"]: field["value"] for page in config["pages"] for field in page["fields"]}


def test_config_is_shown(cli: Cli, shop: Shop) -> None:
    result = cli("instances", "config", "get", shop.id)
    assert result.stdout.split()[:4] == ["PAGE", "KEY", "TYPE", "REQUIRED"]
    assert result.stderr == "configured\n"
    assert set(values(cli.json("instances", "config", "get", shop.id))) == {"service", "greeting", "limit", "pin"}


def test_config_is_changed_key_by_key(cli: Cli, own_shop: Shop) -> None:
    changed = values(cli.json("instances", "config", "set", own_shop.id, "greeting=Moin", "limit:=7"))
    assert (changed["greeting"], changed["limit"]) == ("Moin", 7)
    changed = values(cli.json("instances", "config", "set", own_shop.id, "greeting:=null"))
    assert (changed["greeting"], changed["limit"]) == (None, 7)  # the default


def test_secret_comes_from_standard_input_and_never_back(cli: Cli, own_shop: Shop) -> None:
    result = cli("instances", "config", "set", own_shop.id, "pin=@-", "--print-requests", input="pin-of-the-test\n")
    assert "pin-of-the-test" not in result.output
    assert "pin" in cli("instances", "events", own_shop.id).stdout


def test_config_is_replaced_from_a_file(cli: Cli, own_shop: Shop, tmp_path: Path) -> None:
    cli("instances", "config", "set", own_shop.id, "limit:=7")
    file = tmp_path / "values.json"
    file.write_text('{"greeting": "Hi", "service": {"token": "t"}}')
    replaced = values(cli.json("instances", "config", "set", own_shop.id, "-f", str(file), "--replace"))
    assert (replaced["greeting"], replaced["limit"]) == ("Hi", None)


def test_wrong_values_are_named(cli: Cli, shop: Shop) -> None:
    result = cli("instances", "config", "set", shop.id, "limit=many", "unknown=1", code=1)
    assert "/limit: " in result.stderr
    assert "/unknown: " in result.stderr


def test_nothing_to_set_is_a_usage_error(cli: Cli, shop: Shop) -> None:
    assert "Nothing to set" in cli("instances", "config", "set", shop.id, code=2).stderr
