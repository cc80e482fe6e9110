"""Sending e-mail by the operator's SMTP server, `smtp://user:password@host:587?tls=starttls`."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import parse_qsl, unquote, urlsplit

from domain.errors import StepFailed

TIMEOUT = 15.0  # seconds, for each answer of the server
PORTS = {"starttls": 587, "always": 465, "off": 25}


@dataclass(frozen=True)
class SmtpServer:
    host: str
    port: int
    tls: str  # starttls: asked for and insisted on; always: from the first byte; off
    user: str | None = None
    password: str | None = None


def parse_smtp(url: str) -> SmtpServer:
    """Raises ValueError, which never repeats the URL."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    tls = query.pop("tls", "always" if parts.scheme == "smtps" else "starttls")
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or query or tls not in PORTS:
        raise ValueError("must be such as smtp://user:password@mail.example.com:587?tls=starttls (or always, or off)")
    user, password = parts.username, parts.password
    return SmtpServer(
        host=parts.hostname,
        port=parts.port or PORTS[tls],
        tls=tls,
        user=unquote(user) if user else None,
        password=unquote(password) if password else None,
    )


@dataclass(frozen=True)
class Email:
    """`message_id` is the same however often it is sent."""

    to: str
    subject: str
    text: str
    message_id: str


class Mailer:
    """Without a server every message fails, and says why."""

    def __init__(self, server: SmtpServer | None, sender: str | None, *, ssl_context: ssl.SSLContext | None = None):
        self._server = server
        self._sender = sender
        self._ssl = ssl_context

    async def send(self, email: Email) -> None:
        """Raises StepFailed: permanent when the server will never take it."""
        if self._server is None or self._sender is None:
            missing = "FLOWGRAFT_SMTP_URL" if self._server is None else "FLOWGRAFT_SMTP_FROM"
            raise StepFailed(f"{missing} is not set: no e-mail is sent", code="smtp_not_configured", permanent=True)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, email.to, email.subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{email.message_id}@{self._sender.rpartition('@')[2].rstrip('>')}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(email.text)
        try:
            await asyncio.to_thread(self._deliver, self._server, message)
        except smtplib.SMTPException as error:
            raise _refused(error) from None
        except OSError as error:
            what = f"the mail server cannot be reached ({str(error)[:200] or type(error).__name__})"
            raise StepFailed(what, code="connection_error", transient=True) from None

    def _deliver(self, server: SmtpServer, message: EmailMessage) -> None:
        context = self._ssl or ssl.create_default_context()
        with _connected(server, context) as smtp:
            if server.tls == "starttls":
                smtp.starttls(context=context)
            if server.user is not None:
                smtp.login(server.user, server.password or "")
            smtp.send_message(message)


def _connected(server: SmtpServer, context: ssl.SSLContext) -> smtplib.SMTP:
    if server.tls == "always":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)


def _refused(error: smtplib.SMTPException) -> StepFailed:
    """What it says, without what was sent. Codes from 500 on are meant for good, except those of signing in."""
    code, said = _answer(error)
    permanent = code >= 500 and not isinstance(error, smtplib.SMTPAuthenticationError)
    what = f"the mail server refused: {code} {said}" if code else f"the mail server refused: {said}"
    return StepFailed(what[:500], code="smtp_refused", permanent=permanent, transient=not permanent)


def _answer(error: smtplib.SMTPException) -> tuple[int, str]:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return code, said.decode(errors="replace")
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        return error.smtp_code, text.decode(errors="replace") if isinstance(text, bytes) else text
    return 0, str(error) or type(error).__name__
