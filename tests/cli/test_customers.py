"""`flowgraft customers`."""

from tests.cli.terminal import Cli, fresh


def test_customer_lives_and_dies(cli: Cli) -> None:
    name = fresh("Customer")
    more = ["-e", name.lower(), "-d", "Our first", "-l", "Beta", "-l", "eu", "--show-all-instances"]
    made = cli.json("customers", "create", "--name", name, *more)
    assert (made["labels"], made["show_all_instances"], made["description"]) == (["beta", "eu"], True, "Our first")
    assert cli.json("customers", "get", made["id"]) == made

    changed = cli.json("customers", "update", made["id"], "-l", "gone", "--no-show-all-instances")
    assert (changed["name"], changed["labels"], changed["show_all_instances"]) == (name, ["gone"], False)

    assert changed["max_running"] is None
    assert cli.json("customers", "update", made["id"], "--max-running", "5")["max_running"] == 5
    queue = {"limit": 5, "running": 0, "waiting": 0, "oldest_waiting_at": None}
    assert cli.json("customers", "queue", made["id"]) == queue
    assert cli.json("customers", "update", made["id"], "--max-running", "0")["max_running"] is None

    assert cli("customers", "delete", made["id"], "--confirm-name", "Another", code=1).stderr
    deleted = cli("customers", "delete", made["id"], "--confirm-name", name, "--wait", "--timeout", "30")
    assert "succeeded" in deleted.stdout
    cli("customers", "get", made["id"], code=3)


def test_customer_is_deleted_without_waiting(cli: Cli) -> None:
    made = cli.json("customers", "create", "--name", fresh("Brief"))
    deletion = cli.json("customers", "delete", made["id"], "--confirm-name", made["name"])
    assert (deletion["id"], deletion["state"]) == (made["id"], "deleting")
    assert deletion["job_id"].startswith("job_")


def test_customers_are_filtered(cli: Cli) -> None:
    name = fresh("Filtered")
    made = cli.json("customers", "create", "--name", name, "-e", f"{name}-id", "-l", "a", "-l", "b")
    for words in (["--q", name], ["--external-id", f"{name}-id", "--external-id", "x"], ["--label", "A"]):
        assert made["id"] in [each["id"] for each in cli.json("customers", "list", *words)]
    assert cli.json("customers", "list", "--q", name, "--label", "nobody-has-this") == []


def test_customers_are_a_table(cli: Cli) -> None:
    name = fresh("Tabled")
    made = cli.json("customers", "create", "--name", name)
    header, row = cli.rows("customers", "list", "--q", name)
    assert header[:4] == ["ID", "NAME", "EXTERNAL", "ID"]
    assert row[:2] == [made["id"], name]
