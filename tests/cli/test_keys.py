"""`flowgraft keys`."""

from tests.cli.terminal import Cli, Shop


def test_keys_are_listed(cli: Cli, shop: Shop) -> None:
    rows = cli.rows("keys", "list")
    assert rows[0][:6] == ["ID", "PRIMARY", "ON", "RING", "DATA", "KEYS"]
    [key] = cli.json("keys", "list")
    assert (key["id"], key["primary"], key["removable"]) == ("e2e", True, False)
    assert key["data_keys"] >= 2


def test_rotation_is_asked_for_and_waited_for(cli: Cli, own_shop: Shop) -> None:
    customer = own_shop.customer["id"]
    words = ["keys", "rotate", "--data-keys", "--customer", customer]
    plan = cli.json(*words, "--dry-run")
    assert plan["total"] >= 2
    assert ["total", str(plan["total"])] in cli.rows(*words, "--dry-run")
    job = cli.json(*words, "--wait", "--timeout", "60")
    assert (job["kind"], job["state"], job["object_id"]) == ("rotate_keys", "succeeded", customer)
    assert job["result"]["rewritten"] == plan["total"]
    cli.json("instances", "deploy", own_shop.instance["id"])


def test_rotation_that_is_not_waited_for_is_shown(cli: Cli) -> None:
    job = cli.json("keys", "rotate")
    assert job["kind"] == "rotate_keys"
    cli.json("jobs", "watch", job["id"], "--timeout", "60")
