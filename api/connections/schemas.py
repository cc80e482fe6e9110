"""What connections look like on the wire. Secrets go in and never come out."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api.connections.authorizing import Authorization
from api.connections.own_service import FieldConnection
from api.connections.service import ConnectionView
from api.connections.testing import Trial
from api.shapes import Filter, Input, Instant, Name, Patch
from store.connections import ConnectionFilter

Status = Literal["pending", "active", "error", "needs_reauth"]
Values = dict[str, Any]
TokenText = Annotated[SecretStr, Field(min_length=1, max_length=16 * 1024)]

EXAMPLE: dict[str, Any] = {"name": "Shop API", "kind": "http/bearer", "values": {"token": "…"}}


class ConnectionCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    kind: str = Field(max_length=100, examples=["http/bearer"])
    customer_id: str | None = Field(None, description="Whose it is. Default: the organisation's, for every customer")
    values: Values = Field(description="The inputs of its kind")


class ConnectionUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"values": {"token": "…"}}]})

    name: Name = Field(default_factory=str)
    values: Values = Field(default_factory=dict, description="Only the inputs to change; null takes one away")


class ConnectionQuery(Filter):
    q: str | None = Field(None, description="Any part of the name")
    kind: list[str] = Field(default_factory=list)
    customer_id: list[str] = Field(default_factory=list, description="`organization` for the organisation's own")
    status: list[Status] = Field(default_factory=list)

    def wanted(self) -> ConnectionFilter:
        return ConnectionFilter(self.q, self.kind, self.customer_id, self.status)


class ConnectionRead(BaseModel):
    id: str
    name: str
    kind: str
    customer_id: str | None
    status: Status
    values: Values = Field(description="Without secrets")
    used_by: int = Field(description="How many instances name it, in their configuration or their deployment")
    waiting_executions: int = Field(description="How many go on once it works again")
    connected_at: Instant | None
    expires_at: Instant | None = Field(description="When its access token ends, where the provider says")
    error: str | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, view: ConnectionView) -> Self:
        row = view.row
        return cls.model_validate(
            {
                "id": row.id,
                "name": row.name,
                "kind": row.kind,
                "customer_id": row.customer_id,
                "status": row.status,
                "values": view.values,
                "used_by": view.used_by,
                "waiting_executions": view.waiting,
                "connected_at": row.connected_at,
                "expires_at": row.expires_at,
                "error": row.error,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            }
        )


class FieldConnectionRead(BaseModel):
    """A connection field of an instance."""

    key: str
    kind: str
    status: Status
    connected_at: Instant | None
    expires_at: Instant | None = Field(description="When its access token ends, where the provider says")
    error: str | None
    connection_id: str | None = Field(description="Of the reusable connection that it names, if it does")
    waiting_executions: int = Field(description="How many go on once it works again")

    @classmethod
    def of(cls, found: FieldConnection) -> Self:
        return cls.model_validate(found, from_attributes=True)


class AuthorizeBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"redirect_to": "https://app.example.com/settings"}]})

    redirect_to: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="Where the browser goes at the end: under the public URL or an allowed origin"
    )


class AuthorizationRead(BaseModel):
    authorize_url: str = Field(description="For one browser, once")
    expires_at: Instant

    @classmethod
    def of(cls, found: Authorization) -> Self:
        return cls(authorize_url=found.url, expires_at=found.expires_at)


class TokensBody(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"access_token": "…", "refresh_token": "…", "expires_in": 3600}]}
    )

    access_token: TokenText
    refresh_token: TokenText | None = None
    expires_in: Annotated[int, Field(ge=1, le=366 * 24 * 3600)] | None = Field(None, description="Seconds from now")

    def answer(self) -> dict[str, Any]:
        """As a token endpoint would have it."""
        shown = {"access_token": self.access_token.get_secret_value(), "expires_in": self.expires_in}
        return shown | {"refresh_token": self.refresh_token and self.refresh_token.get_secret_value()}


class ConnectionTestRead(BaseModel):
    """Whether it works, and why not."""

    ok: bool
    error: str | None
    status: Status

    @classmethod
    def of(cls, result: Trial) -> Self:
        return cls.model_validate(result, from_attributes=True)
