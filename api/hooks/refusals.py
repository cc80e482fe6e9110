"""Refused deliveries as the instance's log shows them: not each of a flood, and without what was sent."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from api.errors import CODE_STATUSES
from api.hooks.targets import Concerned
from domain.errors import FlowgraftError
from runtime.clock import utcnow
from runtime.ids import new_id
from store.engine import Database
from store.instances import Instances
from store.logs import Logs

EVERY = timedelta(minutes=1)  # per instance, flow and code
REMEMBERED = 10_000
WARN = 3
TOO_MANY = frozenset(CODE_STATUSES)  # what is answered with 429


class Refusals:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: OrderedDict[tuple[Concerned, str], datetime] = OrderedDict()

    async def note(self, concerned: Sequence[Concerned], error: FlowgraftError) -> None:
        """A line for each instance that it concerns and that is still there."""
        due = [each for each in concerned if self._is_due(each, error.code)]
        if not due:
            return
        reason = getattr(error, "reason", None)
        message = f"Webhook refused: {error.code}: {error.message}{f' ({reason})' if reason else ''}"
        async with self._database.transaction() as session:
            there = [each for each in due if await Instances(session).get(each.instance_id) is not None]
            kind = "rate_limit" if error.code in TOO_MANY else "management"
            await Logs(session).add_many([log_line(each, message) | {"type": kind} for each in there])

    def _is_due(self, concerned: Concerned, code: str) -> bool:
        now = utcnow()
        last = self._noted.get((concerned, code))
        if last is not None and last > now - EVERY:
            return False
        self._noted[(concerned, code)] = now
        if len(self._noted) > REMEMBERED:
            self._noted.popitem(last=False)
        return True


def log_line(concerned: Concerned, message: str) -> dict[str, Any]:
    return {
        "id": new_id("log"),
        "timestamp": utcnow(),
        "severity": WARN,
        "message": message,
        "type": "management",
        "instance_flow_id": concerned.flow_id,
        "instance_id": concerned.instance_id,
        "customer_id": concerned.customer_id,
    }
