"""The other ways to write a command."""

import pytest

from cli.words import translated
from tests.cli.terminal import Cli, Shop


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("customers:list", "customers list"),
        ("flows:keys:create flow_1", "flows keys create flow_1"),
        ("instances:flow-configs:list inst_1", "flows list inst_1"),
        ("instances flow-configs test flow_1", "flows test flow_1"),
        ("instances:config-vars:list inst_1", "instances config get inst_1"),
        ("instances:enable inst_1", "instances unpause inst_1"),
        ("instances:disable inst_1", "instances pause inst_1"),
        ("integrations:available ver_1", "versions set-available ver_1"),
        ("integrations:validate-yaml -f x", "integrations validate -f x"),
        ("alerts:monitors:clear mon_1", "monitors clear mon_1"),
        ("alerts:groups:list", "alert-groups list"),
        ("alerts:events:list mon_1", "alerts list mon_1"),
        ("alerts:list", "alerts list"),
        ("api GET /v1/customers", "request GET /v1/customers"),
        ("api get /v1/customers", "request get /v1/customers"),
        ("api --port 8700", "api --port 8700"),
        ("api", "api"),
        ("customers list --q a:b", "customers list --q a:b"),
        ("logs search a:b:c", "logs search a:b:c"),
        ("", ""),
    ],
)
def test_words_mean(written: str, meant: str) -> None:
    assert translated(written.split()) == meant.split()


def test_words_of_prismatic_reach_the_command(cli: Cli, shop: Shop) -> None:
    assert cli.json("instances:flow-configs:list", shop.id) == cli.json("flows", "list", shop.id)


def test_word_that_is_unknown_is_a_usage_error(away: Cli) -> None:
    assert "No such command" in away("customers:dance", code=2).stderr
