"""The examples in docs/nouns/ do what they say, in the order in which a reader would paste them."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.client import Client
from tests.e2e.definitions import DOCUMENTED
from tests.e2e.target import Spot
from tests.fixtures.stack import ADMIN_KEY, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = sorted((Path(__file__).parents[2] / "docs" / "nouns").glob("*.md"))
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {page.stem: "\n".join(SHELL.findall(page.read_text(encoding="utf-8"))) for page in PAGES}
# An answer that is an error ends the script, and what failed is shown.
PREAMBLE = """\
set -euo pipefail
trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
curl() { command curl --fail-with-body --max-time 30 "$@"; }
"""


@pytest.mark.parametrize("page", EXAMPLES)
async def test_examples_of_a_page_work(stack: Stack, client: Client, spot: Spot, page: str, tmp_path: Path) -> None:
    made = await client.provision(DOCUMENTED, endpoint=spot.url)
    variables = {
        "URL": stack.url,
        "KEY": ADMIN_KEY,
        "CUSTOMER": made.customer["id"],
        "INTEGRATION": made.integration["id"],
        "VERSION": made.version["id"],
        "INSTANCE": made.id,
        "FLOW": made.flows["order-created"]["id"],
        "HOOK": made.url("order-created"),
    }
    environment = os.environ | variables | {"FLOWGRAFT_URL": stack.url, "FLOWGRAFT_API_KEY": ADMIN_KEY}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "FLOWGRAFT_CONFIG": "/dev/null"}
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        PREAMBLE + EXAMPLES[page],
        cwd=tmp_path,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), timeout=240)
    assert process.returncode == 0, f"{page}:\n{printed.decode(errors='replace')}"
