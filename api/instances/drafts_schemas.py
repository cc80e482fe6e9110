"""What drafts and options look like on the wire."""

from typing import Any, Self

from pydantic import BaseModel, Field

from api.instances.drafts_service import DraftView
from api.shapes import Instant
from domain.options import Option


class DraftFieldRead(BaseModel):
    key: str
    value: Any = Field(description="Null for secrets, and where it goes back to the default: `is_set` tells")
    is_set: bool


class DraftRead(BaseModel):
    """What has been begun on one page of the configuration."""

    id: str = Field(description="The page, counted from 0", examples=["0"])
    name: str = Field(description="Of the page")
    fields: list[DraftFieldRead]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, view: DraftView) -> Self:
        row = view.draft.row
        return cls.model_validate(
            {
                "id": str(row.page),
                "name": view.page.page,
                "fields": view.fields,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            }
        )


class OptionRead(BaseModel):
    value: str | int | float | bool = Field(description="What the field keeps")
    label: str = Field(description="What people see")

    @classmethod
    def of(cls, option: Option) -> Self:
        return cls(value=option.value, label=option.label)
