"""Signatures of deliveries: the schemes that senders use, verified strictly and in constant time; and our own."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.definitions.model import Hmac
from domain.durations import parse_duration
from domain.values import config_key

TOLERANCE = timedelta(minutes=5)
MOST_SIGNATURES = 10
STANDARD_PREFIX = "whsec_"

_SECONDS = re.compile(r"[0-9]{10}")
_PAIR = re.compile(r"([a-z0-9]{1,10})=([A-Za-z0-9]{1,200})")
_STANDARD = re.compile(r"(v[0-9][a-z0-9]{0,8}),([A-Za-z0-9+/]{1,200}={0,2})")
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,200}")


class SignatureInvalid(ValueError):
    """`reason` is for the instance's log; the sender is not told which part is wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Signed:
    """What came in, as far as it is signed: headers with names in any case, repeated ones as they came."""

    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Raises SignatureInvalid unless it is there once."""
        given = [value for each, value in self.headers if each.lower() == name.lower()]
        if len(given) != 1:
            raise SignatureInvalid(f"the header {name} is {'missing' if not given else 'there more than once'}")
        return given[0]


@dataclass(frozen=True)
class _Claim:
    """What a sender claims: any of these signatures is that of `before` and the body."""

    signatures: Sequence[str]
    before: str = ""
    signed_at: str | None = None


def secret_keys(rule: Hmac) -> list[str]:
    """The config keys of the secrets: the current one, and perhaps the one before."""
    return [key for text in rule.secrets if (key := config_key(text)) is not None]


def verify(rule: Hmac, secrets: Sequence[str], signed: Signed, now: datetime) -> None:
    """Raises SignatureInvalid unless it was signed with one of the secrets, and not too long ago."""
    claim = _CLAIMS[rule.scheme](rule, signed)
    if not 1 <= len(claim.signatures) <= MOST_SIGNATURES:
        raise SignatureInvalid(f"there are {len(claim.signatures)} signatures")
    if claim.signed_at is not None:
        _ensure_recent(claim.signed_at, parse_duration(rule.tolerance) if rule.tolerance else TOLERANCE, now)
    keys = [key for secret in secrets if (key := _key(rule, secret))]
    if not keys:
        raise SignatureInvalid("no usable secret is configured")
    if not _matches(rule, keys, claim, signed.body):
        raise SignatureInvalid("the signature is of another body or secret")


def standard_headers(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> list[tuple[str, str]]:
    """What our own messages carry, by Standard Webhooks: a signature with each secret, so that one may be changed."""
    seconds = str(int(at.timestamp()))
    macs = [
        hmac.digest(
            base64.b64decode(secret.removeprefix(STANDARD_PREFIX)), f"{message_id}.{seconds}.".encode() + body, "sha256"
        )
        for secret in secrets
    ]
    signatures = " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)
    return [("webhook-id", message_id), ("webhook-timestamp", seconds), ("webhook-signature", signatures)]


def is_standard_secret(text: str) -> bool:
    """Whether messages can be signed with it: `whsec_` and 24 to 64 bytes in base64."""
    if not text.startswith(STANDARD_PREFIX):
        return False
    try:
        return 24 <= len(base64.b64decode(text.removeprefix(STANDARD_PREFIX), validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False


def _matches(rule: Hmac, keys: Sequence[bytes], claim: _Claim, body: bytes) -> bool:
    """Each is compared as text, so that no other spelling of the same bytes passes; none is left out."""
    found = False
    for key in keys:
        mac = hmac.new(key, claim.before.encode(), rule.algorithm or "sha256")
        mac.update(body)
        expected = _spelt(rule, mac.digest()).encode()
        for signature in claim.signatures:
            found |= hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass"))
    return found


def _spelt(rule: Hmac, digest: bytes) -> str:
    in_base64 = rule.scheme == "standard_webhooks" or rule.encoding == "base64"
    return base64.b64encode(digest).decode() if in_base64 else digest.hex()


def _key(rule: Hmac, secret: object) -> bytes:
    """Empty if the secret cannot be one: a key that everybody can guess is none."""
    if not isinstance(secret, str):
        return b""
    if rule.scheme != "standard_webhooks":
        return secret.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _ensure_recent(seconds: str, tolerance: timedelta, now: datetime) -> None:
    if not _SECONDS.fullmatch(seconds):
        raise SignatureInvalid("the time of signing is not in Unix seconds")
    if abs(now.timestamp() - int(seconds)) > tolerance.total_seconds():
        raise SignatureInvalid("it was signed too long ago, or a clock is wrong")


def _standard_webhooks(rule: Hmac, signed: Signed) -> _Claim:
    message, seconds = signed.header("webhook-id"), signed.header("webhook-timestamp")
    if not _MESSAGE_ID.fullmatch(message):
        raise SignatureInvalid("the header webhook-id is no identifier")
    given = [_STANDARD.fullmatch(part) for part in signed.header("webhook-signature").split(" ")]
    return _Claim(_of_version("v1", given), f"{message}.{seconds}.", seconds)


def _stripe(rule: Hmac, signed: Signed) -> _Claim:
    pairs = [_PAIR.fullmatch(part) for part in signed.header("stripe-signature").split(",")]
    times = _of_version("t", pairs)
    if len(times) != 1:
        raise SignatureInvalid("the header stripe-signature names no time, or more than one")
    return _Claim(_of_version("v1", pairs), f"{times[0]}.", times[0])


def _of_version(version: str, parts: Sequence[re.Match[str] | None]) -> list[str]:
    """What other versions say is passed over, but all of it must be well-formed."""
    if len(parts) > MOST_SIGNATURES + 1:
        raise SignatureInvalid("there are too many signatures")
    if not all(parts):
        raise SignatureInvalid("the header with the signature is malformed")
    return [part[2] for part in parts if part and part[1] == version]


def _github(rule: Hmac, signed: Signed) -> _Claim:
    return _Claim([_behind("sha256=", signed.header("x-hub-signature-256"))])


def _slack(rule: Hmac, signed: Signed) -> _Claim:
    seconds = signed.header("x-slack-request-timestamp")
    return _Claim([_behind("v0=", signed.header("x-slack-signature"))], f"v0:{seconds}:", seconds)


def _generic(rule: Hmac, signed: Signed) -> _Claim:
    signature = _behind(rule.prefix or "", signed.header(rule.header or "x-signature"))
    if rule.timestamp_header is None:
        return _Claim([signature])
    seconds = signed.header(rule.timestamp_header)
    return _Claim([signature], f"{seconds}.", seconds)


def _behind(prefix: str, text: str) -> str:
    if not text.startswith(prefix):
        raise SignatureInvalid(f"the signature does not begin with {prefix}")
    return text.removeprefix(prefix)


_CLAIMS: dict[str, Callable[[Hmac, Signed], _Claim]] = {
    "standard_webhooks": _standard_webhooks,
    "github": _github,
    "stripe": _stripe,
    "slack": _slack,
    "generic": _generic,
}
