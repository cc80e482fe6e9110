"""What pauses and suspensions look like on the wire."""

from typing import Annotated

from pydantic import ConfigDict, Field

from api.shapes import Input, Text
from domain.pausing import DEFAULT_RATE, FASTEST, SLOWEST, Keep, PauseMode

Rate = Annotated[float, Field(ge=SLOWEST, le=FASTEST, allow_inf_nan=False)]


class PauseBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"mode": "hold", "note": "The shop is moving"}]})

    mode: PauseMode | None = Field(
        None, description="drop: webhooks answer 409; hold: they answer 202 and wait. Default: drop, or as it is paused"
    )
    note: Text | None = None


class Drain(Input):
    rate_per_second: Rate = Field(DEFAULT_RATE, description="How many executions start in a second, at most")
    keep: Keep = Field(Keep.ALL, description="latest: of each flow, or of each key that the flow names, the newest")


class UnpauseBody(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"drain": {"rate_per_second": 5, "keep": "all"}}]},
    )

    drain: Drain = Field(default_factory=Drain, description="What becomes of what was held")


class SuspendBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "Floods its target"}]})

    note: Text | None = None
