"""Lists: what every one of them answers, and the opaque cursors between its pages."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import MalformedBody
from store.paging import Page

DEFAULT_LIMIT = 25
MOST = 100
LONGEST_CURSOR = 2000  # a name of 200 characters of four bytes, its id, and base64

Row = TypeVar("Row")
Item = TypeVar("Item")


class Listing(BaseModel, Generic[Item]):
    """One page, newest first. Pass `next_cursor` as `cursor` for the next."""

    data: list[Item]
    next_cursor: str | None
    has_more: bool


@dataclass(frozen=True)
class Pager:
    """The page a request asks for. `page` goes to the store, which answers one row more than `limit`."""

    request: Request
    response: Response
    page: Page

    def listing(self, rows: Sequence[Row], read: Callable[[Row], Item], key: Callable[[Row], str]) -> Listing[Item]:
        """Cuts the extra row, and links to the next page. `key` is what the list is sorted by, unique."""
        shown = rows[: self.page.limit]
        has_more = len(rows) > len(shown)
        cursor = _encode(self.request, key(shown[-1])) if has_more else None
        if cursor is not None:
            self.response.headers["Link"] = _link(self.request, cursor)
        return Listing(data=[read(row) for row in shown], next_cursor=cursor, has_more=has_more)


def whole(rows: Sequence[Row], read: Callable[[Row], Item]) -> Listing[Item]:
    """A list that always fits on one page."""
    return Listing(data=[read(row) for row in rows], next_cursor=None, has_more=False)


def requested_page(request: Request, limit: int, cursor: str | None) -> Page:
    return Page(limit, None if cursor is None else _decode(request, cursor))


def _encode(request: Request, after: str) -> str:
    text = json.dumps([_binding(request), after], ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(request: Request, cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        binding, after = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise _foreign() from None
    if binding != _binding(request) or not isinstance(after, str) or "\x00" in after:
        raise _foreign()
    return after


def _binding(request: Request) -> str:
    """A cursor belongs to one list and its filters; the page size may change on the way."""
    filters = sorted(item for item in request.query_params.multi_items() if item[0] not in ("cursor", "limit"))
    text = json.dumps([request.url.path, filters])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _foreign() -> MalformedBody:
    return MalformedBody("The cursor does not belong to this list and these filters.", code="invalid_cursor")


def _link(request: Request, cursor: str) -> str:
    query = [item for item in request.query_params.multi_items() if item[0] != "cursor"]
    return f'<{quote(request.url.path)}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'
