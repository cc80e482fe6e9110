"""What an instance's configuration looks like on the wire."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from api.instances.config_service import ConfigView
from api.shapes import Input


class ConfigChange(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"values": {"region": "us", "big_order": None}}]})

    values: dict[str, Any] = Field(description="By key; null goes back to the default")


class FieldErrorRead(BaseModel):
    code: str = Field(examples=["missing"])
    detail: str


class FieldRead(BaseModel):
    key: str
    type: str = Field(examples=["string"])
    label: str
    description: str | None
    required: bool
    default: Any
    value: Any = Field(description="Null for secrets: `is_set` tells; of a connection its other fields")
    is_set: bool
    options: list[Any] | None
    errors: list[FieldErrorRead]


class PageRead(BaseModel):
    name: str
    tagline: str | None
    fields: list[FieldRead]


class ConfigRead(BaseModel):
    """The pages of the configuration, for the version that is chosen."""

    pages: list[PageRead]
    config_state: Literal["configured", "needs_configuration"]

    @classmethod
    def of(cls, view: ConfigView) -> Self:
        state = "configured" if view.row.configured else "needs_configuration"
        return cls.model_validate({"pages": view.pages, "config_state": state})
