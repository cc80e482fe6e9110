"""An installation with an encrypted value in every place, and a rotation of its keys without a worker."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.configuration import Configuration
from activities.connection_secrets import connection_place, sealed_place
from activities.deployments import Deployments, secrets_context
from activities.drafts import Drafts
from activities.jobs import JobActivities
from activities.payloads import Payload, Payloads, stored_payload_context
from activities.places import places
from activities.records import value_context
from activities.rotation import RotationActivities
from activities.schedules import Schedules
from activities.state import state_context
from activities.vault import Vault
from domain.definitions.model import Definition
from domain.instants import utc_text
from domain.messages import RotateBatch, RotateInput
from domain.rotation import advanced, ended
from runtime.clock import utcnow
from runtime.codec import blob_context
from runtime.crypto import Keyring
from store.engine import Database
from store.steps import Record, Steps
from store.tables import (
    Base,
    BlobRow,
    ConfigValueRow,
    ConnectionRow,
    DataKeyRow,
    DeploymentRow,
    InstanceFlowRow,
    OAuthStateRow,
    PayloadRow,
    StateRow,
    StepRow,
)
from tests.activities.kit import definition
from tests.factories import NOW, Deployed, an_id, deployed, execution, job, save, saved
from tests.store.test_steps import step

K1, K2 = ("k1", b"1" * 32), ("k2", b"2" * 32)
OLD, BOTH, NEW = Keyring([K1]), Keyring([K2, K1]), Keyring([K2])
FIELDS: list[dict[str, Any]] = [{"key": "password", "type": "string", "secret": True}]
GREETER: Definition = definition({}, config=FIELDS)
HIDDEN = {"secrets": {"password": "pa55"}, "connections": {}}
GIVEN = Payload("POST", "/", [], [], "text/plain", b"order 7")
NAMESPACE = "default"


@dataclass
class NotedSchedules:
    synced: list[str] = field(default_factory=list)

    async def sync_instance(self, instance_id: str) -> None:
        self.synced.append(instance_id)


@dataclass
class Rotation:
    database: Database
    keyring: Keyring = BOTH
    schedules: NotedSchedules | Schedules = field(default_factory=NotedSchedules)

    def __post_init__(self) -> None:
        schedules, jobs = cast(Schedules, self.schedules), JobActivities(self.database)
        self.vault = Vault(self.keyring)
        self.activities = RotationActivities(
            self.database, self.keyring, self.vault, schedules, jobs, places(NAMESPACE)
        )
        self.environment = ActivityEnvironment()

    async def plan(self, **given: Any) -> RotateInput:
        row = job(kind="rotate_keys")
        await saved(self.database, row)
        message = RotateInput(row.id, self.keyring.primary_id, began_at=utc_text(utcnow()), **given)
        return replace(message, stages=await self.environment.run(self.activities.plan_rotation, message))

    async def batch(self, state: RotateInput) -> RotateBatch:
        batch: RotateBatch = await self.environment.run(self.activities.rotate_batch, state)
        return batch

    async def run(self, state: RotateInput) -> RotateInput:
        """As the workflow does."""
        while not ended(state):
            state = advanced(state, await self.batch(state))
        return state

    async def keys(self) -> list[DataKeyRow]:
        async with self.database.snapshot() as session:
            return list(await session.scalars(select(DataKeyRow).order_by(DataKeyRow.id)))


@dataclass(frozen=True)
class World:
    """A customer's instance with an encrypted value in every place."""

    made: Deployed
    execution_id: str

    @property
    def instance_id(self) -> str:
        return self.made.instance.id


async def furnished(database: Database, ring: Keyring = OLD, *, before_data_keys: bool = False) -> World:
    made_execution = an_id("exec")
    async with database.transaction() as session:
        made = await deployed(session, GREETER)
        row = execution(made.instance, made.flow, id=made_execution, payload_id=made_execution)
        session.add(row)
        await session.flush()
        await Steps(session).record([_step(ring, made_execution)])
        for each in _values(ring, made, made_execution):
            session.add(each)
        flow = await session.get_one(InstanceFlowRow, made.flow.id)
        flow.test_payload = ring.encrypt_json({"body": 7}, stored_payload_context(flow.id))
        flow.schedule = {"cron": "0 3 * * *", "time_zone": "UTC", "catch_up_seconds": 60.0}
        await _hide(session, ring, made, before_data_keys)
    return World(made, made_execution)


