"""ETags are a row's revision; `If-Match` guards a write against somebody else's."""

from dataclasses import dataclass

from domain.errors import VersionConflict


def etag(revision: int) -> str:
    return f'"{revision}"'


@dataclass(frozen=True)
class Precondition:
    """What `If-Match` said; without the header, and with `*`, everything passes."""

    wanted: str | None = None

    def ensure(self, revision: int) -> None:
        """Raises VersionConflict. Call it in the transaction of the write, on the row read there."""
        if self.wanted is None:
            return
        tags = {tag.strip() for tag in self.wanted.split(",")}
        if not tags & {"*", etag(revision)}:
            raise VersionConflict(f'The resource has changed: it is at revision "{revision}" now.')
