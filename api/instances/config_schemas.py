"""What an instance's configuration looks like on the wire."""

from typing import Annotated, Any, Literal, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from api.instances.config_service import ConfigView
from api.shapes import Input

View = Annotated[
    Literal["customer"] | None,
    Query(description="`customer`: as customers see it; what is hidden from them is left out, and not to be changed"),
]


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
    live_options: bool = Field(description="Whether `GET …/config/fields/{key}/options` lists more than `options`")
    collection: Literal["list", "map"] | None
    secret: bool
    visible_to: Literal["customer", "embedded", "organization"]
    language: Literal["json", "xml", "html"] | None = Field(description="Of code")
    form_schema: dict[str, Any] | None = Field(alias="schema", description="Of a json_form")
    ui_schema: dict[str, Any] | None
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
