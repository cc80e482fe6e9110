"""What encryption keys look like on the wire: ids and counts, never keys."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from api.keys.service import KeyUse
from api.shapes import Input


class KeyRead(BaseModel):
    id: str = Field(examples=["k2"])
    primary: bool = Field(description="New values are under it")
    on_ring: bool = Field(description="False: the API has no such key, and what is under it cannot be read")
    data_keys: int = Field(description="Data keys under it; what is under those counts for none here")
    values: dict[str, int] = Field(description="Values straight under it, by table and column; none are left out")
    histories: bool = Field(description="Executions that Temporal still knows may be under it")
    removable: bool = Field(description="Nothing needs it any more")

    @classmethod
    def of(cls, use: KeyUse) -> Self:
        return cls.model_validate(use, from_attributes=True)


class RotateBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"data_keys": True}]})

    data_keys: bool = Field(False, description="New data keys too, and all secrets anew under them")
    customer_id: str | None = Field(None, description="With data_keys: this customer's data key and nothing else")
    dry_run: bool = Field(False, description="Only say how much there is to do")


class RotationPlan(BaseModel):
    total: int = Field(description="Data keys and values to rewrite")
    stages: dict[str, int]
