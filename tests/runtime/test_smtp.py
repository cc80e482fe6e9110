from collections.abc import AsyncIterator

import pytest

from domain.errors import StepFailed
from runtime.devserver import free_port
from runtime.smtp import Email, Mailer, SmtpServer, parse_smtp
from tests.fixtures.smtp_server import PASSWORD, USER, running_smtp_server
from tests.fixtures.smtp_server import SmtpServer as RunningServer

EMAIL = Email("ops@example.com", "Flowgraft alert: Störung", "Zeile 1\n.\nZeile 3 €\n", "dlv_1")
SENDER = "Flowgraft <alerts@example.com>"


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    async with running_smtp_server() as server:
        yield server


async def refused(mailer: Mailer) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        await mailer.send(EMAIL)
    return caught.value


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", SmtpServer("mail.example.com", 587, "starttls")),
        ("smtp://mail.example.com:2525?tls=off", SmtpServer("mail.example.com", 2525, "off")),
        ("smtp://mail.example.com?tls=off", SmtpServer("mail.example.com", 25, "off")),
        ("smtps://u:p%40ss@mail.example.com", SmtpServer("mail.example.com", 465, "always", "u", "p@ss")),
        ("smtp://u@mail.example.com?tls=always", SmtpServer("mail.example.com", 465, "always", "u")),
    ],
)
def test_url_names_the_server(url: str, server: SmtpServer) -> None:
    assert parse_smtp(url) == server


@pytest.mark.parametrize("url", ["pa55", "http://u:pa55@a", "smtp://", "smtp://u:pa55@a?tls=maybe", "smtp://a?pa55=1"])
def test_url_that_names_no_server_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="must be such as smtp") as caught:
        parse_smtp(url)
    assert "pa55" not in str(caught.value)


async def test_message_arrives_as_it_is(server: RunningServer) -> None:
    await Mailer(parse_smtp(server.url), SENDER).send(EMAIL)
    [message] = server.messages
    assert (message["To"], message["From"], message["Subject"]) == (EMAIL.to, SENDER, EMAIL.subject)
    assert message["Message-ID"] == "<dlv_1@example.com>"
    assert message.get_content().replace("\r\n", "\n") == EMAIL.text
    assert server.recipients == ["TO:<ops@example.com>"]


async def test_signs_in(server: RunningServer) -> None:
    server.wants_login = True
    known = SmtpServer("127.0.0.1", server.port, "off", USER, PASSWORD)
    await Mailer(known, SENDER).send(EMAIL)
    assert len(server.messages) == 1
    error = await refused(Mailer(SmtpServer("127.0.0.1", server.port, "off", USER, "wrong"), SENDER))
    assert (error.code, error.transient) == ("smtp_refused", True)
    assert "535" in error.message


@pytest.mark.parametrize(("answer", "permanent"), [("550 no such user", True), ("451 try again later", False)])
async def test_refusal_is_meant_for_good_or_not(server: RunningServer, answer: str, permanent: bool) -> None:
    server.refuses = answer
    error = await refused(Mailer(parse_smtp(server.url), SENDER))
    assert (error.code, error.permanent, error.transient) == ("smtp_refused", permanent, not permanent)
    assert answer in error.message
    assert server.messages == []


async def test_tls_that_is_not_offered_is_insisted_on(server: RunningServer) -> None:
    error = await refused(Mailer(SmtpServer("127.0.0.1", server.port, "starttls"), SENDER))
    assert "STARTTLS" in error.message
    assert server.recipients == []


async def test_server_that_is_away_is_tried_again() -> None:
    error = await refused(Mailer(SmtpServer("127.0.0.1", free_port(), "off"), SENDER))
    assert (error.code, error.transient) == ("connection_error", True)


@pytest.mark.parametrize(
    ("server", "sender", "missing"),
    [
        (None, None, "FLOWGRAFT_SMTP_URL"),
        (None, SENDER, "FLOWGRAFT_SMTP_URL"),
        (SmtpServer("127.0.0.1", 25, "off"), None, "FLOWGRAFT_SMTP_FROM"),
    ],
)
async def test_without_settings_a_message_fails_visibly(
    server: SmtpServer | None, sender: str | None, missing: str
) -> None:
    error = await refused(Mailer(server, sender))
    assert (error.code, error.permanent) == ("smtp_not_configured", True)
    assert missing in error.message
