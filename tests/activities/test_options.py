"""Options listed live, with scripted HTTP and without an instance that is deployed."""

import asyncio
from typing import Any

import pytest

from activities.options import LiveOptions, Question, question_of
from components.base import Action, ActionContext, Component, Inputs, Registry
from components.catalogue import builtin_registry
from domain.connections import OAUTH2
from domain.definitions.model import Definition
from domain.errors import Invalid, Problem, StepFailed, Unavailable
from domain.options import Option
from store.tables import CustomerRow, InstanceRow
from tests.activities.connecting import a_connection
from tests.activities.kit import Kit, definition
from tests.fakes import ScriptedHttp, response

TOKEN = "shop-token-that-nobody-may-see"
PIN = "pin-that-nobody-may-see"
BEARER = {"shop": {"token": TOKEN}}
SOURCE = {
    "action": "http.get",
    "connection": "shop",
    "inputs": {
        "url": "{{ config.endpoint }}/regions",
        "query": {"of": "{{ customer.name }}", "pin": "{{ config.pin }}"},
    },
    "items": "body.regions",
    "label": "name",
    "value": "id",
}
NOT_SET = "Shop API is not set yet: the options are listed with it"
REGIONS = '{"regions": [{"id": "eu", "name": "Europe"}, {"id": 7}]}'


def asking(source: dict[str, Any] = SOURCE, kind: str = "http/bearer") -> Definition:
    fields: list[dict[str, Any]] = [
        {"key": "shop", "type": "connection", "connection": kind, "label": "Shop API"},
        {"key": "endpoint", "type": "string", "default": "https://shop.example.com"},
        {"key": "pin", "type": "string", "secret": True, "required": False},
        {"key": "region", "type": "picklist", "options_from": source, "label": "Region"},
    ]
    return definition({}, config=fields)


async def question(kit: Kit, wanted: Definition, values: dict[str, Any]) -> Question:
    made = await kit.made(wanted)
    async with kit.database.snapshot() as session:
        instance = await session.get_one(InstanceRow, made.instance.id)
        customer = await session.get_one(CustomerRow, made.customer.id)
        return await question_of(session, instance, customer, wanted, wanted.fields()["region"], values)


def options(kit: Kit, limit: float = 5.0) -> LiveOptions:
    return LiveOptions(builtin_registry(), kit.connections, limit)


async def refused(kit: Kit, values: dict[str, Any] = BEARER, wanted: Definition | None = None) -> Invalid:
    with pytest.raises(Invalid) as caught:
        await options(kit).ask(await question(kit, wanted or asking(), values))
    assert caught.value.code == "options_unavailable"
    return caught.value


def script(kit: Kit, *answers: Any) -> ScriptedHttp:
    kit.http.script = list(answers)
    return kit.http


async def test_options_are_asked_of_the_target(kit: Kit) -> None:
    http = script(kit, response(body=REGIONS, content_type="application/json"))
    asked = await question(kit, asking(), BEARER | {"endpoint": "https://b.example.com", "pin": PIN})
    assert await options(kit).ask(asked) == [Option("eu", "Europe"), Option(7, "7")]
    (sent,) = http.sent
    assert sent.url.startswith("https://b.example.com/regions?of=Customer+cust_")
    assert sent.url.endswith(f"pin={PIN}")
    assert ("Authorization", f"Bearer {TOKEN}") in sent.headers
    assert sent.timeout <= 5.0


async def test_options_use_defaults_where_a_value_does_not_fit(kit: Kit) -> None:
    http = script(kit, response(body=REGIONS, content_type="application/json"))
    await options(kit).ask(await question(kit, asking(), BEARER | {"endpoint": 5, "gone": 1}))
    assert http.sent[0].url.startswith("https://shop.example.com/regions")


