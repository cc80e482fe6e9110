"""What API keys look like on the wire."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from api.auth import Scope
from api.shapes import Input, Instant, Name
from store.tables import ApiKeyRow


class ApiKeyCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "CI", "scopes": ["write"], "expires_at": None}]})

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4, description="Each includes the ones before")]
    expires_at: Instant | None = None


class ApiKeyRead(BaseModel):
    id: str
    name: str
    scopes: list[Scope]
    expires_at: Instant | None
    last_used_at: Instant | None = Field(description="To the hour")
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: ApiKeyRow) -> Self:
        return cls.model_validate(row, from_attributes=True)


class ApiKeyCreated(ApiKeyRead):
    key: str = Field(description="Shown this once")