def _values(ring: Keyring, made: Deployed, execution_id: str) -> list[Base]:
    owner = {"scope": "flow", "owner_id": made.flow.id, "instance_id": made.instance.id, "updated_at": NOW}
    return [
        StateRow(key="cursor", value=ring.encrypt_json(42, state_context("flow", made.flow.id, "cursor")), **owner),
        StateRow(key="absent", value=None, **owner),
        Payloads(ring).seal(GIVEN, execution_id, made.instance.id, NOW),
        BlobRow(
            id=f"{execution_id}/blob",
            workflow_id=execution_id,
            data=ring.encrypt(b"large", blob_context(NAMESPACE, f"{execution_id}/blob")),
            created_at=NOW,
        ),
    ]


def _step(ring: Keyring, execution_id: str) -> Record:
    at = (execution_id, 1, "greet")
    inputs = ring.encrypt_json("in", value_context(*at, "inputs"))
    return step(execution_id, inputs=inputs, output=ring.encrypt_json("out", value_context(*at, "output")))


async def _hide(session: AsyncSession, ring: Keyring, made: Deployed, before_data_keys: bool) -> None:
    deployment = await session.get_one(DeploymentRow, made.deployment.id)
    place = secrets_context(deployment.id)
    vault = Vault(ring)
    await Configuration(vault).write(session, made.instance, GREETER.fields(), {"password": "pa55"}, NOW)
    deployment.secrets = await vault.encrypt_json(session, made.customer.id, HIDDEN, place)
    if before_data_keys:
        deployment.secrets = ring.encrypt_json(HIDDEN, place)
        config = await session.get_one(ConfigValueRow, (made.instance.id, "password"))
        config.secret = ring.encrypt_json("pa55", f"instances/{made.instance.id}/config/password")
        await session.flush()
        await session.execute(delete(DataKeyRow).where(DataKeyRow.owner == made.customer.id))
    await hide_connection(session, vault, made.customer.id)
    await Drafts(vault).save(session, made.instance, 0, {"password": "new"})


async def hide_connection(session: AsyncSession, vault: Vault, owner: str | None) -> None:
    """With an authorisation under way."""
    row = ConnectionRow(
        id=an_id("conn"), kind="http/oauth2", customer_id=owner, status="active", created_at=NOW, updated_at=NOW
    )
    row.values = await vault.encrypt_json(session, owner, HIDDEN, connection_place(row.id, "values"))
    row.tokens = await vault.encrypt_json(session, owner, HIDDEN, connection_place(row.id, "tokens"))
    begun = OAuthStateRow(
        id=row.id,
        connection_id=row.id,
        customer_id=owner,
        principal="bootstrap",
        sealed=await vault.encrypt_json(session, owner, HIDDEN, sealed_place(row.id)),
        expires_at=NOW,
    )
    await save(session, row, begun)


async def read_connections(session: AsyncSession, vault: Vault, owner: str | None) -> None:
    for row in await session.scalars(select(ConnectionRow).where(ConnectionRow.customer_id == owner)):
        for column in ("values", "tokens"):
            place = connection_place(row.id, column)
            assert await vault.decrypt_json(session, getattr(row, column) or b"", place) == HIDDEN
        begun = await session.get_one(OAuthStateRow, row.id)
        assert await vault.decrypt_json(session, begun.sealed, sealed_place(row.id)) == HIDDEN


async def read(database: Database, ring: Keyring, world: World) -> None:
    """All of it, as the product reads it; raises for what it cannot decrypt."""
    vault, made = Vault(ring), world.made
    assert (await Deployments(database, ring, vault).get(made.deployment.id)).secrets == HIDDEN["secrets"]
    async with database.snapshot() as session:
        assert (await Configuration(vault).read(session, world.instance_id))["password"] == "pa55"
        assert (await Drafts(vault).drafted(session, world.instance_id))["password"] == "new"
        await read_connections(session, vault, made.customer.id)
        state = await session.get_one(StateRow, ("flow", made.flow.id, "cursor"))
        assert ring.decrypt_json(state.value or b"", state_context("flow", made.flow.id, "cursor")) == 42
        flow = await session.get_one(InstanceFlowRow, made.flow.id)
        assert ring.decrypt_json(flow.test_payload or b"", stored_payload_context(flow.id)) == {"body": 7}
        assert Payloads(ring).open(await session.get_one(PayloadRow, world.execution_id)) == GIVEN
        at = (world.execution_id, 1, "greet")
        record = await session.get_one(StepRow, at)
        assert ring.decrypt_json(record.inputs or b"", value_context(*at, "inputs")) == "in"
        assert ring.decrypt_json(record.output or b"", value_context(*at, "output")) == "out"
        blob = await session.get_one(BlobRow, f"{world.execution_id}/blob")
        assert ring.decrypt(blob.data, blob_context(NAMESPACE, blob.id)) == b"large"
