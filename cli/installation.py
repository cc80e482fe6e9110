"""The doctor's checks of an installation, where its settings are: database, keys, Temporal. They change nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.service import RPCError

from activities import reconcile, usage
from activities.vault import missing_keys
from cli.finding import Finding, State, failed, ok, skipped, warning
from domain.errors import Unavailable
from runtime.clock import utcnow
from runtime.crypto import Keyring
from runtime.settings import Settings, SettingsInvalid, load_settings
from runtime.temporal import SEARCH_ATTRIBUTES, connect, connection_config
from store.conservation import Conservation
from store.data_keys import DataKeys
from store.engine import Database
from store.migrate import ensure_current
from store.sweeps import Sweeps

CALL_SECONDS = 5.0
RECONCILER_LATE = timedelta(minutes=10)  # it comes every minute
CALM = 0.05  # seconds: a process that ends right after its last call to Temporal may crash


def examine() -> list[Finding]:
    try:
        settings = load_settings()
    except SettingsInvalid as error:
        return [failed("settings", line) for line in str(error).splitlines()]
    findings = [ok("settings", "They can be read"), _keys(settings), *asyncio.run(_services(settings))]
    time.sleep(CALM)
    return findings


def _keys(settings: Settings) -> Finding:
    try:
        keyring = Keyring(settings.keys)
    except SettingsInvalid as error:
        return failed("encryption keys", str(error))
    return ok("encryption keys", f"{len(settings.keys)}, {keyring.primary_id} encrypts")


async def _services(settings: Settings) -> list[Finding]:
    schema = await _bounded("database", _with_database(settings, _schema))
    if schema.state is not State.OK:
        return [schema, *await _temporal(settings)]
    checks = (("data keys", _data_keys), ("reconciler", _reconciler), ("conservation", _conservation))
    found = [await _bounded(name, _with_database(settings, check)) for name, check in checks]
    return [schema, *found, *await _temporal(settings)]


async def _with_database(settings: Settings, check: Callable[[Settings, Database], Awaitable[Finding]]) -> Finding:
    database = Database(settings.database_url)
    try:
        return await check(settings, database)
    finally:
        await database.dispose()


async def _schema(settings: Settings, database: Database) -> Finding:
    try:
        await ensure_current(database)
    except Unavailable as error:
        return failed("database", error.message)
    return ok("database", "It answers and is at the newest schema")


async def _data_keys(settings: Settings, database: Database) -> Finding:
    try:
        keyring = Keyring(settings.keys)
    except SettingsInvalid:
        return skipped("data keys", "There is no encryption key")
    async with database.snapshot() as session:
        counts, missing = await DataKeys(session).counts(), await missing_keys(session, keyring)
    if missing:
        lost = ", ".join(f"{key_id} ({count} data keys are under it)" for key_id, count in sorted(missing.items()))
        return failed("data keys", f"FLOWGRAFT_ENCRYPTION_KEYS lacks {lost}: their secrets cannot be read")
    others = {key_id for key_id in counts if key_id != keyring.primary_id}
    hint = f"; under another than {keyring.primary_id}: flowgraft keys rotate" if others else ""
    return ok("data keys", f"{sum(counts.values())}{hint}")


async def _reconciler(settings: Settings, database: Database) -> Finding:
    """Its last run: what Temporal and the ledger differed in is mended by then."""
    async with database.snapshot() as session:
        sweep = await Sweeps(session).get(reconcile.SWEEP)
    if sweep is None:
        return skipped("reconciler", "It has not run yet")
    told = f"{_ago(sweep.ran_at)}, {sweep.report['looked_at']} workflows looked at"
    differences = ", ".join(f"{count} {kind}" for kind, count in sorted(sweep.report["differences"].items()))
    if differences or sweep.report["failed"]:
        failed_to = f", {sweep.report['failed']} could not be mended" if sweep.report["failed"] else ""
        return warning("reconciler", f"{told}: {differences or 'no difference'}{failed_to}")
    late = utcnow() - sweep.ran_at > RECONCILER_LATE
    return (warning if late else ok)("reconciler", f"{told}, no difference")


async def _conservation(settings: Settings, database: Database) -> Finding:
    async with database.snapshot() as session:
        sweep, imbalance = await Sweeps(session).get(usage.SWEEP), await Conservation(session).imbalance()
    if sweep is None:
        return skipped("conservation", "Nobody has counted yet")
    if imbalance:
        return failed("conservation", f"{imbalance} too many or too few: flowgraft conservation --unbalanced")
    return ok("conservation", f"The books balance, counted {_ago(sweep.ran_at)}")


def _ago(at: datetime) -> str:
    return f"{max((utcnow() - at).total_seconds(), 0):.0f} s ago"


async def _temporal(settings: Settings) -> list[Finding]:
    where = connection_config(settings)
    address = f"{where['target_host']}, namespace {where['namespace']}"
    try:
        client = await asyncio.wait_for(connect(settings, DataConverter.default), CALL_SECONDS)
        info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    except (RuntimeError, TimeoutError, RPCError) as error:
        return [failed("temporal", f"{address} cannot be reached: {_reason(error)}")]
    checks: list[tuple[str, Callable[[Client, Settings], Awaitable[Finding]]]] = [
        ("search attributes", _search_attributes),
        ("worker", _worker),
    ]
    return [
        ok("temporal", f"{address}, server {info.server_version}"),
        *[await _bounded(name, check(client, settings)) for name, check in checks],
        skipped("fairness", "Temporal does not tell; its dynamic configuration needs matching.enableFairness: true"),
    ]


async def _search_attributes(client: Client, settings: Settings) -> Finding:
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = [key.name for key in SEARCH_ATTRIBUTES if key.name not in answer.custom_attributes]
    if missing:
        return failed("search attributes", f"Missing, create them as Keyword: {', '.join(missing)}")
    return ok("search attributes", f"All {len(SEARCH_ATTRIBUTES)} are there")


async def _worker(client: Client, settings: Settings) -> Finding:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=settings.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    if not answer.pollers:
        return warning("worker", f"None listens on the task queue {settings.task_queue}: flowgraft worker")
    return ok("worker", f"{len(answer.pollers)} on the task queue {settings.task_queue}")


async def _bounded(check: str, finding: Awaitable[Finding]) -> Finding:
    """A server that hangs or refuses is a finding too."""
    try:
        return await asyncio.wait_for(finding, CALL_SECONDS)
    except (RPCError, TimeoutError, Unavailable) as error:
        return failed(check, _reason(error))


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
