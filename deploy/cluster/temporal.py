"""Temporal's own server on PostgreSQL, as docker-compose.yml configures it, as a child process."""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from cli.processes import Child
from deploy.cluster.postgres import PostgresServer
from runtime.devserver import HOST, NAMESPACE, find_binary

DEPLOY = Path(__file__).parent.parent / "temporal"
SERVICES = ("FRONTEND", "HISTORY", "MATCHING", "WORKER")
SCHEMAS = {"temporal": "temporal", "temporal_visibility": "visibility"}
SHARDS = 16  # for good: it cannot be changed once there is data


class TemporalServer:
    """`stop`, `kill` and `start` keep data and ports. `binaries` holds `server` and `sql`, as `go install` has it."""

    def __init__(self, binaries: Path, postgres: PostgresServer, ports: Iterator[int], log_file: Path) -> None:
        if not (binaries / "server").is_file() or not (binaries / "sql").is_file():
            raise RuntimeError(f"no `server` and `sql` of Temporal in {binaries}: `make cluster` builds them")
        self._binaries = binaries
        self._postgres = postgres
        self.port = next(ports)
        environment = server_environment(postgres.port, self.port, ports)
        program = [str(binaries / "server"), "--allow-no-auth"]
        self.process = Child("Temporal", ["start"], environment, log_file, program)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        return self.process.pid

    def bring_schema_up(self) -> None:
        """New or older ones, to the version of the binaries. What schema.sh does with the image's files."""
        for database, schema in SCHEMAS.items():
            self._sql(database, "setup-schema", "-v", "0.0")
            self._sql(database, "update-schema", "--schema-name", f"postgresql/v12/{schema}")

    async def start(self) -> None:
        """Returns when it answers and has its namespace; raises RuntimeError when it does not."""
        self.process.start()
        script = await asyncio.create_subprocess_exec(
            "/bin/sh",
            str(DEPLOY / "namespace.sh"),
            env={
                "PATH": f"{Path(find_binary()).parent}:{os.environ['PATH']}",
                "TEMPORAL_ADDRESS": self.address,
                "TEMPORAL_NAMESPACE": NAMESPACE,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if await script.wait() or not self.process.running:
            raise RuntimeError(f"Temporal did not start:\n{self.process.last_words()}")

    async def stop(self) -> None:
        self.process.ask_to_stop()
        await self.process.wait()

    def kill(self) -> None:
        self.process.kill()

    def _sql(self, database: str, *arguments: str) -> None:
        connection = ["--plugin", "postgres12_pgx", "--endpoint", HOST, "--port", str(self._postgres.port)]
        command = [str(self._binaries / "sql"), *connection, "--user", "temporal", "--database", database, *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Temporal's schema: {arguments[0]} failed:\n{done.stdout.decode(errors='replace')}")


def server_environment(postgres_port: int, port: int, ports: Iterator[int]) -> Mapping[str, str]:
    """Nothing of ours is inherited: the server reads more than forty variables."""
    listening = {f"{service}_GRPC_PORT": str(next(ports)) for service in SERVICES}
    listening |= {f"{service}_MEMBERSHIP_PORT": str(next(ports)) for service in SERVICES}
    listening |= {"FRONTEND_GRPC_PORT": str(port), "FRONTEND_HTTP_PORT": str(next(ports))}
    return listening | {
        "DB": "postgres12_pgx",
        "DB_PORT": str(postgres_port),
        "POSTGRES_SEEDS": HOST,
        "POSTGRES_USER": "temporal",
        "DBNAME": "temporal",
        "VISIBILITY_DBNAME": "temporal_visibility",
        "NUM_HISTORY_SHARDS": str(SHARDS),
        "BIND_ON_IP": HOST,
        "DYNAMIC_CONFIG_FILE_PATH": str(DEPLOY / "dynamicconfig.yaml"),
        "LOG_LEVEL": "warn",
    }
