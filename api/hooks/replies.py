"""The answer to a caller who waits: the flow's own, as the ledger has it once the execution has ended."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from activities.records import value_context
from api.problems import problem
from api.resources import Resources
from domain.errors import Rejected
from domain.executions import TERMINAL, Status
from domain.replies import Reply, reply
from store.executions import Executions
from store.steps import Steps
from store.tables import ExecutionRow

MOST_WAITING = 1000  # callers in one process; others get a receipt
# A flow's answer is shown under our address: nothing in it may act as one of our pages.
HARMLESS = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


class Replies:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._waiting = 0

    async def of(self, request: Request, execution_id: str, seconds: float) -> Response | None:
        """None: it has not ended by then, or nobody can tell; it goes on. No connection is held while it is waited."""
        if self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            if not await self._resources.gateway.ended(execution_id, seconds):
                return None
        finally:
            self._waiting -= 1
        async with self._resources.database.snapshot() as session:
            row = await Executions(session).get(execution_id)
            if row is None or row.status not in TERMINAL:
                return None
            told = await self._told(Steps(session), row) if row.status == Status.SUCCEEDED else None
        return self._response(request, row, told)

    async def _told(self, steps: Steps, row: ExecutionRow) -> Mapping[str, object]:
        """Of a `stop` step; without one the last step's value is the body."""
        last = await steps.answer(row.id, row.attempt)
        if last is None or last.output is None:
            return {}
        context = value_context(last.execution_id, last.attempt, last.path, "output")
        value = self._resources.keyring.decrypt_json(last.output, context)
        return (value or {}) if last.is_stop else {"body": value}

    def _response(self, request: Request, row: ExecutionRow, told: Mapping[str, object] | None) -> Response:
        if told is None:
            status = 500 if row.status == Status.FAILED else 409
            detail = f"The execution {row.id} {'has failed' if status == 500 else f'was {row.status}'}"
            return problem(request.scope, status, f"execution_{row.status}", detail)
        try:
            found: Reply = reply(told)
        except Rejected as error:
            return problem(request.scope, 500, error.code, error.message)
        return Response(found.content, found.status, {**found.headers, **HARMLESS})
