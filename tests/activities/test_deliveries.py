"""An attempt to bring a message to its target, and what it comes to."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from activities.deliveries import DeliveryActivities
from activities.targets import Credentials
from domain.definitions.model import Hmac
from domain.errors import StepFailed
from domain.http import IncomingResponse, OutgoingRequest
from domain.notifications import PAUSES
from domain.signatures import Signed, verify
from domain.sweeps import Delivered, DeliverInput
from runtime.clock import utcnow
from runtime.smtp import Mailer, parse_smtp
from store.tables import DeliveryRow, EventEndpointRow, EventRow, MonitorRow, TargetRow
from tests.activities.kit import Kit
from tests.activities.watchtower import SECRET, Tower
from tests.factories import NOW, delivery, monitor, saved, target
from tests.fakes import response
from tests.fixtures.smtp_server import running_smtp_server

RULE = Hmac(scheme="standard_webhooks", secret="{{ config.x }}")
NEW_SECRET = "whsec_" + "A" * 32


@pytest.fixture
def tower(kit: Kit) -> Tower:
    return Tower(kit)


async def to_endpoint(tower: Tower, **given: Any) -> tuple[EventEndpointRow, DeliveryRow]:
    endpoint = await tower.endpoint()
    row = delivery(await tower.target_of(endpoint.id), endpoint_id=endpoint.id, event="instance.paused", **given)
    await saved(tower.kit.database, row)
    return endpoint, row


async def to_monitor(tower: Tower, credentials: Credentials | None = None, **of_target: Any) -> tuple[str, DeliveryRow]:
    owner = monitor()
    to = target(owner, **of_target)
    row = delivery(to)
    await saved(tower.kit.database, owner, to, row)
    if credentials is not None:
        async with tower.kit.database.transaction() as session:
            await tower.secrets.seal(session, await session.get_one(TargetRow, to.id), credentials)
    return owner.id, row


def headers(request: OutgoingRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers}


async def test_message_arrives_signed_under_its_own_id(tower: Tower) -> None:
    _, row = await to_endpoint(tower, body='{"type": "instance.paused"}')
    assert (await tower.deliver(row.id)).wait_seconds is None
    [request] = tower.kit.http.sent
    assert (request.method, request.url, request.follow_redirects, request.timeout) == ("POST", row.address, False, 15)
    assert headers(request)["webhook-id"] == row.id
    assert headers(request)["content-type"] == "application/json"
    verify(RULE, [SECRET], Signed(request.headers, request.body), utcnow())
    held = await tower.one(DeliveryRow, row.id)
    assert (held.state, held.attempts, held.status_code, held.error) == ("succeeded", 1, 200, None)
    assert held.ended_at is not None
    [attempt] = await tower.attempts()
    assert (attempt.delivery_id, attempt.number, attempt.status_code, attempt.error) == (row.id, 1, 200, None)


async def test_message_that_has_arrived_is_not_sent_again(tower: Tower) -> None:
    _, row = await to_endpoint(tower)
    for _ in range(3):
        assert (await tower.deliver(row.id)).wait_seconds is None
    assert len(tower.kit.http.sent) == 1
    assert (await tower.deliver("dlv_gone")).wait_seconds is None


async def test_refused_message_waits_as_the_standard_suggests(tower: Tower) -> None:
    tower.kit.http.script = [response(500), response(404), response(200)]
    _, row = await to_endpoint(tower)
    for number, usual in enumerate(PAUSES[:2], 1):
        waited = (await tower.deliver(row.id)).wait_seconds
        assert waited is not None
        assert 0.9 * usual.total_seconds() <= waited <= 1.1 * usual.total_seconds()
        held = await tower.one(DeliveryRow, row.id)
        assert (held.state, held.attempts, held.ended_at) == ("pending", number, None)
        assert abs((held.due_at - utcnow()).total_seconds() - waited) < 5
        await make_due(tower, row.id)
    assert (await tower.deliver(row.id)).wait_seconds is None
    assert [(each.number, each.status_code, each.error) for each in await tower.attempts()] == [
        (1, 500, "the target answered 500"),
        (2, 404, "the target answered 404"),
        (3, 200, None),
    ]
    assert len({headers(request)["webhook-id"] for request in tower.kit.http.sent}) == 1
    assert (await tower.target_of((await tower.one(DeliveryRow, row.id)).endpoint_id)).failing_since is None


async def make_due(tower: Tower, delivery_id: str) -> None:
    async with tower.kit.database.transaction() as session:
        (await session.get_one(DeliveryRow, delivery_id)).due_at = NOW


async def test_message_that_is_not_due_is_not_sent(tower: Tower) -> None:
    _, row = await to_endpoint(tower, due_at=utcnow() + timedelta(minutes=5))
    waited = (await tower.deliver(row.id)).wait_seconds
    assert waited is not None
    assert 290 < waited <= 300
    assert tower.kit.http.sent == []


async def test_retry_after_is_honoured(tower: Tower) -> None:
    tower.kit.http.script = [response(429, retry_after="600")]
    _, row = await to_endpoint(tower)
    assert (await tower.deliver(row.id)).wait_seconds == 600


async def test_last_failure_is_visible(tower: Tower) -> None:
    tower.kit.http.script = [StepFailed("POST alerts: no answer within 15 s", code="timeout", transient=True)]
    endpoint, row = await to_endpoint(tower, attempts=9, failed_in_a_row=9)
    assert (await tower.deliver(row.id)).wait_seconds is None
    held = await tower.one(DeliveryRow, row.id)
    assert (held.state, held.attempts, held.status_code) == ("failed", 10, None)
    assert held.error == "timeout: POST alerts: no answer within 15 s"
    assert (await tower.target_of(endpoint.id)).failing_since is not None


async def test_what_can_never_be_sent_fails_at_once(tower: Tower) -> None:
    tower.kit.http.script = [StepFailed("10.0.0.1 is out of reach", code="egress_denied", permanent=True)]
    _, row = await to_endpoint(tower)
    assert (await tower.deliver(row.id)).wait_seconds is None
    assert (await tower.one(DeliveryRow, row.id)).state == "failed"


async def test_target_that_is_gone_is_disabled(tower: Tower) -> None:
    tower.kit.http.script = [response(410)]
    endpoint, row = await to_endpoint(tower)
    assert (await tower.deliver(row.id)).wait_seconds is None
    to = await tower.target_of(endpoint.id)
    assert (to.disabled_reason, (await tower.one(DeliveryRow, row.id)).state) == ("gone", "failed")
    held = await tower.one(EventEndpointRow, endpoint.id)
    assert held.enabled is False
    assert held.updated_at > endpoint.updated_at
    [event] = await tower.rows(EventRow)
    assert (event.action, event.object_id, event.details) == (
        "event_endpoint.target_disabled",
        endpoint.id,
        {"target_id": to.id, "reason": "gone"},
    )


async def test_target_that_fails_for_five_days_is_disabled(tower: Tower) -> None:
    tower.kit.http.script = [response(500)]
    long_ago = utcnow() - timedelta(days=5, minutes=1)
    owner_id, row = await to_monitor(tower, failing_since=long_ago)
    assert (await tower.deliver(row.id)).wait_seconds is not None
    assert ((await tower.target_of(owner_id)).disabled_reason, (await tower.rows(EventRow))[0].action) == (
        "failing",
        "monitor.target_disabled",
    )
    await make_due(tower, row.id)
    await tower.deliver(row.id)
    held = await tower.one(DeliveryRow, row.id)
    assert (held.state, held.error, held.attempts) == ("canceled", "the target was disabled", 1)


async def test_message_to_a_removed_target_is_not_sent(tower: Tower) -> None:
    _, row = await to_monitor(tower)
    async with tower.kit.database.transaction() as session:
        await session.delete(await session.get_one(TargetRow, row.target_id))
    await tower.deliver(row.id)
    assert tower.kit.http.sent == []
    assert ((await tower.one(DeliveryRow, row.id)).state, (await tower.one(DeliveryRow, row.id)).error) == (
        "canceled",
        "the target was removed",
    )


async def test_test_is_sent_to_a_disabled_target_too(tower: Tower) -> None:
    endpoint, row = await to_endpoint(tower, is_test=True)
    async with tower.kit.database.transaction() as session:
        to = await session.get_one(TargetRow, (await tower.target_of(endpoint.id)).id)
        to.disabled_at = NOW
    await tower.deliver(row.id)
    assert (await tower.one(DeliveryRow, row.id)).state == "succeeded"


async def test_headers_are_sent_and_may_replace_the_content_type(tower: Tower) -> None:
    given = {"X-Routing-Key": "r1", "content-type": "application/vnd.pager+json"}
    _, row = await to_monitor(tower, Credentials(SECRET, given))
    await tower.deliver(row.id)
    [request] = tower.kit.http.sent
    assert [value for name, value in request.headers if name.lower() == "content-type"] == [given["content-type"]]
    assert headers(request)["x-routing-key"] == "r1"
    verify(RULE, [SECRET], Signed(request.headers, request.body), utcnow())


@pytest.mark.parametrize(
    ("until", "signed_with_both"), [("2099-01-01T00:00:00Z", True), ("2020-01-01T00:00:00Z", False)]
)
async def test_secret_that_is_being_changed_signs_too(tower: Tower, until: str, signed_with_both: bool) -> None:
    credentials = Credentials(NEW_SECRET, {}, SECRET, until)
    _, row = await to_monitor(tower, credentials)
    await tower.deliver(row.id)
    [request] = tower.kit.http.sent
    verify(RULE, [NEW_SECRET], Signed(request.headers, request.body), utcnow())
    assert len(headers(request)["webhook-signature"].split()) == (2 if signed_with_both else 1)


async def test_email_is_sent(tower: Tower) -> None:
    _, row = await to_monitor(tower, kind="email", address="ops@example.com")
    await tower.deliver(row.id)
    [email] = tower.mails.sent
    assert (email.to, email.subject, email.text, email.message_id) == (
        "ops@example.com",
        row.subject,
        row.body,
        row.id,
    )
    assert ((await tower.one(DeliveryRow, row.id)).state, tower.kit.http.sent) == ("succeeded", [])


async def test_email_arrives_at_a_real_server(tower: Tower) -> None:
    _, row = await to_monitor(tower, kind="email", address="ops@example.com")
    async with running_smtp_server() as server:
        mailer = Mailer(parse_smtp(server.url), "alerts@example.com")
        real = DeliveryActivities(tower.kit.database, tower.secrets, tower.kit.http, mailer)
        server.refuses = "451 try again later"
        first: Delivered = await tower.kit.environment.run(real.deliver, DeliverInput(row.id))
        assert first.wait_seconds is not None
        assert 4.5 <= first.wait_seconds <= 5.5
        server.refuses = None
        await make_due(tower, row.id)
        await tower.kit.environment.run(real.deliver, DeliverInput(row.id))
    [message] = server.messages
    assert (message["To"], message["Message-ID"]) == ("ops@example.com", f"<{row.id}@example.com>")
    assert [each.error for each in await tower.attempts()] == [
        "smtp_refused: the mail server refused: 451 try again later",
        None,
    ]


async def test_email_without_a_server_fails_visibly(tower: Tower) -> None:
    tower.mails.fail = StepFailed("FLOWGRAFT_SMTP_URL is not set", code="smtp_not_configured", permanent=True)
    _, row = await to_monitor(tower, kind="email", address="ops@example.com")
    await tower.deliver(row.id)
    held = await tower.one(DeliveryRow, row.id)
    assert (held.state, held.error) == ("failed", "smtp_not_configured: FLOWGRAFT_SMTP_URL is not set")


async def test_what_was_sent_and_not_recorded_is_sent_again_under_the_same_id(tower: Tower) -> None:
    """As after a kill between the two."""
    _, row = await to_endpoint(tower)
    await tower.deliver(row.id)
    async with tower.kit.database.transaction() as session:
        held = await session.get_one(DeliveryRow, row.id)
        held.state, held.attempts, held.ended_at = "pending", 0, None
        for attempt in await tower.attempts():
            await session.delete(await session.get_one(type(attempt), (attempt.delivery_id, attempt.number)))
    await tower.deliver(row.id)
    first, second = tower.kit.http.sent
    assert headers(first)["webhook-id"] == headers(second)["webhook-id"]
    assert len(await tower.attempts()) == 1


async def test_attempt_that_somebody_else_has_recorded_meanwhile_counts(tower: Tower) -> None:
    _, row = await to_endpoint(tower)
    tower.kit.http.script = [response(500)]
    meanwhile: list[Callable[[], Awaitable[object]]] = [lambda: tower.deliver(row.id)]

    class Overtaken:
        async def send(self, request: OutgoingRequest) -> IncomingResponse:
            if meanwhile:
                await meanwhile.pop()()
            return response(500)

    slow = DeliveryActivities(tower.kit.database, tower.secrets, Overtaken(), tower.mails)
    await tower.kit.environment.run(slow.deliver, DeliverInput(row.id))
    held = await tower.one(DeliveryRow, row.id)
    assert (held.attempts, held.failed_in_a_row, len(await tower.attempts())) == (1, 1, 1)


async def test_monitor_is_not_moved_by_its_messages(tower: Tower) -> None:
    owner_id, row = await to_monitor(tower)
    await tower.deliver(row.id)
    assert (await tower.one(MonitorRow, owner_id)).revision == 1
