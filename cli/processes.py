"""Child processes of a supervisor such as `flowgraft dev`: they end with it, however it ends, never before its word."""

import asyncio
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.devserver import die_with_parent

STOP_GRACE = 35.0  # seconds; the API and the worker finish what runs within 30
LAST_LINES = 20


class Child:
    """One of our own commands, unless another program is named, with its output in a log file."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log_file: Path,
        program: Sequence[str] = (sys.executable, "-m"),
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._command = [*program, *arguments]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # the terminal's Ctrl-C is for the supervisor
                preexec_fn=die_with_parent(),
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and not self.ended

    @property
    def ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def last_words(self) -> str:
        with self.log_file.open(errors="replace") as lines:
            return "".join(deque(lines, LAST_LINES))

    def ask_to_stop(self) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGTERM)

    async def wait(self) -> None:
        if self._process is None:
            return
        try:
            await asyncio.to_thread(self._process.wait, STOP_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would. Waits until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
