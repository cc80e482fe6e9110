"""OAuth 2.0 as rules: what a token answer says, when a token is due, what may be shown of a provider's error."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from domain.connections import LONGEST_INPUT, is_address

AUTHORIZATION_CODE = "authorization_code"
CLIENT_CREDENTIALS = "client_credentials"
REFRESH_TOKEN = "refresh_token"

BEARER = "Bearer"
LONGEST_LIFE = timedelta(days=365)
SHORTEST_LEAD, LONGEST_LEAD = timedelta(seconds=60), timedelta(minutes=10)

# A person must authorise again. The last two are what some providers say instead of the standard's word.
FINAL_ERRORS = frozenset({"invalid_grant", "bad_refresh_token", "invalid_refresh_token"})
# The provider is not well: worth another try.
PASSING_ERRORS = frozenset({"server_error", "temporarily_unavailable", "slow_down"})
# Only words of this list are repeated to people: anything else could be a message of an attacker's.
KNOWN_ERRORS = (
    FINAL_ERRORS
    | PASSING_ERRORS
    | {
        "access_denied",
        "account_selection_required",
        "consent_required",
        "incorrect_client_credentials",
        "interaction_required",
        "invalid_client",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "login_required",
        "redirect_uri_mismatch",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
    }
)
# They want each request signed, which we do not do.
_SIGNING_TYPES = frozenset({"mac", "dpop"})
# What decides whose tokens these are: a change of any other input leaves them good.
_IDENTITY = ("authorize_url", "token_url", "client_id", "scopes", "grant", "audience")


class TokenUnusable(ValueError):
    """The provider's answer holds no token that we could send. Never shows it."""


@dataclass(frozen=True)
class Token:
    """`expires_in` is None where the provider does not say."""

    access_token: str
    refresh_token: str | None = None
    token_type: str = BEARER
    scope: str | None = None
    expires_in: timedelta | None = None

    def sealed(self) -> dict[str, str | None]:
        """What is kept, encrypted; the row tells when it expires."""
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "token_type": self.token_type,
            "scope": self.scope,
        }


def read_token(answer: Mapping[str, Any], earlier: Token | None = None) -> Token:
    """Of a token endpoint's answer. `earlier` keeps its refresh token when none is returned. Raises TokenUnusable."""
    access_token = answer.get("access_token")
    if not is_token(access_token):
        raise TokenUnusable("the answer holds no access token")
    if str(answer.get("token_type", "")).lower() in _SIGNING_TYPES:
        raise TokenUnusable("tokens of this type cannot be used")
    refresh_token = answer.get("refresh_token") or (earlier.refresh_token if earlier else None)
    if refresh_token is not None and not is_token(refresh_token):
        raise TokenUnusable("the answer holds a refresh token that cannot be used")
    scope = answer.get("scope")
    return Token(
        access_token=str(access_token),
        refresh_token=refresh_token,
        scope=scope if isinstance(scope, str) else None,
        expires_in=_lifetime(answer.get("expires_in")),
    )


def is_token(text: Any) -> bool:
    """Whether it can stand in a header."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST_INPUT and text.isascii() and text.isprintable()


def refresh_at(now: datetime, expires_in: timedelta) -> datetime:
    """A tenth of its life ahead of the end, at least a minute, at most ten, never more than half of it."""
    lead = min(max(expires_in / 10, SHORTEST_LEAD), LONGEST_LEAD, expires_in / 2)
    return now + expires_in - lead


def shown_error(code: Any) -> str:
    return code if isinstance(code, str) and code in KNOWN_ERRORS else "an error of its own"


def identity(values: Mapping[str, Any]) -> str:
    """Tokens belong to this: two connections with the same one may have each other's."""
    text = json.dumps([values.get(name) for name in _IDENTITY])
    return hashlib.sha256(text.encode()).hexdigest()


def may_return_to(url: str, origins: Iterable[str]) -> bool:
    """Whether an address lies under one of the allowed origins."""
    if not is_address(url):
        return False
    return _origin(url) in {_origin(origin) for origin in origins}


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _lifetime(seconds: Any) -> timedelta | None:
    """From a number, or its digits, as some providers have it."""
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit() and len(seconds) < 16:
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        return None
    return min(timedelta(seconds=min(seconds, LONGEST_LIFE.total_seconds())), LONGEST_LIFE)
