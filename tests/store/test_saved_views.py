from store.engine import Database
from store.paging import Page
from store.saved_views import SavedViews
from store.tables import SavedViewRow
from tests.factories import NOW, saved


def view(name: str, resource: str = "instances") -> SavedViewRow:
    return SavedViewRow(
        id=f"view_{name}", name=name, resource=resource, query={"label": ["eu"]}, created_at=NOW, updated_at=NOW
    )


async def test_views_are_found_and_forgotten(database: Database) -> None:
    await saved(database, view("a"), view("b", "logs"), view("c"))
    async with database.transaction() as session:
        views = SavedViews(session)
        assert [row.name for row in await views.list([], [], Page(10))] == ["c", "b", "a"]
        assert [row.name for row in await views.list(["instances"], [], Page(10))] == ["c", "a"]
        assert [row.name for row in await views.list([], ["b"], Page(10))] == ["b"]
        found = await views.by_name("b")
        assert found is not None
        assert found.query == {"label": ["eu"]}
        await views.delete(found)
    async with database.snapshot() as session:
        assert await SavedViews(session).by_name("b") is None
