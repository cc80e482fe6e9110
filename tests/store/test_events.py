from store.engine import Database
from store.events import EventFilter, Events
from store.logs import LogFilter, Logs
from store.paging import Page
from tests.factories import deployed, event


async def test_events_of_an_instance_newest_first(database: Database) -> None:
    async with database.transaction() as session:
        made, other = await deployed(session), await deployed(session)
        events = Events(session)
        for action in ("instance.created", "instance.deployed"):
            events.add(event(made.instance, action, details={"keys": ["region"]}))
        events.add(event(other.instance, "instance.created"))
        found = await events.list(EventFilter(instance_ids=[made.instance.id]), Page(limit=10))
        assert [row.action for row in found] == ["instance.deployed", "instance.created"]
        assert found[0].details == {"keys": ["region"]}


async def test_what_is_done_to_an_instance_stands_in_its_log(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        details = {"version": 3, "keys": ["a", "b"], "note": None}
        Events(session).add(event(made.instance, "instance.deployed", id="evt_1", details=details))
        Events(session).add(event(made.instance, "connection.needs_reauth"))
        Events(session).add(event(made.instance, "view.created", instance_id=None))
        await session.flush()
        [line] = await Logs(session).list(LogFilter(), Page(10))
    row = line.row
    assert (row.id, row.type, row.severity, row.instance_id) == ("log_1", "management", 2, made.instance.id)
    assert row.message == "Instance deployed by bootstrap (version: 3, keys: a, b)"
