"""Liveness and readiness, for orchestrators: no key, no details."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from activities.vault import missing_keys
from api.deps import ResourcesDep
from api.resources import Resources
from domain.errors import FlowgraftError, Unavailable
from store.migrate import ensure_current

PROBE_SECONDS = 0.5

router = APIRouter(tags=["health"], generate_unique_id_function=lambda route: f"health_{route.name}")


class Live(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """`degraded`: Temporal is away, and webhooks are still accepted and started later; or an encryption key is missing
    that data keys are under, and their customers' secrets cannot be read."""

    model_config = ConfigDict(populate_by_name=True)

    status: Literal["ready", "degraded", "unavailable"]
    database: Literal["ok", "unavailable"]
    temporal: Literal["ok", "unavailable"]
    schema_: Literal["ok", "outdated", "unknown"] = Field(alias="schema")
    keys: Literal["ok", "missing", "unknown"]


@router.get("/livez")
async def livez() -> Live:
    """Is the process alive? Touches nothing else."""
    return Live()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(resources: ResourcesDep, response: Response) -> Ready:
    """Can it serve? 200 when ready or degraded, 503 when unavailable."""
    ready = await _probe(resources)
    response.status_code = 503 if ready.status == "unavailable" else 200
    return ready


async def _probe(resources: Resources) -> Ready:
    database, schema, temporal = await asyncio.gather(
        _database(resources), _schema(resources), _within(resources.gateway.healthy())
    )
    usable = database == "ok" and schema == "ok"
    keys = await _keys(resources) if usable else "unknown"
    status: Literal["ready", "degraded", "unavailable"] = "unavailable" if not usable else "ready"
    if usable and not (temporal and keys == "ok"):
        status = "degraded"
    return Ready(
        status=status, database=database, temporal="ok" if temporal else "unavailable", schema_=schema, keys=keys
    )


async def _database(resources: Resources) -> Literal["ok", "unavailable"]:
    async def ping() -> bool:
        await resources.database.ping()
        return True

    return "ok" if await _within(ping()) else "unavailable"


async def _schema(resources: Resources) -> Literal["ok", "outdated", "unknown"]:
    try:
        await asyncio.wait_for(ensure_current(resources.database), PROBE_SECONDS)
    except Unavailable as error:
        return "outdated" if error.code == "schema_outdated" else "unknown"
    except TimeoutError:
        return "unknown"
    return "ok"


async def _keys(resources: Resources) -> Literal["ok", "missing", "unknown"]:
    async def missing() -> bool:
        async with resources.database.glance() as session:
            return bool(await missing_keys(session, resources.keyring))

    try:
        return "missing" if await asyncio.wait_for(missing(), PROBE_SECONDS) else "ok"
    except (FlowgraftError, TimeoutError):
        return "unknown"


async def _within(probe: Awaitable[bool]) -> bool:
    try:
        return await asyncio.wait_for(probe, PROBE_SECONDS)
    except (FlowgraftError, TimeoutError):
        return False
