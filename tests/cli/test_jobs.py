"""`flowgraft jobs`."""

from tests.cli.terminal import Cli, Shop


def test_job_is_watched_and_shown(cli: Cli, own_shop: Shop) -> None:
    job = cli.json("instances", "delete", own_shop.id, "--confirm-name", own_shop.name)["job_id"]
    watched = cli.json("jobs", "watch", job, "--timeout", "30")
    assert (watched["id"], watched["state"]) == (job, "succeeded")
    assert cli.json("jobs", "get", job) == watched
    assert ["state", "succeeded"] in cli.rows("jobs", "get", job)


def test_job_that_is_not_there_is_not_found(cli: Cli) -> None:
    cli("jobs", "watch", "job_nothing", code=3)
