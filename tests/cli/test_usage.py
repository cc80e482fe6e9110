"""`flowgraft usage` and `flowgraft conservation`."""

import csv
import io

from runtime.clock import utcnow
from store.engine import Database
from store.tables import UsageDayRow
from tests.cli.terminal import Cli, Shop
from tests.factories import saved
from tests.fixtures.stack import Stack


async def test_usage_is_printed_by_day(cli: Cli, own_shop: Shop, product: Stack) -> None:
    """A day that nobody counts: today's is the worker's, every five minutes."""
    counts = {"succeeded": 2, "failed": 1, "canceled": 0, "skipped": 0, "tests": 3, "steps": 9}
    day = utcnow().date().replace(year=2020, day=1)
    database = Database(product.database_url)
    row = UsageDayRow(
        day=day, customer_id=own_shop.customer["id"], enabled_instances=1.5, updated_at=utcnow(), **counts
    )
    await saved(database, row)
    await database.dispose()
    asked = ("--from", day.isoformat(), "--to", day.isoformat(), "--customer-id", own_shop.customer["id"])
    [printed] = cli.json("usage", *asked)
    assert (printed["enabled_instances"], printed["executions"]["succeeded"]) == (1.5, 2)
    [line] = csv.DictReader(io.StringIO(cli("usage", *asked, "-o", "csv").stdout))
    assert (line["customer.name"], line["executions.failed"], line["steps"]) == (own_shop.name, "1", "9")


def test_books_are_printed_by_hour(cli: Cli, own_shop: Shop) -> None:
    cli.executed(own_shop.flows["greet"]["id"])
    asked = ("conservation", "--customer-id", own_shop.customer["id"])
    found = cli.json(*asked)
    assert sum(each["accepted"] for each in found) == sum(each["ended"] for each in found) == 1
    assert cli.rows(*asked)[1][-5:] == ["1", "1", "0", "0", "0"]
    assert cli.json(*asked, "--unbalanced") == []
    assert "range" in cli(*asked, "--from", "2020-01-01T00:00:00Z", code=1).stderr
