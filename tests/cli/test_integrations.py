"""`flowgraft integrations` and `flowgraft versions`."""

from pathlib import Path

import pytest

from tests.cli.terminal import DEFINITION, Cli, Shop, fresh


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(DEFINITION.replace("KEY", fresh("imported")))
    return path


def test_integration_is_imported_published_and_exported(cli: Cli, file: Path, tmp_path: Path) -> None:
    imported = cli("integrations", "import", "--file", str(file), "-o", "jsonl")
    assert imported.stderr == "Created.\n"
    integration = cli.json("integrations", "list", "--q", "imported")[0]
    assert integration["id"] in imported.stdout
    assert integration["latest_version"] is None

    version = cli.json("integrations", "publish", integration["id"], "--comment", "First")
    assert (version["number"], version["comment"]) == (1, "First")
    assert "Request id" in cli("integrations", "publish", integration["id"], code=1).stderr

    file.write_text(file.read_text() + "# changed\n")
    assert cli("integrations", "import", "-f", str(file)).stderr == "The draft is replaced.\n"
    assert cli("integrations", "export", integration["id"]).stdout == file.read_text()
    cli("integrations", "export", integration["id"], "--file", str(tmp_path / "out.yaml"))
    assert (tmp_path / "out.yaml").read_bytes() == file.read_bytes()
    cli("integrations", "export", integration["id"], "--file", str(tmp_path / "no" / "out.yaml"), code=1)


def test_import_says_where_the_definition_is_wrong(cli: Cli) -> None:
    text = "schema: flowgraft/v1\nkey: broken\nname: Broken\nflows: []\nnonsense: 1\n"
    result = cli("integrations", "import", "-f", "-", input=text, code=1)
    assert "(line 5:1)" in result.stderr


def test_validate_finds_nothing(cli: Cli, file: Path) -> None:
    result = cli("integrations", "validate", "-f", str(file))
    assert result.stdout.split() == ["LEVEL", "LINE", "COLUMN", "POINTER", "DETAIL"]
    assert result.stderr.splitlines()[-1] == "Valid."
    assert cli.json("integrations", "validate", "-f", str(file))["valid"] is True


def test_validate_finds_errors_with_their_places(cli: Cli) -> None:
    text = "schema: flowgraft/v1\nkey: broken\nname: Broken\nflows: []\nnonsense: 1\n"
    rows = cli("integrations", "validate", "-f", "-", "-o", "csv", input=text, code=1).stdout.splitlines()
    assert any(row.startswith("error,5,1,") for row in rows)
    assert cli.json("integrations", "validate", "-f", "-", input=text, code=1)["valid"] is False


def test_file_that_is_not_there_is_a_usage_error(cli: Cli) -> None:
    assert "cannot be read" in cli("integrations", "import", "-f", "nowhere.yaml", code=2).stderr


def test_endpoint_of_an_integration_is_shown_and_rotated(cli: Cli, file: Path) -> None:
    endpoint = "endpoint: {mode: shared_instance, flow: query.flow, customer: query.customer}\n"
    file.write_text(file.read_text() + endpoint)
    integration = cli.json("integrations", "import", "-f", str(file))
    assert integration["endpoint"] is None
    assert "shared_instance" in cli("integrations", "rotate-endpoint", integration["id"], code=1).stderr
    cli("integrations", "publish", integration["id"])
    url = cli.json("integrations", "get", integration["id"])["endpoint"]["url"]
    assert ["endpoint.url", url] in cli.rows("integrations", "get", integration["id"])
    rotated = cli.json("integrations", "rotate-endpoint", integration["id"], "--overlap", "30m")["endpoint"]
    assert rotated["url"] != url
    assert rotated["previous_url_until"] is not None


def test_integration_is_shown(cli: Cli, own_shop: Shop) -> None:
    shop = own_shop
    assert cli.json("integrations", "get", shop.integration["id"])["key"] == shop.name
    assert ["key", shop.name] in cli.rows("integrations", "get", shop.integration["id"])
    header, row = cli.rows("integrations", "list", "--q", shop.name, "--columns", "key,instance_count")
    assert (header, row) == (["KEY", "INSTANCE", "COUNT"], [shop.name, "1"])


def test_integrations_are_filtered_by_label_and_category(cli: Cli, shop: Shop) -> None:
    assert cli.json("integrations", "list", "--q", shop.name, "--label", "none", "--category", "None") == []


def test_versions_are_listed_and_shown(cli: Cli, shop: Shop) -> None:
    assert [each["number"] for each in cli.json("integrations", "versions", shop.integration["id"])] == [1]
    assert cli.json("versions", "get", shop.version["id"])["number"] == 1
    assert cli("versions", "export", shop.version["id"]).stdout == DEFINITION.replace("KEY", shop.name)


def test_version_is_made_unavailable_and_available(cli: Cli, own_shop: Shop) -> None:
    version = own_shop.version["id"]
    assert cli.json("versions", "set-available", version, "--no-available")["available"] is False
    assert cli.json("versions", "set-available", version)["available"] is True
