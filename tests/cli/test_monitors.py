"""`flowgraft monitors`, `alerts`, `alert-groups`, `maintenance` and `event-endpoints`."""

import time
from pathlib import Path

import pytest

from tests.cli.terminal import Cli, Json, Shop, fresh

HOOK = "http://127.0.0.1:9/hook"  # nobody listens there


def arrived(cli: Cli, alert_id: str) -> Json:
    """The alert, once its first attempt has been made."""
    deadline = time.monotonic() + 30
    while True:
        alert: Json = cli.json("alerts", "get", alert_id)
        if all(each["attempts"] for each in alert["deliveries"]):
            return alert
        assert time.monotonic() < deadline, alert
        time.sleep(0.2)


def test_monitor_is_made_found_changed_and_deleted(cli: Cli, shop: Shop) -> None:
    name = fresh("monitor")
    triggers = ("-t", "execution_failed", "-t", "execution_slow=60", "-t", "log_severity=error")
    told = ("--webhook", HOOK, "--header", "X-Key: k", "--template", '{"text": "$NAME"}', "--email", "ops@example.com")
    made = cli.json("monitors", "create", "-n", name, "-i", shop.id, *triggers, *told)
    assert [each["type"] for each in made["triggers"]] == ["execution_failed", "execution_slow", "log_severity"]
    assert (made["triggers"][1]["seconds"], made["triggers"][2]["severity"]) == (60, "error")
    webhook, email = made["notify"]
    assert (webhook["webhook"], webhook["header_names"], webhook["template"]) == (HOOK, ["X-Key"], '{"text": "$NAME"}')
    assert (webhook["secret"][:6], email["email"]) == ("whsec_", "ops@example.com")
    assert [each["id"] for each in cli.json("monitors", "list", "--name", name, "--enabled")] == [made["id"]]
    window = ("--maintenance-from", "2026-03-01T12:00:00Z", "--maintenance-to", "2026-03-01T13:00:00Z")
    changed = cli.json("monitors", "update", made["id"], "--disable", "-t", "queue_backlog=5", *window)
    assert (changed["enabled"], changed["triggers"][0]["waiting"]) == (False, 5)
    assert changed["maintenance"]["to"] == "2026-03-01T13:00:00.000000Z"
    assert cli.json("monitors", "get", made["id"]) == changed
    assert "is deleted" in cli("monitors", "delete", made["id"]).stderr
    cli("monitors", "get", made["id"], code=3)


