import base64
import json

import httpx2
import pytest


async def fill(client: httpx2.AsyncClient, count: int, **fields: object) -> list[str]:
    """Ids, newest first."""
    made = [await client.post("/v1/customers", json={"name": f"{n} {fields}"} | fields) for n in range(count)]
    return [response.json()["id"] for response in reversed(made)]


async def test_pages_join_without_gap_or_overlap(client: httpx2.AsyncClient) -> None:
    wanted = await fill(client, 7)
    seen: list[str] = []
    url = "/v1/customers?limit=3"
    while url:
        response = await client.get(url)
        page = response.json()
        assert set(page) == {"data", "next_cursor", "has_more"}
        assert page["has_more"] is (page["next_cursor"] is not None)
        assert ("next" in response.links) is page["has_more"]
        seen += [each["id"] for each in page["data"]]
        url = response.links.get("next", {}).get("url", "")
    assert seen == wanted


async def test_page_that_is_just_full_is_the_last(client: httpx2.AsyncClient) -> None:
    await fill(client, 3)
    page = (await client.get("/v1/customers?limit=3")).json()
    assert (len(page["data"]), page["has_more"], page["next_cursor"]) == (3, False, None)


async def test_empty_list(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/customers")).json() == {"data": [], "next_cursor": None, "has_more": False}


async def test_default_is_25(client: httpx2.AsyncClient) -> None:
    await fill(client, 26)
    page = (await client.get("/v1/customers")).json()
    assert (len(page["data"]), page["has_more"]) == (25, True)


async def test_what_is_new_does_not_shift_the_pages(client: httpx2.AsyncClient) -> None:
    wanted = await fill(client, 4)
    first = (await client.get("/v1/customers?limit=2")).json()
    await fill(client, 2, description="later")
    second = (await client.get(f"/v1/customers?limit=2&cursor={first['next_cursor']}")).json()
    assert [each["id"] for each in first["data"] + second["data"]] == wanted


async def test_page_size_may_change_on_the_way(client: httpx2.AsyncClient) -> None:
    wanted = await fill(client, 5)
    first = (await client.get("/v1/customers?limit=1")).json()
    rest = (await client.get(f"/v1/customers?limit=100&cursor={first['next_cursor']}")).json()
    assert [each["id"] for each in rest["data"]] == wanted[1:]


@pytest.mark.parametrize("path", ["/v1/customers?q=a", "/v1/customers?label=eu", "/v1/integrations", "/v1/logs"])
async def test_cursor_of_another_list(client: httpx2.AsyncClient, path: str) -> None:
    await fill(client, 2)
    cursor = (await client.get("/v1/customers?limit=1")).json()["next_cursor"]
    response = await client.get(path, params=dict(httpx2.URL(path).params) | {"cursor": cursor})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "ä",
        "%ff",
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b"7").decode(),
        base64.urlsafe_b64encode(b"null").decode(),
        base64.urlsafe_b64encode(b'{"a": 1, "b": 2}').decode(),
        base64.urlsafe_b64encode(b'["a"]').decode(),
        base64.urlsafe_b64encode(json.dumps(["0" * 16, "cust_1"]).encode()).decode(),
    ],
)
async def test_cursor_that_is_none(client: httpx2.AsyncClient, cursor: str) -> None:
    response = await client.get("/v1/customers", params={"cursor": cursor})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")


async def test_cursor_that_is_too_long(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/customers", params={"cursor": "W" * 5000})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "#/query/cursor")
