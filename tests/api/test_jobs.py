import httpx2

from store.engine import Database
from tests import factories


async def test_job_is_read(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    row = factories.job(kind="deploy", state="failed", error={"code": "config_invalid", "message": "Two values"})
    async with sqlite_database.transaction() as session:
        session.add(row)
    job = (await client.get(f"/v1/jobs/{row.id}")).json()
    assert (job["id"], job["kind"], job["state"]) == (row.id, "deploy", "failed")
    assert job["error"] == {"code": "config_invalid", "message": "Two values"}
    assert (job["total"], job["done"], job["failed"], job["stage"], job["items_url"]) == (0, 0, 0, None, None)


async def test_job_that_is_absent(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/jobs/job_absent")).status_code == 404