def test_monitor_is_made_from_a_file(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text('{"text": "$ERROR"}')
    file = tmp_path / "monitor.yaml"
    file.write_text("name: From a file\ntriggers: [{type: execution_overdue, minutes: 30}]\n")
    name, flow_id = fresh("monitor"), shop.flow("greet")
    flags = ("-n", name, "--flow-id", flow_id, "--webhook", HOOK, "--template", f"@{template}")
    made = cli.json("monitors", "create", "-f", str(file), *flags)
    assert (made["name"], made["flow_id"], made["instance_id"]) == (name, flow_id, shop.id)
    assert (made["triggers"][0]["minutes"], made["notify"][0]["template"]) == (30, '{"text": "$ERROR"}')
    cli("monitors", "delete", made["id"])


@pytest.mark.parametrize("trigger", ["execution_failed=5", "nothing=5", "execution_slow=soon"])
def test_trigger_that_means_nothing_is_a_usage_error(cli: Cli, trigger: str) -> None:
    assert trigger in cli("monitors", "create", "-n", "x", "-t", trigger, code=2).stderr


def test_test_of_a_monitor_tells_what_has_arrived(cli: Cli, shop: Shop) -> None:
    group = cli.json("alert-groups", "create", "-n", fresh("group"), "--email", "ops@example.com")
    flags = ("-n", fresh("monitor"), "-i", shop.id, "-t", "execution_failed", "--webhook", HOOK, "--group", group["id"])
    made = cli.json("monitors", "create", *flags)
    printed = cli("monitors", "test", made["id"])
    assert {row.split()[1] for row in printed.stdout.splitlines()[1:]} == {"webhook", "email"}
    alert_id = printed.stderr.split()[-1]
    alert = arrived(cli, alert_id)
    by_kind = {each["kind"]: each for each in alert["deliveries"]}
    assert "smtp_not_configured" in by_kind["email"]["error"]
    assert by_kind["email"]["state"] == "failed"
    assert (by_kind["webhook"]["state"], by_kind["webhook"]["attempts"][0]["number"]) == ("pending", 1)
    assert "smtp_not_configured" in cli("alerts", "get", alert_id).stdout
    assert [each["id"] for each in cli.json("alerts", "list", made["id"])] == [alert_id]
    assert cli.json("monitors", "test", made["id"])["deliveries"][0]["is_test"] is True
    assert cli.json("monitors", "clear", made["id"])["triggered"] is False
    cli("monitors", "delete", made["id"])
    cli("alert-groups", "delete", group["id"])


def test_group_is_made_found_changed_and_deleted(cli: Cli) -> None:
    name = fresh("group")
    made = cli.json("alert-groups", "create", "-n", name, "--webhook", HOOK, "--header", "X-Key: k")
    assert (made["webhooks"][0]["webhook"], made["webhooks"][0]["header_names"]) == (HOOK, ["X-Key"])
    changed = cli.json("alert-groups", "update", made["id"], "-n", f"{name} b", "--email", "ops@example.com")
    assert (changed["name"], changed["emails"], len(changed["webhooks"])) == (f"{name} b", ["ops@example.com"], 1)
    assert cli.json("alert-groups", "get", made["id"]) == changed
    assert cli.json("alert-groups", "list", "--name", f"{name} b") == [changed]
    assert "is deleted" in cli("alert-groups", "delete", made["id"]).stderr


def test_maintenance_is_announced_and_called_off(cli: Cli, shop: Shop) -> None:
    flags = ("--from", "2026-03-01T22:00:00Z", "--to", "2026-03-02T02:00:00Z", "--note", "The ERP moves")
    made = cli.json("maintenance", "create", *flags, "-i", shop.id)
    assert (made["from"], made["instance_id"], made["note"]) == (
        "2026-03-01T22:00:00.000000Z",
        shop.id,
        "The ERP moves",
    )
    assert cli.json("maintenance", "get", made["id"]) == made
    assert made in cli.json("maintenance", "list")
    assert "is deleted" in cli("maintenance", "delete", made["id"]).stderr


def test_endpoint_is_made_found_changed_and_deleted(cli: Cli) -> None:
    name = fresh("endpoint")
    made = cli.json("event-endpoints", "create", HOOK, "-n", name, "-e", "instance.*", "--header", "X-Key: k")
    assert (made["url"], made["events"], made["header_names"], made["secret"][:6]) == (
        HOOK,
        ["instance.*"],
        ["X-Key"],
        "whsec_",
    )
    changed = cli.json("event-endpoints", "update", made["id"], "-e", "integration.*", "--disable", "-d", "For sales")
    assert (changed["events"], changed["enabled"], changed["description"]) == (["integration.*"], False, "For sales")
    moved = cli.json("event-endpoints", "update", made["id"], "--address", f"{HOOK}/2", "--enable")
    assert (moved["url"], moved["enabled"]) == (f"{HOOK}/2", True)
    assert cli.json("event-endpoints", "get", made["id"]) == moved
    assert name in [each["name"] for each in cli.json("event-endpoints", "list", "--all")]
    rotated = cli.json("event-endpoints", "rotate-secret", made["id"], "--overlap", "30m")
    assert rotated["secret"] not in (None, made["secret"])
    assert "is deleted" in cli("event-endpoints", "delete", made["id"]).stderr


def test_messages_of_an_endpoint_are_listed_and_sent_again(cli: Cli) -> None:
    url = "http://10.255.255.1/hook"  # out of reach, so that it fails at once
    made = cli.json("event-endpoints", "create", url, "-n", fresh("endpoint"), "-e", "integration.upgraded")
    sent = cli.json("event-endpoints", "test", made["id"])
    assert (sent["event"], sent["state"]) == ("endpoint.test", "pending")
    failed = wait_for_failure(cli, made["id"], 1)
    assert (failed["id"], failed["error"].partition(":")[0]) == (sent["id"], "egress_denied")
    again = cli.json("event-endpoints", "resend", sent["id"])
    assert (again["id"], again["state"]) == (sent["id"], "pending")
    assert [each["number"] for each in wait_for_failure(cli, made["id"], 2)["attempts"]] == [1, 2]
    assert cli.rows("event-endpoints", "deliveries", made["id"])[1][0] == sent["id"]
    cli("event-endpoints", "delete", made["id"])


def wait_for_failure(cli: Cli, endpoint_id: str, attempts: int) -> Json:
    deadline = time.monotonic() + 30
    while True:
        found = cli.json("event-endpoints", "deliveries", endpoint_id, "--state", "failed")
        if found and len(found[0]["attempts"]) == attempts:
            failed: Json = found[0]
            return failed
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def test_words_of_prismatic_reach_monitors_and_groups(cli: Cli) -> None:
    assert cli.json("alerts:monitors:list") == cli.json("monitors", "list")
    assert cli.json("alerts:groups:list") == cli.json("alert-groups", "list")
    assert cli.json("alerts:events:list", "mon_1") == cli.json("alerts", "list", "mon_1") == []
