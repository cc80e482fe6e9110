"""The scripts of deploy/ that can be run here, run."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from runtime.crypto import Keyring
from runtime.devserver import find_binary
from runtime.settings import Settings
from tests.fixtures.temporal import plain_client

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


def run(script: str, *arguments: str, **environment: str) -> str:
    command = ["/bin/sh", str(DEPLOY / script), *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True).stdout


def test_keys_are_usable_their_owners_alone_and_made_once(tmp_path: Path) -> None:
    assert run("make-keys.sh", str(tmp_path)).split("\n") == ["made encryption_keys", "made bootstrap_api_key", ""]
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    settings = Settings(database_url="sqlite+aiosqlite:////x", **made)  # type: ignore[arg-type]
    assert Keyring(settings.keys).encrypt_json({"a": 1}, "here")

    assert run("make-keys.sh", str(tmp_path)) == ""
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == made
    (tmp_path / "bootstrap_api_key").unlink()
    assert run("make-keys.sh", str(tmp_path)) == "made bootstrap_api_key\n"
    assert (tmp_path / "bootstrap_api_key").read_text() != made["bootstrap_api_key"]


async def test_namespace_is_made_once(temporal_address: str) -> None:
    path = f"{Path(find_binary()).parent}:{os.environ['PATH']}"
    given = {"PATH": path, "TEMPORAL_ADDRESS": temporal_address, "TEMPORAL_NAMESPACE": "deployed"}
    for _ in range(2):
        run("temporal/namespace.sh", **given)
    client = await plain_client(temporal_address)
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="deployed"))
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=14)
