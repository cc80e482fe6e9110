"""`/oauth`: where a browser begins to authorise a connection, and where the provider sends it back. No API key."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.oauth import pages, service
from api.problems import problem_response
from api.resources import Resources
from domain.errors import MalformedBody

COOKIE_SECONDS = 600
NO_REFERRER = {"Referrer-Policy": "no-referrer"}

router = APIRouter(prefix="/oauth", include_in_schema=False)


@router.get("/start/{token}")
async def start(request: Request, token: str) -> Response:
    """Binds this browser, and sends it on to the provider."""
    resources: Resources = request.app.state.resources
    try:
        departure = await service.depart(resources, token)
    except MalformedBody as error:
        return _refused(request, error)
    response = RedirectResponse(departure.address, 302, NO_REFERRER)
    name, value = departure.cookie
    # Lax: the provider sends the browser back from another site.
    response.set_cookie(
        name, value, COOKIE_SECONDS, path="/", secure=_is_secure(resources), httponly=True, samesite="lax"
    )
    return response


@router.get("/callback")
async def callback(request: Request) -> Response:
    """Takes the provider's answer, in the browser that began."""
    resources: Resources = request.app.state.resources
    try:
        query = _once_each(request)
        back = await service.come_back(resources, query, request.cookies)
    except MalformedBody as error:
        return _refused(request, error)
    response: Response
    if back.error is not None:
        response = pages.page("Not connected", f"{back.label}: {back.error}.", 400)
    elif back.redirect_to is not None:
        response = RedirectResponse(back.redirect_to, 302, NO_REFERRER)
    else:
        response = pages.page("Connected", f"{back.label} is connected. You can close this window.", 200)
    response.delete_cookie(back.cookie, path="/", secure=_is_secure(resources), httponly=True, samesite="lax")
    return response


def _once_each(request: Request) -> dict[str, str]:
    """A parameter that comes twice means two things to two readers."""
    items = request.query_params.multi_items()
    if len({name for name, _ in items}) < len(items):
        raise service.invalid()
    return dict(items)


def _refused(request: Request, error: MalformedBody) -> Response:
    """A page for people, a problem for everything else."""
    if "text/html" in request.headers.get("accept", ""):
        return pages.page("This did not work", f"{error.message} ({error.code})", 400)
    return problem_response(request.scope, error)


def _is_secure(resources: Resources) -> bool:
    return resources.settings.public_url.startswith("https://")
