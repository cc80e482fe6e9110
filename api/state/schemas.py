"""What state looks like on the wire."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from api.shapes import Input, Instant
from store.state import Place, Row


class StatePut(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"value": {"cursor": 4711}}]})

    value: Any = Field(description="Any JSON; null counts as absent for `state.get`")


class StateRead(BaseModel):
    """One value. `truncated`: it is larger than lists show, see …/state/{key}."""

    key: str
    scope: str = Field(examples=["execution", "flow", "instance", "integration"])
    owner_id: str
    value: Any
    truncated: bool
    size: int = Field(description="Of the 64 MiB that all state of an instance, or of an integration, may take")
    updated_at: Instant

    @classmethod
    def of(cls, place: Place, row: Row, value: Any, *, truncated: bool = False) -> Self:
        return cls(
            key=row.key,
            scope=place.scope,
            owner_id=place.owner_id,
            value=value,
            truncated=truncated,
            size=row.size,
            updated_at=row.updated_at,
        )
