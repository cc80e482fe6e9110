from store.engine import Database
from store.labels import Labels, LabelUse
from store.paging import Page
from tests.factories import customer, saved


async def test_labels_are_counted_in_alphabetical_order(database: Database) -> None:
    await saved(database, customer(labels=["eu", "vip"]), customer(labels=["eu"]), customer(labels=[]))
    async with database.snapshot() as session:
        labels = Labels(session)
        assert await labels.list("customers", "", Page(10)) == [LabelUse("eu", 2), LabelUse("vip", 1)]
        assert await labels.list("customers", "v", Page(10)) == [LabelUse("vip", 1)]
        assert await labels.list("customers", "", Page(10, after="eu")) == [LabelUse("vip", 1)]
        assert len(await labels.list("customers", "", Page(1))) == 2
        assert await labels.list("instances", "", Page(10)) == []


async def test_a_beginning_is_literal_text(database: Database) -> None:
    await saved(database, customer(labels=["50%", "50x"]))
    async with database.snapshot() as session:
        assert await Labels(session).list("customers", "50%", Page(10)) == [LabelUse("50%", 1)]
