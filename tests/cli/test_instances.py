"""`flowgraft instances`."""

import json
from pathlib import Path

import httpx2

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
    result = cli("instances", "deploy", own_shop.id, "-o", "json")
    deployed = json.loads(result.stdout)
    assert deployed["version"] == 1
    assert deployed["webhook_urls"] == {key: flow["webhook_url"] for key, flow in own_shop.flows.items()}
    assert "validating → switching → schedules" in result.stderr
    job = cli.json("jobs", "watch", deployed["job_id"], "--timeout", "30")
    assert [each["stage"] for each in job["stages"]] == ["validating", "switching", "schedules", "done"]


def test_deploy_that_is_waited_for_says_how_its_flows_ended(cli: Cli, own_shop: Shop) -> None:
    flow = "  - {key: setup, trigger: {type: deploy}, steps: [{key: no, stop: {fail: Not today}}]}\n"
    text = DEFINITION.replace("KEY", own_shop.integration["key"]) + flow
    cli.json("integrations", "import", "-f", "-", input=text)
    version = cli.json("integrations", "publish", own_shop.integration["id"])
    cli("instances", "update", own_shop.id, "-v", version["id"])
    result = cli("instances", "deploy", own_shop.id, "--wait", "--timeout", "30", "-o", "json")
    [outcome] = json.loads(result.stdout)["deploy_executions"]
    assert (outcome["flow"], outcome["status"], outcome["error"]["message"]) == ("setup", "failed", "Not today")
    assert "deploy_flows" in result.stderr
    assert cli.json("instances", "get", own_shop.id)["in_failed_state"] is True


def test_deploy_of_what_is_not_configured_names_the_keys(cli: Cli, shop: Shop) -> None:
    owner = ["-c", shop.customer["id"], "-i", shop.integration["id"], "-n", "Unconfigured"]
    made = cli.json("instances", "create", *owner)
    assert "/service" in cli("instances", "deploy", made["id"], code=1).stderr


def test_instance_is_paused_and_goes_on(cli: Cli, own_shop: Shop) -> None:
    paused = cli.json("instances", "pause", own_shop.id, "--mode", "drop", "--note", "Moving")
    assert (paused["enabled"], paused["pause_note"]) == (False, "Moving")
    assert cli.json("instances", "unpause", own_shop.id)["enabled"] is True
    assert cli.json("instances", "unpause", own_shop.id, "--keep", "all")["enabled"] is True
    assert cli.json("instances", "pause", own_shop.id, "--hold")["pause_mode"] == "hold"
    url = own_shop.flows["greet"]["webhook_url"]
    for number in range(3):
        assert httpx2.post(url, json={"id": number}, trust_env=False).status_code == 202
    assert cli.json("instances", "get", own_shop.id)["held_count"] == 3
    going = cli.json(
        "instances", "unpause", own_shop.id, "--rate", "50", "--keep", "latest", "--wait", "--timeout", "30"
    )
    assert (going["enabled"], going["held_count"], going["drain_job_id"]) == (True, 0, None)
    reasons = [each["reason"] for each in cli.json("executions", "list", "--instance-id", own_shop.id, "--all")]
    assert reasons.count("discarded") == 2
    actions = [event["action"] for event in cli.json("instances", "events", own_shop.id, "--all")]
    assert actions[:4] == ["instance.unpaused", "instance.paused"] * 2
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


def test_instance_is_suspended_and_resumed(cli: Cli, own_shop: Shop) -> None:
    suspended = cli.json("instances", "suspend", own_shop.id, "--note", "Floods")
    assert (suspended["suspended"], suspended["suspension_note"], suspended["enabled"]) == (True, "Floods", True)
    assert own_shop.id in [each["id"] for each in cli.json("instances", "list", "--suspended", "--all")]
    assert "suspended" in cli("instances", "deploy", own_shop.id, code=1).stderr
    assert cli.json("instances", "resume", own_shop.id)["suspended"] is False


def test_instance_is_deleted(cli: Cli, own_shop: Shop) -> None:
    assert "name" in cli("instances", "delete", own_shop.id, "--confirm-name", "Another", code=1).stderr
    words = ["instances", "delete", own_shop.id, "--confirm-name", own_shop.name, "--wait", "--timeout", "30"]
    result = cli(*words, "-o", "json")
    job = json.loads(result.stdout)
    assert (job["state"], job["stage"]) == ("succeeded", "done")
    assert (job["result"]["removed"]["instances"], job["result"]["removed"]["instance_flows"]) == (1, 3)
    assert "delete: running" in result.stderr
    cli("instances", "get", own_shop.id, code=3)
