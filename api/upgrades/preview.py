"""The dry run of a bulk upgrade: per instance what would change, and what would fail."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.configuration import Configuration
from activities.connection_fields import ensure_connected
from activities.deploys import ensure_deployable
from activities.vault import Vault
from api.upgrades.service import Matched, Wanted
from domain.definitions.model import Definition
from domain.errors import Invalid, Problem
from domain.upgrades import SkipReason
from store.integrations import Integrations
from store.tables import InstanceRow, VersionRow
from store.upgrades import Candidate

MOST_ITEMS = 1000


@dataclass(frozen=True)
class Forecast:
    instance_id: str
    before: dict[str, Any]  # id and number
    ok: bool
    skipped: SkipReason | None = None
    deploys: bool = False
    problems: list[Problem] = field(default_factory=list)
    flows_added: list[str] = field(default_factory=list)
    flows_removed: list[str] = field(default_factory=list)
    unused_values: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Preview:
    version: VersionRow
    matched: int
    items: list[Forecast]


async def preview(session: AsyncSession, vault: Vault, matched: Matched, wanted: Wanted) -> Preview:
    """Of the first thousand; who has more names the others."""
    looker = _Looker(session, vault, matched.version, wanted.redeploy)
    items = [await looker.forecast(candidate) for candidate in matched.candidates[:MOST_ITEMS]]
    return Preview(matched.version, len(matched.candidates), items)


class _Looker:
    def __init__(self, session: AsyncSession, vault: Vault, to: VersionRow, redeploy: bool) -> None:
        self._session = session
        self._vault = vault
        self._configuration = Configuration(vault)
        self._to = to
        self._target = Definition.model_validate(to.definition)
        self._redeploy = redeploy
        self._flows: dict[str, list[str]] = {}  # keys, by version

    async def forecast(self, candidate: Candidate) -> Forecast:
        standing = candidate.standing
        before = {"id": standing.version_id, "number": candidate.version_number}
        skipped = standing.reason_to_skip(self._to.id, self._redeploy)
        if skipped is not None:
            return Forecast(candidate.instance_id, before, ok=True, skipped=skipped)
        values = await self._configuration.read(self._session, candidate.instance_id)
        problems = await self._problems(candidate.instance_id, values)
        deploys = standing.deploys(self._redeploy)
        had = await self._flows_of(standing.deployed_version_id or standing.version_id)
        has = [flow.key for flow in self._target.flows]
        return Forecast(
            candidate.instance_id,
            before,
            ok=not (problems and deploys),
            deploys=deploys,
            problems=problems,
            flows_added=[key for key in has if key not in had],
            flows_removed=[key for key in had if key not in has],
            unused_values=sorted(values.keys() - self._target.fields().keys()),
        )

    async def _flows_of(self, version_id: str) -> list[str]:
        held = self._flows.get(version_id)
        if held is None:
            version = await Integrations(self._session).version(version_id)
            assert version is not None, "it is a foreign key"
            held = self._flows[version_id] = [flow["key"] for flow in version.definition["flows"]]
        return held

    async def _problems(self, instance_id: str, values: dict[str, Any]) -> list[Problem]:
        """Those that a deploy would find."""
        try:
            ensure_deployable(self._target, values)
            instance = await self._session.get_one(InstanceRow, instance_id)
            await ensure_connected(self._session, self._vault, instance, self._target.fields(), values)
        except Invalid as error:
            return error.problems
        return []
