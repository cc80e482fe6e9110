"""`flowgraft api-keys`."""

from tests.cli.terminal import Cli


def test_key_is_made_once_and_deleted(cli: Cli) -> None:
    words = ["-n", "CI", "-s", "read", "-s", "execute", "--expires-at", "2100-01-01T00:00:00Z"]
    made = cli.json("api-keys", "create", *words)
    assert made["scopes"] == ["read", "execute"]
    listing = cli("api-keys", "list", "--all")
    assert listing.stdout.split()[:3] == ["ID", "NAME", "SCOPES"]
    assert made["id"] in listing.stdout
    assert made["key"] not in listing.stdout

    user = cli.with_environment(FLOWGRAFT_API_KEY=made["key"])
    user("customers", "list")
    assert made["id"] in cli("api-keys", "delete", made["id"]).stderr
    user("customers", "list", code=1)


def test_new_key_is_shown_in_the_table(cli: Cli) -> None:
    rows = dict(row for row in cli.rows("api-keys", "create", "-n", "Shown", "-s", "read") if len(row) == 2)
    assert rows["name"] == "Shown"
    assert len(rows["key"]) > 24
