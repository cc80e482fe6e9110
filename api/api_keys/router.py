"""`/v1/api_keys`."""

from api.api_keys import service
from api.api_keys.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyRead
from api.deps import CallerDep, PagerDep, Session
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("api_keys")


@router.post("/api_keys", status_code=201)
@requires("admin")
async def create(body: ApiKeyCreate, session: Session, caller: CallerDep) -> ApiKeyCreated:
    """Create an API key. The answer is the only place where it is shown."""
    row, key = await service.create(session, caller.principal, body.name, body.scopes, body.expires_at)
    return ApiKeyCreated(key=key, **ApiKeyRead.of(row).model_dump())


@router.get("/api_keys")
@requires("admin")
async def list_(session: Session, pager: PagerDep) -> Listing[ApiKeyRead]:
    """List API keys, newest first."""
    rows = await service.find(session, pager.page)
    return pager.listing(rows, ApiKeyRead.of, lambda row: row.id)


@router.delete("/api_keys/{key_id}", status_code=204)
@requires("admin")
async def delete(key_id: str, session: Session, caller: CallerDep) -> None:
    """Delete an API key: it is refused from now on."""
    await service.delete(session, caller.principal, key_id)
