"""Addresses at which an execution waits to be called back: each for one step of one attempt, and not to be guessed."""

import base64
import hashlib
import hmac
from typing import NamedTuple

WAITING_CALLBACK = "waiting_callback"  # the reason of an execution that waits
LONGEST_TOKEN = 2000


class Place(NamedTuple):
    """Where somebody is called back: the step's path within an attempt."""

    execution_id: str
    attempt: int
    path: str


def sign(secret: str, path: str) -> str:
    """`secret` is the attempt's own. 192 bits in hex."""
    return hmac.new(secret.encode(), path.encode(), hashlib.sha256).hexdigest()[:48]


def token(place: Place, secret: str) -> str:
    path = base64.urlsafe_b64encode(place.path.encode()).decode().rstrip("=")
    return f"{place.execution_id}.{place.attempt}.{path}.{sign(secret, place.path)}"


def parse(text: str) -> tuple[Place, str] | None:
    """The place that a token names and its signature, not checked yet; None where it is no token at all."""
    parts = text.split(".") if len(text) <= LONGEST_TOKEN and text.isascii() else []
    if len(parts) != 4 or not (parts[1].isdecimal() and len(parts[1]) <= 9):
        return None
    try:
        path = base64.b64decode(parts[2] + "=" * (-len(parts[2]) % 4), b"-_", validate=True).decode()
    except ValueError:
        return None
    return Place(parts[0], int(parts[1]), path), parts[3]
