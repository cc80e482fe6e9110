"""The floor: POST → start_workflow → HTTP activities, without a ledger, a codec or a flow.

`python -m bench.bare api TEMPORAL PORT TARGET` and `python -m bench.bare worker TEMPORAL`.
"""

import asyncio
import sys
from datetime import timedelta
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.service import GrpcCompression
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from runtime.ids import new_id

QUEUE = "bench-bare"


class Activities:
    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    @activity.defn
    async def fetch(self, url: str) -> Any:
        return (await self._client.get(url)).json()


@workflow.defn(name="Bare")
class BareWorkflow:
    @workflow.run
    async def run(self, body: Any, url: str, steps: int) -> None:
        for _ in range(steps):
            await workflow.execute_activity_method(Activities.fetch, url, start_to_close_timeout=timedelta(seconds=30))


def create_app(temporal: str, target: str) -> FastAPI:
    app = FastAPI()

    @app.post("/{steps}", status_code=202)
    async def start(request: Request, steps: int) -> dict[str, str]:
        if not hasattr(app.state, "client"):
            app.state.client = await _connect(temporal)
        workflow_id = new_id("exec")
        arguments = [await request.json(), f"{target}/orders/7", steps]
        await app.state.client.start_workflow("Bare", args=arguments, id=workflow_id, task_queue=QUEUE)
        return {"execution_id": workflow_id}

    return app


async def work(temporal: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        await Worker(
            await _connect(temporal),
            task_queue=QUEUE,
            workflows=[BareWorkflow],
            activities=[Activities(client).fetch],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ).run()


async def _connect(temporal: str) -> Client:
    return await Client.connect(temporal, grpc_compression=GrpcCompression.NONE)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.run(work(sys.argv[2]))
    else:
        _, _, address, port, target_url = sys.argv
        uvicorn.run(create_app(address, target_url), port=int(port), log_level="warning", access_log=False)
