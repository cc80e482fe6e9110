"""Facts of the outbox as what people are told of: with names, and everywhere they matter."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.alerts import Happening, Names
from domain.monitors import Place
from store.alerts import Subjects
from store.tables import OutboxRow


async def happenings(session: AsyncSession, rows: Sequence[OutboxRow]) -> list[Happening]:
    """In their order. Tests are left out."""
    bare = [_bare(row) for row in rows]
    tests = await Subjects(session).tests([each.execution_id for each in bare if each.execution_id])
    return await named(session, [each for each in bare if each.execution_id not in tests])


async def named(session: AsyncSession, bare: Sequence[Happening]) -> list[Happening]:
    """With names, and with the integrations and users that the places do not name."""
    subjects = Subjects(session)
    shared = [each.object_id for each in bare if _is_shared_connection(each) and each.object_id]
    users = await subjects.users(shared)
    instance_ids = {each.place.instance_id for each in bare} | {used for ids in users.values() for used in ids}
    known = _Known(
        instances=await subjects.instances(sorted(_given(instance_ids))),
        customers=await subjects.customers(sorted(_given({each.place.customer_id for each in bare}))),
        integrations=await subjects.integrations(sorted(_given({each.place.integration_id for each in bare}))),
        flows=await subjects.flows(sorted(_given({each.place.flow_id for each in bare}))),
    )
    return [_complete(each, known, users.get(each.object_id or "", [])) for each in bare]


class _Known:
    def __init__(
        self,
        instances: dict[str, Names],
        customers: dict[str, dict[str, Any]],
        integrations: dict[str, dict[str, Any]],
        flows: dict[str, dict[str, Any]],
    ) -> None:
        self.instances = instances
        self._by_noun = {"customer": customers, "integration": integrations, "flow": flows}

    def names(self, place: Place) -> Names:
        found = dict(self.instances.get(place.instance_id or "", {}))
        for noun, known in self._by_noun.items():
            each = known.get(getattr(place, f"{noun}_id") or "")
            if each is not None:
                found[noun] = each
        return found

    def place_of(self, instance_id: str) -> Place:
        names = self.instances[instance_id]
        return Place(names["customer"]["id"], names["integration"]["id"], instance_id)


def _bare(row: OutboxRow) -> Happening:
    fact = dict(row.fact)
    details = dict(fact["details"])
    names = details.pop("names", {})
    return Happening(
        kind=row.kind,
        at=row.at,
        place=Place(**fact["place"]),
        names=names,
        execution_id=fact["execution_id"],
        object_id=fact["object_id"],
        principal=fact["principal"],
        details=details,
    )


def _complete(bare: Happening, known: _Known, users: Sequence[str]) -> Happening:
    place = bare.place
    if place.instance_id in known.instances:
        place = replace(known.place_of(place.instance_id), flow_id=place.flow_id)
    used = [known.place_of(each) for each in users if each in known.instances]
    elsewhere = [replace(bare, place=each, names=known.names(each)) for each in used]
    return replace(bare, place=place, names=bare.names | known.names(place), elsewhere=elsewhere)


def _is_shared_connection(about: Happening) -> bool:
    return about.kind.startswith("connection.") and about.place.instance_id is None


def _given(ids: set[str | None]) -> set[str]:
    return {each for each in ids if each}
