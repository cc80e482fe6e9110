import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.oauth.router import COOKIE_SECONDS
from api.resources import Resources
from runtime.clock import utcnow
from store.tables import OAuthStateRow
from tests.api.connecting import Browser, connect, make_oauth_instance
from tests.api.setup import Json, read
from tests.fixtures.oauth_server import OAuthServer, running_oauth_server


@pytest.fixture
async def server() -> AsyncIterator[OAuthServer]:
    async with running_oauth_server() as server:
        yield server


@pytest.fixture
def browser(client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer) -> Browser:
    """Of the application that `client` has started."""
    return Browser(app, server)


@pytest.fixture
async def instance(client: httpx2.AsyncClient, server: OAuthServer) -> Json:
    return await make_oauth_instance(client, server)


def path(instance: Json) -> str:
    return f"/v1/instances/{instance['id']}/connections/shop"


async def shop(client: httpx2.AsyncClient, instance: Json) -> Json:
    found: Json = (await read(client, f"/v1/instances/{instance['id']}/connections"))["data"][0]
    return found


async def begin(client: httpx2.AsyncClient, instance: Json, **body: str) -> str:
    answer = await client.post(f"{path(instance)}/authorize", json=body)
    assert answer.status_code == 200, answer.text
    address: str = answer.json()["authorize_url"]
    return address


def stored(sqlite_url: str) -> bytes:
    file = Path(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    return b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*"))


def refused(response: httpx2.Response) -> bool:
    return (response.status_code, response.json()["code"]) == (400, "oauth_state_invalid")


async def test_browser_authorises_a_connection(
    client: httpx2.AsyncClient, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    assert (await shop(client, instance))["status"] == "pending"
    page = await connect(client, browser, path(instance))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "shop is connected" in page.text
    assert "secret" not in page.text
    found = await shop(client, instance)
    assert (found["status"], found["error"], found["connection_id"]) == ("active", None, None)
    assert found["connected_at"] < found["expires_at"]
    assert server.calls == ["authorization_code"]
    events = (await read(client, f"/v1/instances/{instance['id']}/events"))["data"]
    assert [event["action"] for event in events][:2] == ["connection.connected", "connection.authorization_begun"]


async def test_provider_is_asked_with_state_and_pkce(
    client: httpx2.AsyncClient, browser: Browser, instance: Json
) -> None:
    begun = await client.post(f"{path(instance)}/authorize")
    address = begun.json()["authorize_url"]
    assert address.startswith("http://127.0.0.1:8700/oauth/start/")
    start = await browser.open(address)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(start.headers["location"]).query).items()}
    assert (asked["client_id"], asked["response_type"], asked["scope"]) == ("client-1", "code", "orders")
    assert (asked["redirect_uri"], asked["code_challenge_method"]) == ("http://127.0.0.1:8700/oauth/callback", "S256")
    assert min(len(asked["state"]), len(asked["code_challenge"])) >= 43
    assert "client-secret" not in start.headers["location"]
    cookie = start.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={COOKIE_SECONDS}"} <= set(cookie.split("; "))
    assert asked["state"] not in cookie
    assert start.headers["referrer-policy"] == "no-referrer"


async def test_browser_goes_back_where_it_was_told(
    client: httpx2.AsyncClient, browser: Browser, instance: Json
) -> None:
    wanted = "https://app.example.com/settings?tab=shop"
    back = await connect(client, browser, path(instance), redirect_to=wanted)
    assert (back.status_code, back.headers["location"]) == (302, wanted)


@pytest.mark.parametrize("odd", ["https://evil.example/", "//app.example.com", "javascript:alert(1)", "/settings"])
async def test_browser_goes_back_to_allowed_origins_only(client: httpx2.AsyncClient, instance: Json, odd: str) -> None:
    answer = await client.post(f"{path(instance)}/authorize", json={"redirect_to": odd})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/redirect_to")


