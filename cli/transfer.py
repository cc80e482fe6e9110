"""`flowgraft export` and `import`: definitions, customers and configuration from one installation to another.

Secrets stay where they are: the file names what must be set by hand. An import repeated changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from cli.client import Api, Json, at
from cli.failures import CommandFailed
from cli.given import read_object
from cli.session import Many, Session, command

SCHEMA = "flowgraft/export-v1"
CUSTOMER = ("name", "external_id", "description", "labels", "show_all_instances", "max_running")
INSTANCE = ("name", "description", "labels")
AS_YAML = {"Content-Type": "application/yaml"}
COLUMNS = "what name result to_set"

root = typer.Typer()


@command(root, "export")
def export(
    session: Session,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="To write; else it is printed")] = None,
    integration_id: Many = None,
    customer_id: Many = None,
) -> None:
    """Write down integrations with their versions, customers, and instances with their configuration, as YAML."""
    instances = list(_all(session.api, "instances", integration_id=integration_id, customer_id=customer_id))
    everything = not (integration_id or customer_id)
    document = {
        "schema": SCHEMA,
        "integrations": [
            _integration(session.api, each)
            for each in _all(session.api, "integrations")
            if everything or each["id"] in {*(integration_id or ()), *(one["integration"]["id"] for one in instances)}
        ],
        "customers": [
            {name: each[name] for name in CUSTOMER}
            for each in _all(session.api, "customers")
            if everything or each["id"] in {*(customer_id or ()), *(one["customer"]["id"] for one in instances)}
        ],
        "instances": [_instance(session.api, each) for each in instances],
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    session.out.raw(text.encode(), file)


@command(root, "import")
def import_(
    session: Session,
    file: Annotated[str, typer.Option("--file", "-f", help="What export wrote; - is standard input")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be made")] = False,
) -> None:
    """Make what an export names and this installation lacks. What is there already stays as it is."""
    document = read_object(file)
    if document.get("schema") != SCHEMA:
        raise CommandFailed(f"{file} is no {SCHEMA} document.")
    target = _Import(session.api, dry_run)
    for each in document.get("integrations", []):
        target.integration(each)
    for each in document.get("customers", []):
        target.customer(each)
    for each in document.get("instances", []):
        target.instance(each)
    session.out.items(target.results, COLUMNS)


@dataclass
class _Import:
    """`made` instances are not deployed: their secrets are missing still."""

    api: Api
    dry_run: bool
    results: list[Json] = field(default_factory=list)
    _versions: dict[tuple[str, int], str] = field(default_factory=dict)  # key and number over there → id here
    _keys: dict[str, str] = field(default_factory=dict)

    def integration(self, wanted: Json) -> None:
        key = wanted["key"]
        held = {each["key"]: each for each in _all(self.api, "integrations")}.get(key)
        known = {} if held is None else {text: version["id"] for version, text in _texts(self.api, held["id"])}
        draft = wanted["draft"] if held is None else _draft(self.api, held)
        if held is not None:
            self._keys[key] = held["id"]
        for version in wanted["versions"]:
            name, there = f"{key} {version['number']}", (key, version["number"])
            if version["definition"] in known:
                self._versions[there] = known[version["definition"]]
                self._say("version", name, "is there")
                continue
            if not self.dry_run:
                self._versions[there] = self._publish(version)
            self._say("version", name, "made")
        if draft is not None and not self.dry_run:
            self._import(draft)  # publishing took its place

    def customer(self, wanted: Json) -> None:
        if self._customer_id(wanted) is not None:
            self._say("customer", wanted["name"], "is there")
            return
        if not self.dry_run:
            self.api.post(at("customers"), wanted)
        self._say("customer", wanted["name"], "made")

    def instance(self, wanted: Json) -> None:
        label = f"{wanted['name']} ({wanted['customer']['name']})"
        customer_id = self._customer_id(wanted["customer"])
        integration_id = self._keys.get(wanted["integration"])
        if customer_id and integration_id and self._held(customer_id, integration_id, wanted["name"]):
            self._say("instance", label, "is there")
            return
        if not self.dry_run:
            body = {name: wanted[name] for name in (*INSTANCE, "config")} | {
                "customer_id": customer_id,
                "integration_id": integration_id,
                "version_id": self._versions[(wanted["integration"], wanted["version"])],
            }
            self.api.post(at("instances"), body)
        self._say("instance", label, "made", wanted["to_set"])

    def _publish(self, version: Json) -> str:
        integration_id = self._import(version["definition"])
        body = {"comment": version["comment"]}
        return str(self.api.post(at("integrations", integration_id, "versions"), body)["id"])

    def _import(self, definition: str) -> str:
        made = self.api.call("POST", at("integrations"), content=definition.encode(), headers=AS_YAML).json()
        self._keys[made["key"]] = made["id"]
        return str(made["id"])

    def _customer_id(self, wanted: Json) -> str | None:
        query = {"external_id": wanted["external_id"]} if wanted["external_id"] else {"q": wanted["name"]}
        same = "external_id" if wanted["external_id"] else "name"
        return next((each["id"] for each in _all(self.api, "customers", **query) if each[same] == wanted[same]), None)

    def _held(self, customer_id: str, integration_id: str, name: str) -> bool:
        found = _all(self.api, "instances", customer_id=customer_id, integration_id=integration_id, q=name)
        return any(each["name"] == name for each in found)

    def _say(self, what: str, name: str, result: str, to_set: list[str] | None = None) -> None:
        would = "would be made" if self.dry_run and result == "made" else result
        self.results.append({"what": what, "name": name, "result": would, "to_set": to_set or []})


def _integration(api: Api, held: Json) -> Json:
    """Its published versions, oldest first: an import publishes them in this order."""
    versions = [
        {"number": version["number"], "comment": version["comment"], "definition": text}
        for version, text in _texts(api, held["id"])
    ]
    versions.sort(key=lambda version: version["number"])
    return {"key": held["key"], "versions": versions, "draft": _draft(api, held)}


def _draft(api: Api, held: Json) -> str | None:
    """What is not published yet."""
    path = at("integrations", held["id"], "definition")
    return api.call("GET", path).text if held["has_unpublished_changes"] else None


def _instance(api: Api, held: Json) -> Json:
    customer = api.get(at("customers", held["customer"]["id"]))
    pages = api.get(at("instances", held["id"], "config"))["pages"]
    set_here = [each for page in pages for each in page["fields"] if each["is_set"]]
    return {name: held[name] for name in INSTANCE} | {
        "customer": {name: customer[name] for name in ("name", "external_id")},
        "integration": api.get(at("integrations", held["integration"]["id"]))["key"],
        "version": held["version"]["number"],
        "config": {each["key"]: each["value"] for each in set_here if not _is_secret(each)},
        "to_set": [each["key"] for each in set_here if _is_secret(each)],
    }


def _is_secret(config_field: Json) -> bool:
    """A secret is set and not shown; a connection's secrets are not, so it cannot be set again from what is shown."""
    return config_field["type"] == "connection" or config_field["value"] is None


def _texts(api: Api, integration_id: str) -> Iterator[tuple[Json, str]]:
    for version in _all(api, "integrations", integration_id, "versions"):
        yield version, api.call("GET", at("versions", version["id"], "definition")).text


def _all(api: Api, *parts: str, **query: Any) -> Iterator[Json]:
    for page in api.pages(at(*parts), query):
        yield from page["data"]
