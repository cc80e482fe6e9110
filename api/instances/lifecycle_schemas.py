"""What deploys and pauses look like on the wire."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from api.shapes import Input, Text
from domain.errors import Invalid, Problem
from domain.messages import DeployResult


class PauseBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "The shop is moving"}]})

    mode: Literal["drop", "hold"] = Field("drop", description="drop: webhooks answer 409; hold is not built yet")
    note: Text | None = None

    def ensure_supported(self) -> None:
        if self.mode == "hold":
            raise _not_supported("#/mode", "Holding what comes in during a pause is not built yet.")


class Drain(Input):
    rate_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    keep: Literal["all", "latest", "none"] = "all"


class UnpauseBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"drain": {"keep": "all"}}]})

    drain: Drain | None = Field(None, description="Of what was held; anything but keep: all is not built yet")

    def ensure_supported(self) -> None:
        if self.drain is None:
            return
        if self.drain.keep != "all":
            raise _not_supported("#/drain/keep", "Leaving out what was held is not built yet.")
        if self.drain.rate_per_second is not None:
            raise _not_supported("#/drain/rate_per_second", "A rate for what was held is not built yet.")


class DeploymentRead(BaseModel):
    deployment_id: str
    version: int
    webhook_urls: dict[str, str] = Field(description="By the flow's key; they never change with a deploy")
    deploy_executions: list[str] = Field(description="Executions of the deploy-trigger flows, accepted, not ended")

    @classmethod
    def of(cls, result: DeployResult) -> Self:
        return cls.model_validate(result, from_attributes=True)


def _not_supported(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, [Problem(pointer, "not_supported_yet", detail)], code="not_supported_yet")
