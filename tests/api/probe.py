"""Routes that exist in tests only, to see what the shell does with handlers of every kind."""

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from api.customers import service
from api.deps import AfterCommit, CallerDep, ResourcesDep, Session
from api.routing import requires, v1_router
from api.shapes import Input, Name
from runtime.clock import utcnow
from runtime.ids import new_id
from store.customers import CustomerFilter, Customers
from store.paging import Page
from store.tables import CustomerRow


class Note(Input):
    name: Name = "Noted"
    more: dict[str, Any] | None = None


class Told(BaseModel):
    told: int


def customer(name: str) -> dict[str, Any]:
    return {"name": name, "labels": [], "show_all_instances": False}


class Probe:
    """`calls` counts what the handlers did; `fail` is raised by them, once they have written."""

    def __init__(self) -> None:
        self.reset()
        self.router = self._routes()

    def reset(self) -> None:
        self.calls = 0
        self.committed: list[int] = []
        self.fail: Exception | None = None
        self.started, self.gate = asyncio.Event(), asyncio.Event()

    def _routes(self) -> APIRouter:
        router = v1_router("probe")

        @router.post("/probe/notes", status_code=201)
        @requires("execute")
        async def note(body: Note, session: Session, caller: CallerDep, after_commit: AfterCommit) -> Told:
            self.calls += 1
            after_commit.append(self._see(self.calls))
            await service.create(session, caller.principal, customer(body.name))
            if self.fail is not None:
                raise self.fail
            return Told(told=self.calls)

        @router.post("/probe/long")
        @requires("write", detached=True)
        async def long(body: Note, resources: ResourcesDep) -> Told:
            self.calls += 1
            self.started.set()
            await self.gate.wait()
            async with resources.database.transaction() as session:
                await service.find(session, CustomerFilter(), Page(1))
            if self.fail is not None:
                raise self.fail
            return Told(told=self.calls)

        @router.post("/probe/blind")
        @requires("write")
        async def blind(body: Note, session: Session) -> Told:
            now = utcnow()
            row = CustomerRow(id=new_id("cust"), created_at=now, updated_at=now, **customer(body.name))
            Customers(session).add(row)
            return Told(told=1)

        @router.post("/probe/empty")
        @requires("write")
        async def empty() -> Told:
            return Told(told=0)

        @router.get("/probe/writes")
        @requires("read")
        async def writes(session: Session) -> None:
            await service.create(session, "nobody", customer("Written by a GET"))
            await session.flush()

        @router.get("/probe/wrong_answer")
        @requires("read")
        async def wrong_answer() -> Told:
            return {"told": "no number"}  # type: ignore[return-value]

        return router

    def _see(self, number: int) -> Any:
        async def see() -> None:
            self.committed.append(number)
            if number == 13:
                raise RuntimeError("hand-over failed")

        return see
