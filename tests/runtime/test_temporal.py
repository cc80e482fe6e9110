from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.converter import DataConverter
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from runtime.ids import new_id
from runtime.settings import Settings
from runtime.temporal import (
    SEARCH_ATTRIBUTES,
    bootstrap_namespace,
    compression,
    connect,
    connection_config,
    namespace,
)

URL = "sqlite+aiosqlite://"
WEEK = timedelta(days=7)


@pytest.fixture
async def fresh(temporal_settings: Settings) -> Client:
    """A client of a new namespace, which knows no search attributes."""
    client = await connect(temporal_settings, DataConverter.default)
    name = new_id("ns")
    keep = Duration(seconds=24 * 3600)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=keep)
    )
    return await connect(temporal_settings.model_copy(update={"temporal_namespace": name}), DataConverter.default)


async def retention(client: Client) -> timedelta:
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()


def test_server_of_our_own_goes_before_the_environment() -> None:
    settings = Settings(database_url=URL, temporal_address="127.0.0.1:7999", temporal_namespace="mine")
    assert connection_config(settings) == {"target_host": "127.0.0.1:7999", "namespace": "mine"}
    assert namespace(settings) == "mine"


def test_there_is_always_an_address_and_a_namespace() -> None:
    config = connection_config(Settings(database_url=URL))
    assert config["target_host"]
    assert config["namespace"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:7233", GrpcCompression.NONE),
        ("127.0.0.1:7233", GrpcCompression.NONE),
        ("[::1]:7233", GrpcCompression.NONE),
        ("temporal:7233", GrpcCompression.GZIP),
        ("10.0.0.1:7233", GrpcCompression.GZIP),
        ("us-east-1.aws.api.temporal.io:7233", GrpcCompression.GZIP),
    ],
)
def test_compression_is_off_on_this_machine_only(target: str, expected: GrpcCompression) -> None:
    assert compression(target) is expected


async def test_lazy_client_does_not_connect() -> None:
    settings = Settings(database_url=URL, temporal_address="127.0.0.1:1")
    client = await connect(settings, DataConverter.default, lazy=True)
    assert client.namespace == "default"


async def test_bootstrap_makes_a_namespace_usable(fresh: Client) -> None:
    await bootstrap_namespace(fresh, WEEK)
    pairs = [SearchAttributePair(key, "some_1") for key in SEARCH_ATTRIBUTES]
    await fresh.start_workflow(
        "Any", id="exec_1", task_queue="none", search_attributes=TypedSearchAttributes(cast(Any, pairs))
    )
    assert await retention(fresh) == WEEK


async def test_bootstrap_repeated_never_cuts_the_retention(fresh: Client) -> None:
    await bootstrap_namespace(fresh, WEEK)
    await bootstrap_namespace(fresh, timedelta(days=3))
    assert await retention(fresh) == WEEK


class RefusingServer:
    """Temporal Cloud, where a worker's key may neither add search attributes nor change the namespace."""

    namespace = "cloud.a1b2c"

    def __init__(self, usable: bool) -> None:
        self._usable = usable
        self.operator_service = SimpleNamespace(add_search_attributes=self._refuse)
        self.workflow_service = SimpleNamespace(describe_namespace=self._refuse)

    async def count_workflows(self, query: str) -> int:
        if not self._usable:
            raise RPCError("invalid query: invalid search attribute", RPCStatusCode.INVALID_ARGUMENT, b"")
        return 0

    async def _refuse(self, request: object) -> None:
        raise RPCError("no", RPCStatusCode.PERMISSION_DENIED, b"")


async def test_bootstrap_lives_with_refusals_when_all_is_there() -> None:
    await bootstrap_namespace(cast(Client, RefusingServer(usable=True)), WEEK)


async def test_bootstrap_says_what_to_create_when_it_may_not() -> None:
    with pytest.raises(RuntimeError, match=r"lacks Keyword search attributes: CustomerId, .*ReplayOf"):
        await bootstrap_namespace(cast(Client, RefusingServer(usable=False)), WEEK)
