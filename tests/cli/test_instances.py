"""`flowgraft instances`."""

from pathlib import Path

from tests.cli.conftest import make_shop
from tests.cli.terminal import DEFINITION, Cli, Shop


def test_instance_is_created_from_flags_and_a_file(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    file, secret = tmp_path / "values.yaml", tmp_path / "secret"
    file.write_text("greeting: Hi\nlimit: 3\n")
    secret.write_text("t0ken\n")
    owner = ["-c", shop.customer["id"], "-i", shop.integration["id"], "-n", "Second shop", "-v", shop.version["id"]]
    more = [
        "-d",
        "For tests",
        "-l",
        "Test",
        "-f",
        str(file),
        "--config",
        f"service.token=@{secret}",
        "--config",
        "limit:=4",
    ]
    made = cli.json("instances", "create", *owner, *more)
    assert (made["config_state"], made["labels"], made["description"]) == ("configured", ["test"], "For tests")
    values = {
        field["key"]: field["value"]
        for field in cli.json("instances", "config", "get", made["id"])["pages"][0]["fields"]
    }
    assert (values["greeting"], values["limit"]) == ("Hi", 4)

    changed = cli.json("instances", "update", made["id"], "-n", "Third shop", "-l", "x", "-v", shop.version["id"])
    assert (changed["name"], changed["labels"], changed["description"]) == ("Third shop", ["x"], "For tests")


def test_instances_are_shown(cli: Cli, shop: Shop) -> None:
    assert cli.json("instances", "get", shop.id)["customer"]["name"] == shop.name
    assert ["customer.name", shop.name] in cli.rows("instances", "get", shop.id)
    header, *rows = cli.rows("instances", "list", "--customer-id", shop.customer["id"])
    assert header[:4] == ["ID", "NAME", "CUSTOMER", "INTEGRATION"]
    assert shop.id in [row[0] for row in rows]


def test_instances_are_filtered(cli: Cli, shop: Shop) -> None:
    def found(*words: str) -> bool:
        return shop.id in [each["id"] for each in cli.json("instances", "list", "--q", shop.name, *words)]

    here = ["--integration-id", shop.integration["id"], "--version-id", shop.version["id"], "--enabled"]
    assert found(*here, "--config-state", "configured", "--no-in-failed-state")
    assert not found("--no-enabled")
    assert not found("--label", "none")
    assert not found("--description", "none")
    assert "config_state" in cli("instances", "list", "--config-state", "odd", code=1).stderr


def test_deploy_answers_with_the_webhooks(cli: Cli, own_shop: Shop) -> None:
    deployed = cli.json("instances", "deploy", own_shop.id, "--wait")
    assert deployed["version"] == 1
    assert deployed["webhook_urls"] == {key: flow["webhook_url"] for key, flow in own_shop.flows.items()}


def test_deploy_of_what_is_not_configured_names_the_keys(cli: Cli, shop: Shop) -> None:
    owner = ["-c", shop.customer["id"], "-i", shop.integration["id"], "-n", "Unconfigured"]
    made = cli.json("instances", "create", *owner)
    assert "/service" in cli("instances", "deploy", made["id"], code=1).stderr


def test_instance_is_paused_and_goes_on(cli: Cli, own_shop: Shop) -> None:
    paused = cli.json("instances", "pause", own_shop.id, "--mode", "drop", "--note", "Moving")
    assert (paused["enabled"], paused["pause_note"]) == (False, "Moving")
    assert cli.json("instances", "unpause", own_shop.id)["enabled"] is True
    assert cli.json("instances", "unpause", own_shop.id, "--keep", "all")["enabled"] is True
    actions = [event["action"] for event in cli.json("instances", "events", own_shop.id, "--all")]
    assert actions[:2] == ["instance.unpaused", "instance.paused"]
    assert cli.rows("instances", "events", own_shop.id)[0] == ["AT", "PRINCIPAL", "ACTION", "DETAILS"]


def test_endpoint_of_an_instance_is_shown_and_rotated(cli: Cli) -> None:
    shop = make_shop(cli, DEFINITION + "endpoint: {mode: instance_specific, flow: query.flow}\n")
    url = cli.json("instances", "get", shop.id)["endpoint"]["url"]
    assert {flow["webhook_url"] for flow in shop.flows.values()} == {url}
    assert ["endpoint.url", url] in cli.rows("instances", "get", shop.id)
    endpoint = cli.json("instances", "rotate-endpoint", shop.id, "--overlap", "1h")["endpoint"]
    assert endpoint["url"] != url
    assert endpoint["previous_url_until"] is not None
    assert cli.json("instances", "rotate-endpoint", shop.id)["endpoint"]["previous_url_until"] is None


def test_instance_is_deleted(cli: Cli, own_shop: Shop) -> None:
    assert "name" in cli("instances", "delete", own_shop.id, "--confirm-name", "Another", code=1).stderr
    result = cli("instances", "delete", own_shop.id, "--confirm-name", own_shop.name, "--wait", "--timeout", "30")
    assert "succeeded" in result.stdout
    assert "delete" in result.stderr
    cli("instances", "get", own_shop.id, code=3)
