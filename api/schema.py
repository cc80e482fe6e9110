"""The JSON Schema of `flowgraft/v1` definitions, for editors. Public."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from domain.definitions.jsonschema import definition_schema

router = APIRouter(tags=["schema"], generate_unique_id_function=lambda route: f"schema_{route.name}")


@router.get("/schema/flowgraft-v1.json")
async def flowgraft_v1() -> JSONResponse:
    """What a definition may hold: `# yaml-language-server: $schema=…/schema/flowgraft-v1.json`."""
    headers = {"Cache-Control": "public, max-age=300"}
    return JSONResponse(definition_schema(), headers=headers)