async def test_options_of_a_reusable_connection_are_asked_with_it(kit: Kit) -> None:
    http = script(kit, response(body=REGIONS, content_type="application/json"))
    row = await a_connection(kit.database, {"token": TOKEN}, None, kind="http/bearer")
    await options(kit).ask(await question(kit, asking(), {"shop": {"connection_id": row.id}}))
    assert ("Authorization", f"Bearer {TOKEN}") in http.sent[0].headers


async def test_options_of_somebody_elses_connection_are_refused(kit: Kit) -> None:
    other = await kit.made(definition({}))
    row = await a_connection(
        kit.database,
        {"token": TOKEN},
        None,
        kind="http/bearer",
        customer_id=other.customer.id,
        owner=other.customer.id,
    )
    error = await refused(kit, {"shop": {"connection_id": row.id}})
    assert error.problems == [
        Problem("#/config/region", "options_unavailable", "The connection shop is not configured")
    ]
    assert kit.http.sent == []


async def test_refusal_says_what_the_target_answered_and_no_secret(kit: Kit) -> None:
    script(kit, response(401, f"who is {TOKEN} with {PIN}?"))
    error = await refused(kit, BEARER | {"pin": PIN})
    detail = "GET shop.example.com/regions answered 401 Unauthorized: who is ••• with •••?"
    assert error.message == f"The options of Region cannot be listed: {detail}"
    assert error.problems == [Problem("#/config/region", "options_unavailable", detail)]


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (response(500), "GET shop.example.com/regions answered 500 Internal Server Error"),
        (response(body="no json"), "http.get answered, but there is no list at body.regions"),
        (StepFailed("the connection failed", code="connection_error"), "the connection failed"),
        (RuntimeError("a bug"), "RuntimeError: a bug"),
    ],
)
async def test_refusal_says_why(kit: Kit, answer: Any, detail: str) -> None:
    script(kit, answer)
    assert [each.detail for each in (await refused(kit)).problems] == [detail]


async def test_refusal_of_inputs_that_the_action_cannot_take(kit: Kit) -> None:
    wanted = asking({"action": "http.get", "inputs": {"url": "{{ customer }}"}})
    assert [each.detail for each in (await refused(kit, {}, wanted)).problems] == [
        "the action cannot take its inputs: Input should be a valid string"
    ]


@pytest.mark.parametrize(
    ("kind", "values", "code", "detail"),
    [
        ("http/bearer", {}, "missing", "Shop API is not set yet: the options are listed with it"),
        (
            "http/bearer",
            {"shop": {"username": "x"}},
            "missing",
            "Shop API is not set yet: the options are listed with it",
        ),
        (
            OAUTH2,
            {"shop": {"authorize_url": "https://a.org", "token_url": "https://b.org", "client_id": "c"}},
            "not_connected",
            "Shop API is not connected yet: the options are listed with it",
        ),
    ],
)
async def test_connection_that_is_not_there_is_pointed_at(
    kit: Kit, kind: str, values: dict[str, Any], code: str, detail: str
) -> None:
    error = await refused(kit, values, asking(kind=kind))
    assert error.problems == [Problem("#/config/shop", code, detail)]


async def test_options_are_not_waited_for(kit: Kit) -> None:
    async def sleep(context: ActionContext, inputs: Inputs) -> None:
        await asyncio.sleep(60)

    slow = Action("list", Inputs, sleep, "Sleeps", local=False)
    registry = Registry([Component("slow", "Slow", (slow,))])
    asked = await question(kit, asking({"action": "slow.list"}), {})
    with pytest.raises(Invalid) as caught:
        await LiveOptions(registry, kit.connections, 0.05).ask(asked)
    assert caught.value.problems[0].detail == "slow.list had no answer within 0.05 s"


async def test_database_that_is_away_is_said_as_such(kit: Kit) -> None:
    script(kit, Unavailable("The database is away or busy."))
    with pytest.raises(Unavailable):
        await options(kit).ask(await question(kit, asking(), BEARER))
