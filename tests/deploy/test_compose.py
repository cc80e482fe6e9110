"""docker-compose.yml and what it mounts, read as Docker would read them: there is no engine where these tests run."""

import ast
import json
import re
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import app
from runtime.devserver import DYNAMIC_CONFIG
from runtime.settings import FROM_FILE, PREFIX, Settings

ROOT = Path(__file__).parent.parent.parent
OURS = ("keys", "migrate", "api", "worker")
ONE_SHOT = {"temporal-schema", "temporal-namespace", "keys", "migrate"}
PUBLISHED = {"api", "temporal-ui", "grafana"}
# What our own processes, the Temporal CLI and the Web UI read, by the documentation of each.
TEMPORAL_NAMES = {
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_DEFAULT_NAMESPACE",
    "TEMPORAL_CORS_ORIGINS",
    "TEMPORAL_CSRF_COOKIE_INSECURE",
    "TEMPORAL_NOTIFY_ON_NEW_VERSION",
    "TEMPORAL_CODEC_ENDPOINT",
}
_VARIABLE = re.compile(r"\$\{(\w+)")
_COPY = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)


@cache
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(text("docker-compose.yml"))
    return document


def services() -> dict[str, dict[str, Any]]:
    return {name: dict(service) for name, service in compose()["services"].items()}


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def needs(name: str) -> dict[str, str]:
    """What must have happened before this service starts: service → condition."""
    return {other: given["condition"] for other, given in services()[name].get("depends_on", {}).items()}


def all_before(name: str) -> set[str]:
    return set(needs(name)).union(*(all_before(other) for other in needs(name)))


def mounts() -> list[tuple[str, str, str]]:
    """Service, source and target of everything mounted from a file or a volume."""
    found = [(name, mount) for name, service in services().items() for mount in service.get("volumes", [])]
    return [(name, *mount.split(":")[:2]) for name, mount in found]


# Images


@pytest.mark.parametrize("name", services())
def test_image_is_pinned(name: str) -> None:
    image, _, tag = services()[name]["image"].partition(":")
    assert image
    assert re.fullmatch(r"v?\d+(\.\d+)+[\w.-]*", tag), f"{image} is not pinned to a version: {tag!r}"


def test_our_image_bears_our_version() -> None:
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert {services()[name]["image"] for name in OURS} == {f"flowgraft:{version}"}
    assert {services()[name]["build"]["context"] for name in OURS} == {"."}


def test_admin_tools_are_of_the_servers_version() -> None:
    tags = {services()[name]["image"].partition(":")[2] for name in ("temporal", "temporal-schema")}
    tags.add(services()["temporal-namespace"]["image"].partition(":")[2])
    assert len(tags) == 1


# Settings


def test_settings_are_known_to_the_product() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}_FILE" for name in FROM_FILE}
    used = {name for service in services().values() for name in service.get("environment", {})}
    assert {name for name in used if name.startswith(PREFIX)} - known == set()
    written = set(re.findall(rf"\b{PREFIX}[A-Z_]+", text("docker-compose.yml") + text(".env.example")))
    written |= set(re.findall(rf"\b{PREFIX}[A-Z_]+", text("Dockerfile")))
    assert written - known == set()


def test_settings_of_temporal_are_known_to_it() -> None:
    used = {name for service in services().values() for name in service.get("environment", {})}
    assert {name for name in used if name.startswith("TEMPORAL_")} - TEMPORAL_NAMES == set()


def test_settings_are_valid() -> None:
    """With no .env at all, as Docker fills the defaults in."""
    filled = {name: _filled(str(value)) for name, value in services()["api"]["environment"].items()}
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in filled.items()
        if value and name.startswith(PREFIX) and not name.endswith("_FILE")
    }
    settings = Settings(**given)  # type: ignore[arg-type]
    assert settings.public_url == "http://127.0.0.1:8700"
    assert settings.database_url == "postgresql+psycopg://flowgraft:flowgraft@postgres/flowgraft"
    assert settings.encryption_keys is None


def _filled(value: str) -> str:
    """Innermost first: `${NAME:-default}` is its default, `${NAME:+more}` nothing."""
    value = re.sub(r":\+/\$\{\w+\}", ":+", value)
    while (filled := re.sub(r"\$\{\w+(?::-([^${}]*)|:\+[^${}]*)\}", lambda found: found[1] or "", value)) != value:
        value = filled
    return value


def test_every_variable_has_a_default_and_is_explained() -> None:
    used = set(_VARIABLE.findall(text("docker-compose.yml")))
    explained = set(re.findall(r"^#(\w+)=", text(".env.example"), re.MULTILINE))
    assert used == explained
    assert "${" not in _filled(text("docker-compose.yml"))


def test_keys_are_made_and_never_written_down() -> None:
    """A default key would be everybody's key."""
    for name in ("api", "worker"):
        environment = services()[name]["environment"]
        assert environment["FLOWGRAFT_ENCRYPTION_KEYS_FILE"] == "/keys/encryption_keys"
        assert environment["FLOWGRAFT_BOOTSTRAP_API_KEY_FILE"] == "/keys/bootstrap_api_key"
        assert not {"FLOWGRAFT_ENCRYPTION_KEYS", "FLOWGRAFT_BOOTSTRAP_API_KEY"} & set(environment)
        assert "keys:/keys:ro" in services()[name]["volumes"]
    assert "keys:/keys" in services()["keys"]["volumes"]


