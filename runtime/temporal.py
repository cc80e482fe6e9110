"""Connecting to Temporal, and what a namespace must have before Flowgraft can use it."""

import asyncio
import ipaddress
from datetime import timedelta

import structlog
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from runtime.settings import Settings

CUSTOMER_ID = SearchAttributeKey.for_keyword("CustomerId")
INSTANCE_ID = SearchAttributeKey.for_keyword("InstanceId")
INSTANCE_FLOW_ID = SearchAttributeKey.for_keyword("InstanceFlowId")
INTEGRATION_ID = SearchAttributeKey.for_keyword("IntegrationId")
INTEGRATION_VERSION = SearchAttributeKey.for_keyword("IntegrationVersion")
TRIGGER = SearchAttributeKey.for_keyword("Trigger")
OUTCOME = SearchAttributeKey.for_keyword("Outcome")
REPLAY_OF = SearchAttributeKey.for_keyword("ReplayOf")
SCHEDULED_BY = SearchAttributeKey.for_keyword("TemporalScheduledById")  # Temporal's own
SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
SEARCH_ATTRIBUTES = (
    CUSTOMER_ID,
    INSTANCE_ID,
    INSTANCE_FLOW_ID,
    INTEGRATION_ID,
    INTEGRATION_VERSION,
    TRIGGER,
    OUTCOME,
    REPLAY_OF,
)

RETENTION = timedelta(days=14)  # of histories that have ended
USABLE_WITHIN = 30.0  # seconds; the servers' caches live up to a minute, mostly it takes two
REFUSALS = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED})

log = structlog.get_logger(__name__)


async def connect(
    settings: Settings, data_converter: DataConverter, *, lazy: bool = False, runtime: Runtime | None = None
) -> Client:
    """A client. With `lazy` the first call connects, and raises RuntimeError or RPCError when it cannot."""
    config = connection_config(settings)
    squeeze = compression(config["target_host"])
    return await Client.connect(
        **config, data_converter=data_converter, lazy=lazy, grpc_compression=squeeze, runtime=runtime
    )


def measured_runtime(host: str, port: int) -> Runtime:
    """Serves the SDK's own metrics, named as Prometheus wants it, until the process ends: make one per process.

    Raises ValueError when the port is taken.
    """
    metrics = PrometheusConfig(
        bind_address=f"{host}:{port}", counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=metrics))


def connection_config(settings: Settings) -> ClientConnectConfig:
    """Address, namespace and credentials: Temporal's own variables, unless the settings name a server of ours."""
    if settings.temporal_address:
        return ClientConnectConfig(target_host=settings.temporal_address, namespace=settings.temporal_namespace)
    defaults = ClientConnectConfig(target_host="localhost:7233", namespace="default")
    return defaults | ClientConfig.load_client_connect_config()


def namespace(settings: Settings) -> str:
    """Needed before connecting, because the codec binds payloads to it."""
    return connection_config(settings)["namespace"]


def compression(target: str) -> GrpcCompression:
    """None on this machine, where it only costs time."""
    host = target.rpartition(":")[0].strip("[]")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return GrpcCompression.NONE if local else GrpcCompression.GZIP


async def bootstrap_namespace(client: Client, retention: timedelta) -> None:
    """Registers our search attributes, waits until they are usable, and raises the retention. Repeatable.

    Where the server refuses (Temporal Cloud does not let a worker's key do this) it logs what to create.
    """
    allowed = await _add_search_attributes(client)
    await _until_usable(client, USABLE_WITHIN if allowed else 0.0)
    await _raise_retention(client, retention)


async def _add_search_attributes(client: Client) -> bool:
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={key.name: keyword for key in SEARCH_ATTRIBUTES}
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status not in REFUSALS:
            raise
        log.warning("search_attributes_refused", namespace=client.namespace, create_as_keyword=_names())
        return False
    return True


async def _until_usable(client: Client, within: float) -> None:
    # In backticks, because TRIGGER is a word of SQL.
    query = " AND ".join(f"`{name}` = 'none'" for name in _names())
    deadline = asyncio.get_running_loop().time() + within
    while True:
        try:
            await client.count_workflows(query)
            return
        except RPCError as error:
            if error.status != RPCStatusCode.INVALID_ARGUMENT:
                raise
        if asyncio.get_running_loop().time() >= deadline:
            raise RuntimeError(f"namespace {client.namespace} lacks Keyword search attributes: {', '.join(_names())}")
        await asyncio.sleep(0.2)


async def _raise_retention(client: Client, retention: timedelta) -> None:
    """Never cuts what an operator has set longer."""
    service = client.workflow_service
    try:
        described = await service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
        if described.config.workflow_execution_retention_ttl.ToTimedelta() >= retention:
            return
        wanted = NamespaceConfig(workflow_execution_retention_ttl=_duration(retention))
        await service.update_namespace(UpdateNamespaceRequest(namespace=client.namespace, config=wanted))
    except RPCError as error:
        if error.status not in REFUSALS:
            raise
        log.warning("retention_refused", namespace=client.namespace, set_to_days=retention.days)


def _names() -> list[str]:
    return [key.name for key in SEARCH_ATTRIBUTES]


def _duration(value: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(value)
    return duration
