"""Targets: keeping those of an owner, the secrets that messages are signed with, and the values of headers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.vault import Vault
from domain.instants import read_instant, utc_text
from domain.notifications import TargetKind
from runtime.clock import utcnow
from runtime.ids import new_id, new_signing_secret
from store.tables import TargetRow
from store.targets import Targets

NewSecrets = dict[str, str]  # by the target's id


@dataclass(frozen=True)
class Credentials:
    """Of a webhook. While the secret is being changed, messages are signed with the one before, too."""

    secret: str
    headers: dict[str, str] = field(default_factory=dict)
    previous: str | None = None
    previous_until: str | None = None  # RFC 3339

    def secrets(self, now: datetime) -> list[str]:
        until = read_instant(self.previous_until or "")
        return [self.secret, self.previous] if self.previous and until and now < until else [self.secret]


class TargetSecrets:
    """Under the organisation's data key."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def seal(self, session: AsyncSession, row: TargetRow, credentials: Credentials) -> None:
        row.sealed = await self._vault.encrypt_json(session, None, asdict(credentials), target_place(row.id))
        row.header_names = sorted(credentials.headers)

    async def read(self, session: AsyncSession, row: TargetRow) -> Credentials | None:
        """None for what has no secrets: e-mail addresses and groups."""
        if row.sealed is None:
            return None
        held: dict[str, Any] = await self._vault.decrypt_json(session, row.sealed, target_place(row.id))
        return Credentials(**held)

    async def change_headers(self, session: AsyncSession, row: TargetRow, headers: dict[str, str]) -> None:
        held = await self.read(session, row) or Credentials(new_signing_secret())
        await self.seal(session, row, replace(held, headers=headers))


def target_place(target_id: str) -> str:
    """The associated data of its encrypted column."""
    return f"targets/{target_id}/sealed"


@dataclass(frozen=True)
class Wanted:
    """A target as somebody wants it. Headers and secret that are not given stay as they are."""

    kind: TargetKind
    address: str
    template: str | None = None
    headers: dict[str, str] | None = None
    secret: str | None = None


class OwnedTargets:
    """The targets of one owner. A target is known by its kind and address: another address is another target."""

    def __init__(self, session: AsyncSession, vault: Vault, owner: str, owner_id: str) -> None:
        self._session = session
        self._secrets = TargetSecrets(vault)
        self._owner = owner
        self._owner_id = owner_id

    async def replace(self, wanted: Sequence[Wanted]) -> NewSecrets:
        """Makes it these, enabled; the secrets of webhooks that were not there, to be shown once."""
        targets = Targets(self._session)
        rows = (await targets.of([self._owner_id])).get(self._owner_id, [])
        held = {(row.kind, row.address): row for row in rows}
        shown: NewSecrets = {}
        for position, each in enumerate(wanted):
            there = held.pop((each.kind.value, each.address), None)
            row = there or self._fresh(each)
            row.position, row.template, row.updated_at = position, each.template, utcnow()
            row.failing_since = row.disabled_at = row.disabled_reason = None
            secret = await self._keep(row, each) if each.kind == TargetKind.WEBHOOK else None
            if there is None:
                targets.add(row)
                shown |= {row.id: secret} if secret else {}
        await targets.delete([row.id for row in held.values()])
        await self._session.flush()
        return shown

    async def rotate(self, row: TargetRow, overlap: timedelta) -> str:
        """A new secret; with an overlap messages are signed with the one before, too."""
        held, now = await self._secrets.read(self._session, row), utcnow()
        fresh = new_signing_secret()
        before = {"previous": held.secret, "previous_until": utc_text(now + overlap)} if held and overlap else {}
        headers = held.headers if held else {}
        await self._secrets.seal(self._session, row, Credentials(fresh, headers, **before))
        row.updated_at = now
        return fresh

    async def _keep(self, row: TargetRow, wanted: Wanted) -> str:
        held = await self._secrets.read(self._session, row) or Credentials(wanted.secret or new_signing_secret())
        if wanted.secret is not None and wanted.secret != held.secret:
            held = Credentials(wanted.secret, held.headers)
        if wanted.headers is not None:
            held = replace(held, headers=wanted.headers)
        await self._secrets.seal(self._session, row, held)
        return held.secret

    def _fresh(self, wanted: Wanted) -> TargetRow:
        now = utcnow()
        return TargetRow(
            id=new_id("tgt"),
            owner_kind=self._owner,
            owner_id=self._owner_id,
            kind=wanted.kind.value,
            address=wanted.address,
            header_names=[],
            created_at=now,
            updated_at=now,
        )
