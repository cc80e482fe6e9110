"""`/v1/integrations/{id}/versions` and `/v1/versions`."""

from fastapi import Response

from api.deps import CallerDep, EtagDep, PagerDep, PreconditionDep, Session
from api.etags import etag
from api.integrations import service, versions_service
from api.integrations.service import Publication
from api.integrations.versions_schemas import PublishBody, VersionDiffRead, VersionRead, VersionUpdate
from api.integrations.versions_service import VersionView
from api.paging import Listing
from api.routing import requires, v1_router
from api.shapes import VersionRef
from store.tables import VersionRow

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
    told = Publication(body.comment, body.attributes)
    view = await service.publish(session, caller.principal, integration_id, told, precondition)
    tag(view.row.revision)
    return _read(view)


@router.get("/integrations/{integration_id}/versions")
@requires("read")
async def list_(integration_id: str, session: Session, pager: PagerDep) -> Listing[VersionRead]:
    """List an integration's versions, newest first."""
    views = await versions_service.find(session, integration_id, pager.page)
    return pager.listing(views, _read, lambda view: view.row.id)


@router.get("/versions/{version_id}")
@requires("read")
async def get(version_id: str, session: Session, tag: EtagDep) -> VersionRead:
    """Read a version."""
    view = await versions_service.get(session, version_id)
    tag(view.row.revision)
    return _read(view)


@router.get("/versions/{version_id}/definition", response_class=Response, responses={200: {"content": {YAML: {}}}})
@requires("read")
async def definition(version_id: str, session: Session) -> Response:
    """Read what was published, as text."""
    row = (await versions_service.get(session, version_id)).row
    return Response(row.text, media_type=YAML, headers={"ETag": etag(row.revision)})


@router.get("/versions/{version_id}/diff")
@requires("read")
async def diff(version_id: str, session: Session, against: str | None = None) -> VersionDiffRead:
    """Say what this version adds, removes and changes, compared with `against`: by default the version before."""
    found = await versions_service.compare(session, version_id, against)
    other = _ref(found.against) if found.against is not None else None
    return VersionDiffRead.of(found.found, _ref(found.version), other)


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
    view = await versions_service.update(session, caller.principal, version_id, body.changes(), precondition)
    tag(view.row.revision)
    return _read(view)


def _read(view: VersionView) -> VersionRead:
    row = view.row
    return VersionRead(
        id=row.id,
        integration_id=row.integration_id,
        number=row.number,
        comment=row.comment,
        attributes=row.attributes or {},
        published_by=row.principal,
        available=row.available,
        instance_count=view.instance_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _ref(row: VersionRow) -> VersionRef:
    return VersionRef(id=row.id, number=row.number)
