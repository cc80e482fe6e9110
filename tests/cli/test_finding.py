"""`flowgraft views`, `labels`, `audit`, and the lists they help with."""

from tests.cli.terminal import Cli, fresh


def test_a_view_lives_and_filters(cli: Cli) -> None:
    name, other = fresh("View"), fresh("Other")
    made = cli.json("views", "create", "-n", name, "--filter", "label=none", "--filter", "label=at-all")
    assert (made["resource"], made["query"]) == ("instances", {"label": ["none", "at-all"]})
    assert cli.json("views", "get", made["id"]) == made
    assert cli.json("instances", "list", "--view", name) == []
    assert cli.json("views", "list", "--name", name) == [made]
    changed = cli.json("views", "update", made["id"], "-n", other, "--filter", "state=paused")
    assert (changed["name"], changed["query"]) == (other, {"state": ["paused"]})
    assert "no view" in cli("instances", "list", "--view", name, code=2).stderr
    assert made["id"] in cli("views", "delete", made["id"]).stderr
    cli("views", "get", made["id"], code=3)


def test_labels_and_audit_are_listed(cli: Cli) -> None:
    label = fresh("label").lower()
    made = cli.json("customers", "create", "--name", fresh("Labelled"), "-l", label)
    assert cli.json("labels", "list", "--resource", "customers", "--q", label) == [{"label": label, "count": 1}]
    trail = cli.json("audit", "list", "--customer-id", made["id"], "--action", "customer")
    assert [each["action"] for each in trail] == ["customer.created"]


def test_instances_are_sorted(cli: Cli) -> None:
    names = [each["name"] for each in cli.json("instances", "list", "--sort", "name", "--all")]
    assert names == sorted(names)
