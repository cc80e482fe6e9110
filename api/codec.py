"""Temporal's remote codec, so that its Web UI shows decrypted payloads to those allowed.

With an admin key, or under the capability address that `flowgraft dev` gives to the Web UI on this machine.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from api.deps import BodyDep, ResourcesDep
from api.resources import Resources
from api.routing import GuardedRoute, requires
from api.strict import JSON, read_body
from domain.errors import MalformedBody, NotFound
from runtime.codec import EncryptingCodec, decode_json_payloads, encode_json_payloads
from runtime.crypto import DecryptionFailed, KeyMissing, same_secret

ALLOWED_HEADERS = "content-type, x-namespace, authorization"

Conversion = Callable[[EncryptingCodec, dict[str, Any]], Awaitable[dict[str, Any]]]
CONVERSIONS: dict[str, Conversion] = {"decode": decode_json_payloads, "encode": encode_json_payloads}

guarded = APIRouter(prefix="/codec", route_class=GuardedRoute, strict_content_type=False, include_in_schema=False)
router = APIRouter(prefix="/codec", include_in_schema=False)


@guarded.post("/{verb}")
@requires("admin", detached=True, accepts=(JSON,))
async def convert_with_key(
    verb: str, request: Request, response: Response, body: BodyDep, resources: ResourcesDep
) -> dict[str, Any]:
    """Decode or encode Temporal payloads."""
    _allow_origin(request, response, resources)
    return await _convert(resources, verb, body.value)


@router.post("/{capability}/{verb}")
async def convert_with_capability(
    capability: str, verb: str, request: Request, response: Response, resources: ResourcesDep
) -> dict[str, Any]:
    """Decode or encode Temporal payloads, for whoever knows the address."""
    expected = resources.settings.codec_capability
    if expected is None or not same_secret(capability, expected.get_secret_value()):
        raise NotFound("There is nothing here.")
    _allow_origin(request, response, resources)
    return await _convert(resources, verb, (await read_body(request, (JSON,))).value)


@router.options("/{verb}", status_code=204)
@router.options("/{capability}/{verb}", status_code=204)
async def preflight(request: Request, response: Response, resources: ResourcesDep) -> None:
    """What a browser asks before it calls."""
    _allow_origin(request, response, resources)


async def _convert(resources: Resources, verb: str, body: Any) -> dict[str, Any]:
    conversion = CONVERSIONS.get(verb)
    if conversion is None:
        raise NotFound("There is decode and encode.")
    if not isinstance(body, dict):
        raise MalformedBody("The body must be an object with payloads.")
    try:
        return await conversion(resources.codec, body)
    except (DecryptionFailed, KeyMissing, LookupError, ValueError):
        raise MalformedBody("A payload cannot be decoded.", code="payload_undecodable") from None


def _allow_origin(request: Request, response: Response, resources: Resources) -> None:
    allowed = resources.settings.codec_ui_origin
    response.headers["Vary"] = "Origin"
    if allowed is not None and request.headers.get("origin") == allowed:
        response.headers["Access-Control-Allow-Origin"] = allowed
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