async def test_start_is_for_one_browser_once(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    address = await begin(client, instance)
    assert (await browser.open(address)).status_code == 302
    assert refused(await browser.open(address))
    assert refused(await Browser(app, server).open(address))
    assert refused(await browser.open("/oauth/start/unknown"))
    assert refused(await browser.open("/oauth/start/" + "a" * 43))


async def test_another_browser_cannot_end_what_this_one_began(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    """Login CSRF: the attacker's own code, in the victim's browser."""
    start = await browser.open(await begin(client, instance))
    back = await browser.at_provider(start.headers["location"])
    victim = Browser(app, server)
    await victim.open(await begin(client, instance))  # it has a cookie, of another authorisation
    assert refused(await victim.open(back))
    assert server.calls == []
    assert (await browser.open(back)).status_code == 200


async def test_state_is_for_one_time(
    client: httpx2.AsyncClient, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    start = await browser.open(await begin(client, instance))
    back = await browser.at_provider(start.headers["location"])
    answers = await asyncio.gather(*(browser.open(back) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert refused(await browser.open(back))
    assert server.calls == ["authorization_code"]


async def test_state_ends_after_ten_minutes(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    first, second = await begin(client, instance), await begin(client, instance)
    start = await browser.open(first)
    back = await browser.at_provider(start.headers["location"])
    resources: Resources = app.state.resources
    async with resources.database.transaction() as session:
        await session.execute(update(OAuthStateRow).values(expires_at=utcnow()))
    assert refused(await browser.open(back))
    assert refused(await browser.open(second))
    assert server.calls == []


@pytest.mark.parametrize(
    "query",
    ["", "state=", "state=a%00b", "code=1", "state=" + "a" * 43 + "&code=1", "state=%F0%9F%98%80", "state=a&state=b"],
)
async def test_odd_callbacks_are_refused(browser: Browser, query: str) -> None:
    assert refused(await browser.open(f"/oauth/callback?{query}"))


async def test_people_get_a_page(browser: Browser) -> None:
    page = await browser.open("/oauth/callback?state=x", accept="text/html,*/*")
    assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "oauth_state_invalid" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_what_the_provider_says_is_shown_and_kept(
    client: httpx2.AsyncClient, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    server.deny = "access_denied"
    page = await connect(client, browser, path(instance), redirect_to="https://app.example.com/")
    assert page.status_code == 400
    assert "access_denied" in page.text
    assert "script" not in page.text
    found = await shop(client, instance)
    assert (found["status"], found["error"]) == ("error", "the provider says: access_denied")
    instance = await read(client, f"/v1/instances/{instance['id']}")
    assert instance["connection_error"] == "the provider says: access_denied"
    lines = (await read(client, "/v1/logs", type="connection"))["data"]
    assert [line["message"] for line in lines] == ["shop was not authorised: the provider says: access_denied"]


async def test_an_error_of_its_own_is_not_repeated(
    client: httpx2.AsyncClient, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    server.deny = "<b>call us</b>"
    page = await connect(client, browser, path(instance))
    assert "call us" not in page.text + str(await shop(client, instance))


async def test_code_that_the_provider_refuses(
    client: httpx2.AsyncClient, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    server.script = [(400, {"error": "invalid_grant", "error_description": "client-secret"})]
    page = await connect(client, browser, path(instance))
    assert (page.status_code, "invalid_grant" in page.text, "client-secret" in page.text) == (400, True, False)
    assert (await shop(client, instance))["status"] == "error"


async def test_connection_that_works_goes_on_when_somebody_declines(
    client: httpx2.AsyncClient, server: OAuthServer, browser: Browser, instance: Json
) -> None:
    await connect(client, browser, path(instance))
    server.deny = "access_denied"
    await connect(client, browser, path(instance))
    found = await shop(client, instance)
    assert (found["status"], found["error"]) == ("active", "the provider says: access_denied")
    server.deny = None
    await connect(client, browser, path(instance))
    assert (await shop(client, instance))["error"] is None


@pytest.mark.parametrize(
    ("said", "status"), [("https://good.example", 200), ("https://evil.example", 400), (None, 400)]
)
async def test_issuer_must_be_the_one_that_is_configured(
    client: httpx2.AsyncClient, server: OAuthServer, browser: Browser, said: str | None, status: int
) -> None:
    """Mix-up: a code of another provider's must not go to this one's token endpoint."""
    shop_client = {"client_id": "client-1", "client_secret": "client-secret-that-nobody-may-see"}
    instance = await make_oauth_instance(client, server, shop=shop_client | {"issuer": "https://good.example"})
    server.issuer = said
    page = await connect(client, browser, path(instance))
    assert (page.status_code, bool(server.calls)) == (status, status == 200)


async def test_nothing_secret_is_stored_in_clear(
    client: httpx2.AsyncClient, app: FastAPI, browser: Browser, instance: Json, sqlite_url: str
) -> None:
    await connect(client, browser, path(instance))
    await begin(client, instance)
    assert b"oauth-sync" in stored(sqlite_url)
    assert b"-secret" not in stored(sqlite_url)
