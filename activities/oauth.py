"""The OAuth 2.0 client: Authlib writes the requests, the guarded HTTP client carries them. Keeps nothing."""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7009 import prepare_revoke_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from domain.errors import StepFailed
from domain.http import HttpSender, IncomingResponse, OutgoingRequest
from domain.jsontext import JsonRefused, strict_loads
from domain.oauth import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    FINAL_ERRORS,
    PASSING_ERRORS,
    REFRESH_TOKEN,
    Token,
    TokenUnusable,
    read_token,
    shown_error,
)

TIMEOUT = 10.0  # seconds, for one answer; a lease lasts longer
LARGEST_ANSWER = 64 * 1024
REAUTH = "invalid_grant"  # the code of what a person must mend
REFUSED = "token_refused"  # the code of what the configuration must mend

_AUTH_METHODS = {"basic": "client_secret_basic", "post": "client_secret_post", "none": "none"}
_HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}

Values = Mapping[str, Any]  # the inputs of a connection of kind http/oauth2, complete


def authorization_address(values: Values, redirect_uri: str, state: str, verifier: str) -> str:
    """Where the browser goes to authorise."""
    challenge = {}
    if values["pkce"] == "S256":
        challenge = {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
    address = prepare_grant_uri(
        values["authorize_url"],
        client_id=values["client_id"],
        response_type="code",
        redirect_uri=redirect_uri,
        scope=values.get("scopes"),
        state=state,
        audience=values.get("audience"),
        **challenge,
    )
    return str(address)


async def exchange_code(http: HttpSender, values: Values, code: str, redirect_uri: str, verifier: str) -> Token:
    proof = {"code_verifier": verifier} if values["pkce"] == "S256" else {}
    body = prepare_token_request(AUTHORIZATION_CODE, redirect_uri=redirect_uri, code=code, **proof)
    return await _token(http, values, body)


async def refresh(http: HttpSender, values: Values, earlier: Token) -> Token:
    body = prepare_token_request(REFRESH_TOKEN, refresh_token=earlier.refresh_token)
    return await _token(http, values, body, earlier)


async def client_credentials(http: HttpSender, values: Values) -> Token:
    scope = {"scope": values["scopes"]} if values.get("scopes") else {}
    body = prepare_token_request(CLIENT_CREDENTIALS, audience=values.get("audience"), **scope)
    return await _token(http, values, body)


async def revoke(http: HttpSender, values: Values, token: Token) -> None:
    """The refresh token, with which a provider drops the rest; without one the access token. Raises StepFailed."""
    hint = REFRESH_TOKEN if token.refresh_token else "access_token"
    body, _ = prepare_revoke_token_request(token.refresh_token or token.access_token, hint, "", {})
    response = await _post(http, values, values["revocation_url"], body)
    if response.status >= 400:
        raise StepFailed(f"{_place(response.url)} answered {response.status}", code=REFUSED)


async def _token(http: HttpSender, values: Values, body: str, earlier: Token | None = None) -> Token:
    """Raises StepFailed: `invalid_grant`, `token_refused`, or transient for what may pass. Never shows an answer."""
    response = await _post(http, values, values["token_url"], body)
    place = _place(values["token_url"])
    answer = _object(response)
    error = None if answer is None else answer.get("error")
    if answer is not None and error is None and response.status < 300:
        try:
            return read_token(answer, earlier)
        except TokenUnusable as unusable:
            raise StepFailed(f"{place}: {unusable}", code=REFUSED) from None
    if error in FINAL_ERRORS:
        raise StepFailed(f"{place} refused: {shown_error(error)}", code=REAUTH)
    if error is not None and error not in PASSING_ERRORS and response.status < 500 and response.status != 429:
        raise StepFailed(f"{place} refused: {shown_error(error)}", code=REFUSED)
    what = f"answered {response.status}" if error is None else f"answered: {shown_error(error)}"
    raise StepFailed(f"{place} {what}", code="token_endpoint", transient=True)


async def _post(http: HttpSender, values: Values, url: str, body: str) -> IncomingResponse:
    secret = values.get("client_secret")
    method = values.get("client_auth") or ("basic" if secret else "none")
    auth = ClientAuth(values["client_id"], secret or "", _AUTH_METHODS[method])
    url, headers, body = auth.prepare("POST", url, dict(_HEADERS), body)
    return await http.send(
        OutgoingRequest(
            method="POST",
            url=url,
            headers=list(headers.items()),
            body=body.encode(),
            timeout=TIMEOUT,
            follow_redirects=False,
            max_bytes=LARGEST_ANSWER,
            secret_headers=frozenset({"authorization"}),
        )
    )


def _object(response: IncomingResponse) -> dict[str, Any] | None:
    try:
        answer = strict_loads(response.body)
    except JsonRefused:
        return None
    return cast(dict[str, Any], answer) if isinstance(answer, dict) else None


def _place(url: str) -> str:
    """Without the query, which may hold anything."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"[:200]
