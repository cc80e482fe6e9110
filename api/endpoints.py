"""Addresses of webhooks on the wire: an endpoint that flows have in common, and how an address is changed."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from activities.endpoints import previous_until, url_of
from api.shapes import Input, Instant
from domain.definitions.model import EndpointMode
from runtime.clock import utcnow
from store.endpoints import Addressed

LONGEST_OVERLAP = timedelta(days=30)

Overlap = Annotated[float, Field(strict=True, ge=0, le=LONGEST_OVERLAP.total_seconds(), allow_inf_nan=False)]


class RotateBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: Overlap = Field(0, description="For how long the URL until now goes on beside the new one")

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.overlap_seconds)


class EndpointRead(BaseModel):
    """Where the webhooks of a whole instance, or of all instances of an integration, come in."""

    mode: EndpointMode
    url: str | None = Field(description="None if each flow has its own")
    previous_url_until: Instant | None = Field(description="Until when the URL before this one is heard, too")

    @classmethod
    def of(cls, mode: str, row: Addressed | None, public_url: str) -> Self:
        url = url_of(public_url, row) if row else None
        until = previous_until(row, utcnow()) if row else None
        return cls.model_validate({"mode": mode, "url": url, "previous_url_until": until})
