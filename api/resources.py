"""What lives as long as the process: opened once by the lifespan, found at `app.state.resources`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from activities.connections import LiveConnections
from activities.deployments import Deployments
from activities.options import LiveOptions
from activities.outbox import Outbox
from activities.payloads import Payloads
from activities.vault import Vault, open_keyring
from api.gateway import Gateway
from api.temporal import TemporalGateway
from components.catalogue import builtin_registry
from domain.catalog import ActionSpec
from runtime.codec import EncryptingCodec, data_converter
from runtime.crypto import Keyring
from runtime.http import GuardedHttp
from runtime.settings import Settings
from runtime.temporal import connect, namespace
from store.blobs import DatabaseBlobs
from store.engine import Database
from store.migrate import ensure_current


@dataclass(frozen=True)
class Resources:
    settings: Settings
    database: Database
    keyring: Keyring
    vault: Vault
    catalog: Mapping[str, ActionSpec]
    codec: EncryptingCodec
    gateway: Gateway
    deployments: Deployments
    payloads: Payloads
    http: GuardedHttp
    connections: LiveConnections
    options: LiveOptions
    outbox: Outbox


@asynccontextmanager
async def open_resources(settings: Settings, gateway: Gateway | None) -> AsyncIterator[Resources]:
    """Raises Unavailable when the schema is not at the newest revision, SettingsInvalid without a key."""
    database = Database(settings.database_url)
    http = GuardedHttp(settings.allowed_networks)
    try:
        await ensure_current(database)
        keyring = await open_keyring(database, settings.keys)
        vault = Vault(keyring)
        blobs = DatabaseBlobs(database)
        registry = builtin_registry()
        connections = LiveConnections(database, vault, http)
        gateway = gateway or await _temporal(settings, database, keyring, blobs)
        outbox = Outbox(database)
        await outbox.open()
        resources = Resources(
            settings=settings,
            database=database,
            keyring=keyring,
            vault=vault,
            catalog=registry.catalog(),
            codec=EncryptingCodec(keyring, namespace(settings), blobs),
            gateway=gateway,
            deployments=Deployments(database, keyring, vault),
            payloads=Payloads(keyring),
            http=http,
            connections=connections,
            options=LiveOptions(registry, connections),
            outbox=outbox,
        )
        async with outbox.kept(gateway.tell_now):
            yield resources
        await gateway.close()
    finally:
        await http.aclose()
        await database.dispose()


async def _temporal(settings: Settings, database: Database, keyring: Keyring, blobs: DatabaseBlobs) -> Gateway:
    """Connects at the first call: the API starts, and accepts, while Temporal is away."""
    client = await connect(settings, data_converter(keyring, namespace(settings), blobs), lazy=True)
    return TemporalGateway(client, database, settings)
