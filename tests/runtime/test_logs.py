import json
import subprocess
import sys
from typing import Any

import pytest

from runtime.logs import MASK, mask

PROGRAM = """
import logging
import structlog
from runtime.logs import configure_logs
configure_logs("info")
log = structlog.get_logger("flowgraft")
structlog.contextvars.bind_contextvars(execution_id="exec_1")
log.info("step_done", path="ship", api_key="hush")
log.debug("unseen")
logging.getLogger("library").warning("sent Bearer %s", "hush")
logging.getLogger("httpcore2").debug("hush")
try:
    raise ValueError("Authorization: Bearer hush")
except ValueError:
    log.exception("bug")
"""


def test_lines_are_json_with_context_and_without_secrets() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    step, library, bug = [json.loads(line) for line in done.stdout.splitlines()]
    assert step.pop("timestamp").endswith("Z")
    assert step == {
        "event": "step_done",
        "level": "info",
        "logger": "flowgraft",
        "execution_id": "exec_1",
        "path": "ship",
        "api_key": MASK,
    }
    assert library["event"] == f"sent Bearer {MASK}"
    assert "ValueError" in bug["exception"]
    assert "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", ["authorization", "Proxy-Authorization", "api_key", "apiKey", "API-KEY", "access_token", "db_password"]
)
def test_value_of_a_telling_key_is_masked(name: str) -> None:
    assert mask(None, "info", {name: "hush"}) == {name: MASK}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Bearer abc.def-ghi", f"Bearer {MASK}"),
        ("authorization: bearer abc, x", f"authorization: bearer {MASK}, x"),
        ("postgresql://user:hush@db/x", f"postgresql://user:{MASK}@db/x"),
        ({"headers": [{"Cookie": "hush"}]}, {"headers": [{"Cookie": MASK}]}),
        (("Bearer x", 1), [f"Bearer {MASK}", 1]),
        ("http://127.0.0.1:8700/hooks", "http://127.0.0.1:8700/hooks"),
        (3, 3),
        (None, None),
    ],
)
def test_value_is_masked_wherever_it_stands(value: Any, shown: Any) -> None:
    assert mask(None, "info", {"value": value}) == {"value": shown}


def test_absent_secret_is_shown_as_absent() -> None:
    assert mask(None, "info", {"token": None}) == {"token": None}
