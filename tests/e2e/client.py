"""What a client of the product would write: the verbs of the REST API, and waiting."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx2

WAIT_SECONDS = 30.0
TERMINAL = frozenset({"succeeded", "failed", "canceled", "skipped"})

Json = dict[str, Any]
_numbers = count(1)


def fresh(stem: str) -> str:
    """A name that nothing else on this stack has."""
    return f"{stem}-{next(_numbers)}"


@dataclass(frozen=True)
class Provision:
    """One customer's instance of one published integration, with its flows by key."""

    customer: Json
    integration: Json
    version: Json
    instance: Json
    flows: dict[str, Json]

    @property
    def id(self) -> str:
        return str(self.instance["id"])

    def url(self, flow: str) -> str:
        return str(self.flows[flow]["webhook_url"])


class Client:
    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def call(self, method: str, url: str, *, expect: int = 200, **options: Any) -> Any:
        """The answer's JSON; anything but the expected status fails the test with what was answered."""
        response = await self.http.request(method, url, **options)
        assert response.status_code == expect, f"{method} {url} answered {response.status_code}: {response.text}"
        return response.json() if response.content else None

    async def customer(self) -> Json:
        name = fresh("Customer")
        answer: Json = await self.call(
            "POST", "/v1/customers", expect=201, json={"name": name, "external_id": name.lower()}
        )
        return answer

    async def integration(self, text: str, expect: int = 201) -> Json:
        answer: Json = await self.call(
            "POST", "/v1/integrations", expect=expect, content=text, headers={"Content-Type": "application/yaml"}
        )
        return answer

    async def publish(self, integration_id: str) -> Json:
        answer: Json = await self.call("POST", f"/v1/integrations/{integration_id}/versions", expect=201, json={})
        return answer

    async def instance(self, customer: Json, integration: Json, **more: Any) -> Json:
        body = {"customer_id": customer["id"], "integration_id": integration["id"], "name": fresh("Instance")} | more
        answer: Json = await self.call("POST", "/v1/instances", expect=201, json=body)
        return answer

    async def configure(self, instance_id: str, values: Mapping[str, Any], expect: int = 200) -> Json:
        answer: Json = await self.call(
            "PATCH", f"/v1/instances/{instance_id}/config", expect=expect, json={"values": dict(values)}
        )
        return answer

    async def deploy(self, instance_id: str, expect: int = 200) -> Json:
        answer: Json = await self.call("POST", f"/v1/instances/{instance_id}/deploy", expect=expect)
        return answer

    async def flows(self, instance_id: str) -> dict[str, Json]:
        return {flow["key"]: flow for flow in await self.all_of(f"/v1/instances/{instance_id}/flows")}

    async def provision(self, text: str, **config: Any) -> Provision:
        """All the way from a definition to a deployed instance. `KEY` in the text becomes a fresh key."""
        customer = await self.customer()
        integration = await self.integration(text.replace("KEY", fresh("e2e")))
        version = await self.publish(integration["id"])
        instance = await self.instance(customer, integration, config=config)
        await self.deploy(instance["id"])
        instance = await self.call("GET", f"/v1/instances/{instance['id']}")
        return Provision(customer, integration, version, instance, await self.flows(instance["id"]))

    async def deliver(self, url: str, expect: int = 202, **options: Any) -> Json:
        answer: Json = await self.call("POST", url, expect=expect, **options)
        return answer

    async def delivered(self, url: str, **options: Any) -> str:
        """The id of the accepted execution."""
        return str((await self.deliver(url, **options))["execution_id"])

    async def execution(self, execution_id: str) -> Json:
        answer: Json = await self.call("GET", f"/v1/executions/{execution_id}")
        return answer

    async def all_of(self, path: str, **filters: Any) -> list[Json]:
        """Everything, page by page."""
        found: list[Json] = []
        params = {"limit": 100} | filters
        while True:
            page = await self.call("GET", path, params=params)
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    async def executions(self, **filters: Any) -> list[Json]:
        return await self.all_of("/v1/executions", **filters)

    async def wait_for(self, execution_id: str, status: str, timeout: float = WAIT_SECONDS) -> Json:
        """The execution in this status. One that has ended otherwise fails the test at once."""
        deadline = asyncio.get_running_loop().time() + timeout
        while (execution := await self.execution(execution_id))["status"] != status:
            ended, late = execution["status"] in TERMINAL, asyncio.get_running_loop().time() > deadline
            if ended or late:
                state, error = execution["status"], execution["error"]
                raise AssertionError(f"{execution_id} is {state}, not {status}, after {timeout:g} s or less: {error}")
            await asyncio.sleep(0.05)
        return execution

    async def wait_for_job(self, job_id: str, timeout: float = WAIT_SECONDS) -> Json:
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            job: Json = await self.call("GET", f"/v1/jobs/{job_id}")
            if job["state"] != "running":
                return job
            assert asyncio.get_running_loop().time() < deadline, job
            await asyncio.sleep(0.05)
