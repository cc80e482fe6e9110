"""What a webhook's token was given to. That never changes, so each process remembers it; all else is read anew."""

from collections import OrderedDict

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import FlowgraftError, Gone, NotFound
from store.endpoints import Endpoints, Owner
from store.engine import Database
from store.instance_flows import InstanceFlows

CACHED = 10_000
NO_WEBHOOK = "There is no such webhook"


class Tokens:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._owners: OrderedDict[str, Owner] = OrderedDict()

    async def owner(self, token: str) -> Owner:
        """Raises NotFound for a token that nobody has, Gone for one that somebody had lately."""
        held = self._owners.get(token)
        if held is not None:
            return held
        async with self._database.glance() as session:
            owner = await Endpoints(session).owner(token)
            if owner is None:
                raise await absent(session, token)
        self._owners[token] = owner
        if len(self._owners) > CACHED:
            self._owners.popitem(last=False)
        return owner


async def absent(session: AsyncSession, token: str) -> FlowgraftError:
    if await InstanceFlows(session).tombstone(token):
        return Gone("The instance of this webhook has been deleted, or its URL was changed")
    return NotFound(NO_WEBHOOK)
