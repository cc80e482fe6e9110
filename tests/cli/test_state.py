"""`flowgraft state`."""

import pytest

from tests.cli.terminal import Cli, Shop


def test_state_of_a_flow_is_what_its_steps_have_kept(cli: Cli, own_shop: Shop) -> None:
    flow = own_shop.flows["greet"]["id"]
    cli.executed(flow)
    assert cli.json("state", "get", "seen", "--flow", flow) == 1
    cli("state", "set", "seen", "41", "--flow", flow)
    cli.executed(flow)
    [kept] = cli.json("state", "list", "--flow", flow)
    assert (kept["key"], kept["value"], kept["scope"]) == ("seen", 42, "flow")
    assert "seen is forgotten." in cli("state", "delete", "seen", "--flow", flow).stderr
    assert cli.json("state", "list", "--flow", flow) == []


@pytest.mark.parametrize("noun", ["instance", "integration", "execution"])
def test_state_of_others_is_set_read_and_cleared(cli: Cli, own_shop: Shop, noun: str) -> None:
    ids = {"instance": own_shop.id, "integration": own_shop.integration["id"]}
    if noun == "execution":
        ids["execution"] = cli.executed(own_shop.flows["greet"]["id"])["id"]
    whose = (f"--{noun}", ids[noun])
    for words, value in (
        (('{"page": 4}',), {"page": 4}),
        (("plain text",), "plain text"),
        (("--text", "17"), "17"),
        (("@-",), [1, 2]),
    ):
        printed = cli.json("state", "set", "a/b", *words, *whose, input="[1, 2]")
        assert (printed["value"], printed["owner_id"]) == (value, ids[noun])
        assert cli.json("state", "get", "a/b", *whose) == value
    assert cli.rows("state", "list", *whose)[1][0] == "a/b"
    assert "All of it is forgotten." in cli("state", "clear", *whose).stderr
    assert cli.json("state", "list", *whose) == []


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("get", "n", "--flow", "f", "--instance", "i"),
        ("set", "n", "--flow", "f"),
        ("set", "n", "1", "--text", "1", "--flow", "f"),
    ],
)
def test_what_is_not_said_is_a_usage_error(cli: Cli, words: tuple[str, ...]) -> None:
    cli("state", *words, code=2)
