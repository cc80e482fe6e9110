"""Whatever a client sends, the answer is one that the OpenAPI document knows, and never a 500."""

import subprocess
import sys
from pathlib import Path

from tests.fixtures.stack import ADMIN_KEY, Stack

CHECKS = "not_a_server_error,content_type_conformance,status_code_conformance"
EXAMPLES = "10"  # of each operation


def test_fuzzed_requests_get_documented_answers(stack: Stack, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{stack.url}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {ADMIN_KEY}", "--checks", CHECKS, "--phases", "fuzzing"]
    command += ["--max-examples", EXAMPLES, "--generation-deterministic", "--exclude-path-regex", "/(hooks|codec)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[done.stdout.find("FAILURES") :][:6000]
