"""A private PostgreSQL from the machine's own binaries, with its data in one directory."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import psycopg

from runtime.devserver import HOST, die_with_parent

ALWAYS = {"listen_addresses": HOST, "unix_socket_directories": "", "timezone": "UTC"}
READY_SECONDS = 30.0
LAST_WORDS = 4_000


class PostgresServer:
    """`stop`, `kill` and `start` keep data and port. It trusts whoever reaches it, and only this machine does.

    The account that it runs under must be able to reach the directory, so no parent may be closed.
    """

    def __init__(self, directory: Path, port: int, settings: Mapping[str, str], superuser: str = "postgres") -> None:
        self.port = port
        self.log_file = directory / "log"
        self._data = directory / "data"
        self._settings = {**ALWAYS, **settings, "port": str(port)}
        self._superuser = superuser
        self._binaries = find_binaries()
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pids(self) -> list[int]:
        """Its own and, on Linux, those of its children."""
        if self._process is None or not self.running:
            return []
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [pid, *map(int, children.read_text().split())] if children.exists() else [pid]

    def start(self) -> Self:
        """Returns when it answers; raises RuntimeError with its last words when it does not."""
        self.launch()
        self.wait_until_ready()
        return self

    def launch(self) -> None:
        """From a thread that lives as long as the server should: the kernel ties the child to it."""
        if not self._data.exists():
            self._initialize()
        arguments = [argument for name, value in self._settings.items() for argument in ("-c", f"{name}={value}")]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for the supervisor
                preexec_fn=die_with_parent(signal.SIGQUIT),
                cwd=self._data.parent,
                **self._account,
            )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.running:
            try:
                psycopg.connect(self._dsn()).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log_file.read_text(errors='replace')[-LAST_WORDS:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
            self._process = None

    def kill(self) -> None:
        """SIGKILL to all of it, the parent first, so that it cannot tidy up."""
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it went with its parent
        if self._process is not None:
            self._process.wait()
            self._process = None

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://flowgraft@{HOST}:{self.port}/{database}"

    def has_database(self, name: str) -> bool:
        with psycopg.connect(self._dsn()) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            return found.fetchone() is not None

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self._dsn(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def for_clients(self) -> dict[str, str]:
        """The environment in which `psql` finds the server, and a script finds `psql`."""
        path = f"{self._binaries}:{os.environ['PATH']}"
        return {"PATH": path, "PGHOST": HOST, "PGPORT": str(self.port), "POSTGRES_USER": self._superuser}

    def _dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{self._superuser}@{HOST}:{self.port}/{database}"

    def _initialize(self) -> None:
        self._data.parent.mkdir(parents=True, exist_ok=True)
        if "user" in self._account:
            os.chown(self._data.parent, self._account["user"], self._account["group"])
        options = ["--auth=trust", f"--username={self._superuser}", "--encoding=UTF8", "--locale=C.UTF-8"]
        if self._settings.get("fsync") == "off":
            options.append("--no-sync")
        done = subprocess.run(
            [self._binaries / "initdb", "--pgdata", self._data, *options],
            capture_output=True,
            cwd=self._data.parent,
            check=False,
            **self._account,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.decode(errors='replace')}")


def find_binaries() -> Path:
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    candidates += [Path(on_path).resolve().parent] if on_path else []
    if config := shutil.which("pg_config"):
        candidates.append(Path(subprocess.check_output([config, "--bindir"], text=True).strip()))
    for directory in candidates:
        if (directory / "postgres").exists() and (directory / "initdb").exists():
            return directory
    raise RuntimeError("no PostgreSQL 15 or newer on this machine: apt-get install postgresql")


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and this machine has neither the user postgres nor nobody")
