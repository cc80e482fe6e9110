"""Targets and messages, as monitors, groups and event endpoints share them."""

from collections.abc import Sequence

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from activities.targets import NewSecrets, OwnedTargets, Wanted
from activities.vault import Vault
from api.target_shapes import DeliveryRead, TargetBody, WebhookBody
from domain.errors import Invalid, Problem
from domain.notifications import TargetKind
from store.deliveries import Deliveries
from store.monitors import AlertGroups
from store.tables import DeliveryRow


def of_body(body: TargetBody) -> Wanted:
    return Wanted(body.kind, body.address, body.template, revealed(body.headers), _secret(body.secret))


def of_webhook(body: WebhookBody) -> Wanted:
    return Wanted(TargetKind.WEBHOOK, body.url, body.template, revealed(body.headers), _secret(body.secret))


def revealed(headers: dict[str, SecretStr] | None) -> dict[str, str] | None:
    return None if headers is None else {name: value.get_secret_value() for name, value in headers.items()}


async def put(
    session: AsyncSession, vault: Vault, owner: tuple[str, str], wanted: Sequence[Wanted], pointer: str
) -> NewSecrets:
    """`owner` is its noun and its id. Raises Invalid for what is given twice and for groups that are not there."""
    named = [each.address for each in wanted if each.kind == TargetKind.GROUP]
    known = await AlertGroups(session).known(named)
    seen: set[tuple[str, str]] = set()
    problems = []
    for position, each in enumerate(wanted):
        where = f"{pointer}/{position}"
        if (each.kind, each.address) in seen:
            problems.append(Problem(where, "duplicate", "This one is given twice."))
        elif each.kind == TargetKind.GROUP and each.address not in known:
            problems.append(Problem(f"{where}/group_id", "not_found", "There is no such group."))
        seen.add((each.kind, each.address))
    if problems:
        raise Invalid(problems[0].detail, problems)
    return await OwnedTargets(session, vault, *owner).replace(wanted)


async def of_alert(session: AsyncSession, alert_id: str) -> list[DeliveryRead]:
    return await shown(session, await Deliveries(session).of_alert(alert_id))


async def shown(session: AsyncSession, rows: Sequence[DeliveryRow]) -> list[DeliveryRead]:
    """Messages with their attempts."""
    attempts = await Deliveries(session).attempts([row.id for row in rows])
    return [DeliveryRead.of(row, attempts[row.id]) for row in rows]


def _secret(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
