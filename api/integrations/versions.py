"""`/v1/integrations/{id}/versions` and `/v1/versions`."""

from fastapi import Response

from api.deps import CallerDep, EtagDep, PagerDep, PreconditionDep, Session
from api.etags import etag
from api.integrations import service
from api.integrations.schemas import PublishBody, VersionRead, VersionUpdate
from api.integrations.service import VersionView
from api.paging import Listing
from api.routing import requires, v1_router

YAML = "application/yaml"

router = v1_router("versions")


@router.post("/integrations/{integration_id}/versions", status_code=201)
@requires("write")
async def publish(
    integration_id: str,
    body: PublishBody,
    session: Session,
    caller: CallerDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> VersionRead:
    """Publish the draft as the next version, which never changes again."""
    view = await service.publish(session, caller.principal, integration_id, body.comment, precondition)
    tag(view.row.revision)
    return _read(view)


@router.get("/integrations/{integration_id}/versions")
@requires("read")
async def list_(integration_id: str, session: Session, pager: PagerDep) -> Listing[VersionRead]:
    """List an integration's versions, newest first."""
    views = await service.find_versions(session, integration_id, pager.page)
    return pager.listing(views, _read, lambda view: view.row.id)


@router.get("/versions/{version_id}")
@requires("read")
async def get(version_id: str, session: Session, tag: EtagDep) -> VersionRead:
    """Read a version."""
    view = await service.get_version(session, version_id)
    tag(view.row.revision)
    return _read(view)


@router.get("/versions/{version_id}/definition", response_class=Response, responses={200: {"content": {YAML: {}}}})
@requires("read")
async def definition(version_id: str, session: Session) -> Response:
    """Read what was published, as text."""
    row = (await service.get_version(session, version_id)).row
    return Response(row.text, media_type=YAML, headers={"ETag": etag(row.revision)})


@router.patch("/versions/{version_id}")
@requires("write")
async def update(
    version_id: str,
    body: VersionUpdate,
    session: Session,
    caller: CallerDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> VersionRead:
    """Say whether the version can be chosen for an instance."""
    view = await service.update_version(session, caller.principal, version_id, body.changes(), precondition)
    tag(view.row.revision)
    return _read(view)


def _read(view: VersionView) -> VersionRead:
    row = view.row
    return VersionRead(
        id=row.id,
        integration_id=row.integration_id,
        number=row.number,
        comment=row.comment,
        available=row.available,
        instance_count=view.instance_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
