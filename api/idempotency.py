"""`Idempotency-Key` on POST: the first answer again, kept encrypted in the transaction of its effect."""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.strict import JSON, Body
from domain.errors import Conflict, Invalid, MalformedBody, Problem
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.idempotency import IdempotencyRecords
from store.tables import IdempotencyRow

HEADER = "idempotency-key"
LONGEST_KEY = 255
KEPT_FOR = timedelta(hours=24)
UNDER_WAY_FOR = timedelta(minutes=5)  # a request that has not ended by then has died
NOT_KEPT = frozenset({"content-length"})


@dataclass(frozen=True)
class Claim:
    principal: str
    method: str
    path: str
    key: str
    fingerprint: str

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return self.principal, self.method, self.path, self.key

    @property
    def context(self) -> str:
        return "/".join(("idempotency", *self.identity))


def claim_of(request: Request, principal: str, body: Body) -> Claim | None:
    """None without the header; other methods than POST are idempotent by themselves."""
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return None
    if not 0 < len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        message = f"Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters."
        raise MalformedBody(message, code="idempotency_key_invalid")
    return Claim(principal, request.method, request.url.path, key, _fingerprint(request, body))


async def remembered(session: AsyncSession, keyring: Keyring, claim: Claim) -> Response | None:
    """The first answer, where there is one; else the claim is written down as under way.

    Raises Invalid for another body under the same key, Conflict while the first request is under way.
    """
    row = await _live(session, claim) or await _begin(session, claim)
    if row is None:
        return None
    if row.fingerprint != claim.fingerprint:
        problem = Problem("#/header/idempotency-key", "idempotency_mismatch", "Was sent with another body before.")
        raise Invalid("This Idempotency-Key was used with another body.", [problem], code="idempotency_mismatch")
    if row.status is None or row.answer is None:
        raise Conflict("The first request with this key is still under way.", code="idempotency_in_progress")
    return _replayed(row.status, keyring.decrypt_json(row.answer, claim.context))


async def remember(session: AsyncSession, keyring: Keyring, claim: Claim, response: Response) -> None:
    headers = [(name, value) for name, value in response.headers.items() if name not in NOT_KEPT]
    answer = {"headers": headers, "body": bytes(response.body).decode()}
    encrypted = keyring.encrypt_json(answer, claim.context)
    await IdempotencyRecords(session).finish(*claim.identity, status=response.status_code, answer=encrypted)


async def forget(session: AsyncSession, claim: Claim) -> None:
    """The answer is not kept: the next request with the key is a first one."""
    await IdempotencyRecords(session).delete(*claim.identity)


async def _live(session: AsyncSession, claim: Claim) -> IdempotencyRow | None:
    """The record; one that has outlived its time is removed."""
    records = IdempotencyRecords(session)
    row = await records.find(*claim.identity)
    if row is None:
        return None
    age = utcnow() - row.created_at
    if age < (UNDER_WAY_FOR if row.status is None else KEPT_FOR):
        return row
    await records.delete(*claim.identity)
    session.expunge(row)
    return None


async def _begin(session: AsyncSession, claim: Claim) -> IdempotencyRow | None:
    """None when the claim is ours now; else the record of whoever came first, whose end the insert has waited for."""
    records = IdempotencyRecords(session)
    try:
        async with session.begin_nested():
            await records.add(_placeholder(claim))
    except IntegrityError:
        return await records.find(*claim.identity) or _placeholder(claim)
    return None


def _placeholder(claim: Claim) -> IdempotencyRow:
    return IdempotencyRow(
        principal=claim.principal,
        method=claim.method,
        path=claim.path,
        key=claim.key,
        fingerprint=claim.fingerprint,
        status=None,
        answer=None,
        created_at=utcnow(),
    )


def _replayed(status: int, answer: dict[str, Any]) -> Response:
    response = Response(answer["body"], status)
    for name, value in answer["headers"]:
        response.headers[name] = value
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _fingerprint(request: Request, body: Body) -> str:
    """JSON counts by its value, so that another order of keys is the same body; an empty body counts as `{}`."""
    content_type, content = body.content_type or JSON, body.raw
    if content_type == JSON:
        content = json.dumps(body.value if body.raw else {}, sort_keys=True).encode()
    return hashlib.sha256(b"\n".join((request.url.query.encode(), content_type.encode(), content))).hexdigest()
