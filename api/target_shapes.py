"""What targets look like on the wire: webhooks with their secrets, e-mail addresses, groups."""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from activities.targets import NewSecrets
from api.shapes import Input, Instant
from components.http_headers import sendable_name, sendable_value
from domain.connections import is_address
from domain.notifications import TargetKind, template_problem
from domain.signatures import is_standard_secret
from store.tables import DeliveryAttemptRow, DeliveryRow, TargetRow

MOST_HEADERS = 20
MOST_TARGETS = 50
OURS = ("webhook-", "content-length")  # headers that begin so are written by us

_EMAIL = re.compile(r"[^\s@<>\",;:\\()\[\]]{1,64}@[^\s@<>\",;:\\()\[\]]{1,253}")


def _usable_url(url: str) -> str:
    if not url.isprintable() or not is_address(url):
        raise ValueError("must be an address such as https://alerts.example.com/hook, without a user")
    return url


def _usable_email(address: str) -> str:
    if not address.isprintable() or not _EMAIL.fullmatch(address):
        raise ValueError("must be an address such as ops@example.com")
    return address


def _usable_template(template: str) -> str:
    problem = template_problem(template)
    if problem is not None:
        raise ValueError(problem)
    return template


def _usable_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not sendable_name(name) or name.lower().startswith(OURS):
            raise ValueError(f"{name!r:.100} cannot be set as a header")
        if not sendable_value(value.get_secret_value()):
            raise ValueError(f"the value of {name} holds characters that no header can carry")
    return headers


def _usable_secret(secret: SecretStr) -> SecretStr:
    if not is_standard_secret(secret.get_secret_value()):
        raise ValueError("must be whsec_ and 24 to 64 bytes in base64")
    return secret


Url = Annotated[str, Field(min_length=8, max_length=2000), AfterValidator(_usable_url)]
Email = Annotated[str, Field(min_length=3, max_length=320), AfterValidator(_usable_email)]
Template = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_usable_template)]
Headers = Annotated[
    dict[str, Annotated[SecretStr, Field(max_length=4000)]],
    Field(max_length=MOST_HEADERS),
    AfterValidator(_usable_headers),
]
Secret = Annotated[SecretStr, Field(max_length=200), AfterValidator(_usable_secret)]


class TargetBody(Input):
    """Exactly one of `webhook`, `email` and `group_id`."""

    webhook: Url | None = None
    headers: Headers | None = Field(None, description="Write-only. Left out, those that it has stay")
    template: Template | None = Field(None, description="Of the payload, with variables such as `$NAME`")
    secret: Secret | None = Field(None, description="Of the signature; default: a new one, shown once")
    email: Email | None = None
    group_id: str | None = Field(None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _is_one_of_a_kind(self) -> Self:
        if sum(each is not None for each in (self.webhook, self.email, self.group_id)) != 1:
            raise ValueError("give exactly one of webhook, email and group_id")
        if self.webhook is None and any(each is not None for each in (self.headers, self.template, self.secret)):
            raise ValueError("headers, template and secret belong to a webhook")
        return self

    @property
    def kind(self) -> TargetKind:
        if self.webhook is not None:
            return TargetKind.WEBHOOK
        return TargetKind.EMAIL if self.email is not None else TargetKind.GROUP

    @property
    def address(self) -> str:
        return self.webhook or self.email or self.group_id or ""


class WebhookBody(Input):
    """A webhook of a group."""

    url: Url
    headers: Headers | None = Field(None, description="Write-only. Left out, those that it has stay")
    template: Template | None = Field(None, description="Of the payload, with variables such as `$NAME`")
    secret: Secret | None = Field(None, description="Of the signature; default: a new one, shown once")


class TargetRead(BaseModel):
    id: str
    webhook: str | None
    email: str | None
    group_id: str | None
    header_names: list[str]
    template: str | None
    secret: str | None = Field(description="Only in the answer that made it")
    failing_since: Instant | None = Field(description="Nothing has arrived since then")
    disabled_at: Instant | None
    disabled_reason: str | None = Field(description="`gone`: it answered 410; `failing`: for five days")

    @classmethod
    def of(cls, row: TargetRow, shown: NewSecrets) -> Self:
        return cls(
            id=row.id,
            webhook=row.address if row.kind == TargetKind.WEBHOOK else None,
            email=row.address if row.kind == TargetKind.EMAIL else None,
            group_id=row.address if row.kind == TargetKind.GROUP else None,
            header_names=row.header_names,
            template=row.template,
            secret=shown.get(row.id),
            failing_since=row.failing_since,
            disabled_at=row.disabled_at,
            disabled_reason=row.disabled_reason,
        )


class AttemptRead(BaseModel):
    number: int
    at: Instant
    seconds: float
    status_code: int | None
    error: str | None

    @classmethod
    def of(cls, row: DeliveryAttemptRow) -> Self:
        return cls.model_validate(row, from_attributes=True)


class DeliveryRead(BaseModel):
    """A message to one target. `id` is its `webhook-id`, the same at every attempt."""

    id: str
    event: str = Field(examples=["instance.deployed"])
    kind: str = Field(examples=["webhook", "email"])
    to: str
    target_id: str
    is_test: bool
    state: str = Field(examples=["pending", "succeeded", "failed", "canceled"])
    status_code: int | None = Field(description="Of the last attempt")
    error: str | None
    next_attempt_at: Instant | None
    content_type: str
    body: str
    attempts: list[AttemptRead]
    created_at: Instant
    updated_at: Instant
    ended_at: Instant | None

    @classmethod
    def of(cls, row: DeliveryRow, attempts: list[DeliveryAttemptRow]) -> Self:
        given: dict[str, Any] = {
            "id": row.id,
            "event": row.event,
            "kind": row.kind,
            "to": row.address,
            "target_id": row.target_id,
            "is_test": row.is_test,
            "state": row.state,
            "status_code": row.status_code,
            "error": row.error,
            "next_attempt_at": None if row.ended_at else row.due_at,
            "content_type": row.content_type,
            "body": row.body,
            "attempts": [AttemptRead.of(each) for each in attempts],
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "ended_at": row.ended_at,
        }
        return cls.model_validate(given)
