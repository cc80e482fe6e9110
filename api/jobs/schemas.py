"""What jobs look like on the wire."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from api.shapes import Instant
from store.tables import JobRow

ITEMS = {"replay": "replays", "upgrade": "upgrades"}  # kinds with an address of their own


class StageRead(BaseModel):
    stage: str
    at: Instant


class JobRead(BaseModel):
    id: str
    kind: str = Field(examples=["deploy", "delete", "delete_customer", "drain", "rotate_keys"])
    state: Literal["running", "paused", "succeeded", "failed", "aborted"]
    stage: str | None = Field(description="Where it is; of one that has failed, where it was")
    stages: list[StageRead] = Field(description="The stages so far, and when each was first entered")
    object_id: str
    total: int
    done: int
    failed: int
    items_url: str | None
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: JobRow) -> Self:
        return cls(
            id=row.id,
            kind=row.kind,
            state=row.state,
            stage=row.stage,
            stages=[StageRead.model_validate(each) for each in row.stages or []],
            object_id=row.object_id,
            total=row.total,
            done=row.done,
            failed=row.failed,
            items_url=f"/v1/{ITEMS[row.kind]}/{row.id}/items" if row.kind in ITEMS else None,
            error=row.error,
            result=row.result,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
