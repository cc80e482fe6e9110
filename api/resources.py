"""What lives as long as the process: opened once by the lifespan, found at `app.state.resources`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from activities.deployments import Deployments
from activities.payloads import Payloads
from api.gateway import Gateway
from api.temporal import TemporalGateway
from components.catalogue import builtin_registry
from domain.catalog import ActionSpec
from runtime.codec import EncryptingCodec, data_converter
from runtime.crypto import Keyring
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
    catalog: Mapping[str, ActionSpec]
    codec: EncryptingCodec
    gateway: Gateway
    deployments: Deployments
    payloads: Payloads


@asynccontextmanager
async def open_resources(settings: Settings, gateway: Gateway | None) -> AsyncIterator[Resources]:
    """Raises Unavailable when the schema is not at the newest revision, SettingsInvalid without a key."""
    database = Database(settings.database_url)
    try:
        await ensure_current(database)
        keyring = Keyring(settings.keys)
        blobs = DatabaseBlobs(database)
        yield Resources(
            settings=settings,
            database=database,
            keyring=keyring,
            catalog=builtin_registry().catalog(),
            codec=EncryptingCodec(keyring, namespace(settings), blobs),
            gateway=gateway or await _temporal(settings, database, keyring, blobs),
            deployments=Deployments(database, keyring),
            payloads=Payloads(keyring),
        )
    finally:
        await database.dispose()


async def _temporal(settings: Settings, database: Database, keyring: Keyring, blobs: DatabaseBlobs) -> Gateway:
    """Connects at the first call: the API starts, and accepts, while Temporal is away."""
    client = await connect(settings, data_converter(keyring, namespace(settings), blobs), lazy=True)
    return TemporalGateway(client, database, settings)
