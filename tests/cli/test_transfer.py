"""`flowgraft export` and `import`."""

from pathlib import Path
from typing import Any

import yaml

from tests.cli.terminal import DEFINITION, Cli, Shop, fresh


def exported(cli: Cli, file: Path, *words: str) -> dict[str, Any]:
    cli("export", "-f", str(file), *words)
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document


def renamed(document: dict[str, Any], old: str, new: str) -> str:
    """The same for another installation: here keys and names are taken."""
    return yaml.safe_dump(document, sort_keys=False).replace(old, new)


def test_an_export_names_secrets_and_holds_none(cli: Cli, own_shop: Shop, tmp_path: Path) -> None:
    cli("instances", "config", "set", own_shop.id, "pin=very-secret", "limit:=12")
    file = tmp_path / "export.yaml"
    document = exported(cli, file, "--customer-id", own_shop.customer["id"])
    assert "very-secret" not in file.read_text()
    assert [each["name"] for each in document["customers"]] == [own_shop.name]
    assert [each["key"] for each in document["integrations"]] == [own_shop.name]
    (instance,) = document["instances"]
    assert (instance["config"], sorted(instance["to_set"])) == ({"limit": 12}, ["pin", "service"])
    assert (instance["version"], instance["customer"]["name"]) == (1, own_shop.name)


def test_an_import_makes_what_is_missing_once(cli: Cli, own_shop: Shop, tmp_path: Path) -> None:
    cli("integrations", "import", "-f", "-", input=DEFINITION.replace("KEY", own_shop.name).replace("Hello", "Hi"))
    document = exported(cli, tmp_path / "export.yaml", "--integration-id", own_shop.integration["id"])
    name = fresh("moved")
    text = renamed(document, own_shop.name, name)
    dry = cli.json("import", "-f", "-", "--dry-run", input=text)
    assert [each["result"] for each in dry] == ["would be made"] * 3
    assert cli.json("customers", "list", "--q", name) == []

    made = cli.json("import", "-f", "-", input=text)
    assert [(each["what"], each["result"]) for each in made] == [
        ("version", "made"),
        ("customer", "made"),
        ("instance", "made"),
    ]
    assert made[2]["to_set"] == ["service"]
    (instance,) = cli.json("instances", "list", "--q", name)
    assert (instance["version"]["number"], instance["config_state"]) == (1, "needs_configuration")
    integration = cli.json("integrations", "get", instance["integration"]["id"])
    assert (integration["key"], integration["has_unpublished_changes"]) == (name, True)

    again = cli.json("import", "-f", "-", input=text)
    assert {each["result"] for each in again} == {"is there"}


def test_an_import_keeps_a_draft_that_is_here(cli: Cli, own_shop: Shop, tmp_path: Path) -> None:
    document = exported(cli, tmp_path / "export.yaml", "--integration-id", own_shop.integration["id"])
    changed = DEFINITION.replace("KEY", own_shop.name)
    document["integrations"][0]["versions"].append(
        {"number": 2, "comment": "From afar", "definition": changed.replace("Hello", "Servus")}
    )
    draft = changed.replace("Hello", "Hi")
    cli("integrations", "import", "-f", "-", input=draft)
    cli("import", "-f", "-", input=yaml.safe_dump(document))
    assert cli("integrations", "export", own_shop.integration["id"]).stdout == draft
    versions = cli.json("integrations", "versions", own_shop.integration["id"])
    assert [(each["number"], each["comment"]) for each in versions] == [(2, "From afar"), (1, None)]


def test_another_file_is_refused(cli: Cli) -> None:
    assert "no flowgraft/export-v1 document" in cli("import", "-f", "-", code=1, input="schema: other").stderr
