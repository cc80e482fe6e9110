from store.engine import Database
from store.events import EventFilter, Events
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