# Health, order, lifetime


def test_what_lives_long_is_watched_and_started_again() -> None:
    lasting = {name for name, service in services().items() if service["restart"] == "unless-stopped"}
    assert lasting == set(services()) - ONE_SHOT
    assert {name for name in lasting if not services()[name].get("healthcheck", {}).get("test")} == set()
    assert {name for name, service in services().items() if service.get("ports")} <= lasting
    assert {services()[name]["restart"] for name in ONE_SHOT} == {"no"}


def test_order_has_no_circle() -> None:
    order = list(TopologicalSorter({name: set(needs(name)) for name in services()}).static_order())
    assert set(order) == set(services())


def test_each_condition_can_come_true() -> None:
    for name in services():
        for other, condition in needs(name).items():
            wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert condition == wanted, f"{name} waits for {other}"


def test_order_is_the_one_that_works() -> None:
    assert needs("temporal-schema") == {"postgres": "service_healthy"}
    assert needs("temporal")["temporal-schema"] == "service_completed_successfully"
    assert needs("temporal-namespace") == {"temporal": "service_healthy"}
    assert needs("migrate")["postgres"] == "service_healthy"
    for name in ("api", "worker"):
        assert needs(name)["migrate"] == "service_completed_successfully"
        assert needs(name)["temporal"] == "service_healthy"
        assert {"keys", "temporal-schema", "temporal-namespace"} <= all_before(name)


def test_health_is_asked_where_it_is_told() -> None:
    environment = services()["worker"]["environment"]
    assert (
        f"127.0.0.1:{environment['FLOWGRAFT_METRICS_PORT']}/metrics" in services()["worker"]["healthcheck"]["test"][3]
    )
    assert "127.0.0.1:8700/readyz" in services()["api"]["healthcheck"]["test"][3]
    for name in ("api", "worker"):
        ast.parse(services()[name]["healthcheck"]["test"][3])


def test_what_runs_may_be_finished_before_the_kill() -> None:
    for name in ("api", "worker"):
        assert int(services()[name]["stop_grace_period"].removesuffix("s")) > 30


def test_commands_exist() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {services()[name]["command"][0] for name in ("api", "worker")} <= known
    assert services()["migrate"]["command"] == ["db", "upgrade"]


# Reach


def test_only_what_people_open_is_published_and_on_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in services().items() if service.get("ports")}
    assert set(published) == PUBLISHED
    assert {port for ports in published.values() for port in ports if not port.startswith("127.0.0.1:")} == set()


def test_database_is_out_of_reach_of_what_does_not_need_it() -> None:
    inside = {name for name, service in services().items() if "storage" in service.get("networks", [])}
    assert inside == {"postgres", "temporal-schema", "temporal", "migrate", "api", "worker", "watcher"}
    assert compose()["networks"]["storage"] == {"internal": True}


def test_observability_is_a_choice() -> None:
    chosen = {name for name, service in services().items() if service.get("profiles") == ["observability"]}
    assert chosen == {"prometheus", "grafana"}
    assert not chosen & {other for name in services() if name not in chosen for other in needs(name)}


# Files


def test_mounted_files_exist() -> None:
    missing = [source for _, source, _ in mounts() if source.startswith("./") and not (ROOT / source).exists()]
    assert missing == []
    volumes = {source for _, source, _ in mounts() if not source.startswith("./")}
    assert volumes == set(compose()["volumes"])


def test_files_are_where_their_reader_looks() -> None:
    targets = {(name, target) for name, _, target in mounts()}
    assert ("temporal", services()["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]) in targets
    for name in ("keys", "temporal-schema", "temporal-namespace"):
        assert (name, services()[name]["entrypoint"][1]) in targets


def test_scripts_may_be_run() -> None:
    scripts = list((ROOT / "deploy").rglob("*.sh"))
    assert len(scripts) == 4
    assert [str(path) for path in scripts if not path.stat().st_mode & 0o111] == []


def test_dynamic_configuration_is_that_of_the_development_server() -> None:
    given = yaml.safe_load(text("deploy/temporal/dynamicconfig.yaml"))
    # Not on several hosts: their clocks differ.
    wanted = {key: value for key, value in DYNAMIC_CONFIG.items() if key != "history.timerProcessorMaxTimeShift"}
    assert {key: entry["value"] for key, [entry] in given.items()} == {k: json.loads(v) for k, v in wanted.items()}


def test_image_is_made_of_what_exists_and_is_let_in() -> None:
    copied = [name for line in _COPY.findall(text("Dockerfile")) for name in line.split()]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    let_in = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert {name.split("/")[0] for name in copied} == let_in


def test_image_holds_every_room() -> None:
    rooms = tomllib.loads(text("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {name for line in _COPY.findall(text("Dockerfile")) for name in line.split()}
    assert {*rooms, "worker.py"} <= copied


def test_image_installs_what_is_locked_and_runs_without_privileges() -> None:
    lines = text("Dockerfile").splitlines()
    installs = [line for line in lines if "pip install" in line]
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line] == []
    assert "USER flowgraft" in lines
    bases = {line.split()[1] for line in lines if line.startswith("FROM ")}
    assert {base.partition(":")[2] for base in bases} == {"3.11.14-slim-bookworm"}
