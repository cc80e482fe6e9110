"""`flowgraft request`, `flowgraft api GET …`."""

import json
from pathlib import Path

import yaml

from tests.cli.terminal import DEFINITION, Cli, Shop, fresh


def test_get_keeps_the_query(cli: Cli, shop: Shop) -> None:
    answer = json.loads(cli("api", "GET", "/v1/customers?limit=1").stdout)
    assert len(answer["data"]) == 1
    assert json.loads(cli("request", "get", "/v1/customers?limit=1").stdout) == answer


def test_body_is_json(cli: Cli) -> None:
    name = fresh("Raw")
    made = yaml.safe_load(cli("api", "POST", "/v1/customers", "-d", f'{{"name": "{name}"}}', "-o", "yaml").stdout)
    assert made["name"] == name


def test_body_is_a_file_of_another_type(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(DEFINITION.replace("KEY", fresh("raw")))
    words = ["-d", f"@{file}", "-H", "Content-Type: application/yaml"]
    made = json.loads(cli("request", "POST", "/v1/integrations", *words).stdout)
    text = cli("request", "GET", f"/v1/integrations/{made['id']}/definition").stdout
    assert text == file.read_text()


def test_error_is_told(cli: Cli) -> None:
    assert "There is no such customer" in cli("api", "GET", "/v1/customers/nothing", code=3).stderr
    assert "#/name" in cli("api", "POST", "/v1/customers", "-d", "{}", code=1).stderr
