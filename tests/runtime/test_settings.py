import base64
import json
import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from runtime.settings import Settings, SettingsInvalid, load_settings

URL = "sqlite+aiosqlite:///flowgraft.db"
KEY = base64.b64encode(b"k" * 32).decode()
LOAD = """
from runtime.settings import SettingsInvalid, load_settings
try:
    settings = load_settings()
    print(settings.model_dump_json(include={"database_url", "public_url", "allowed_networks", "log_level"}))
    print(settings.encryption_keys and settings.keys[0][0])
except SettingsInvalid as error:
    print("refused:", error)
"""


def load(environment: dict[str, str]) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWGRAFT_")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], env=kept | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_settings_come_from_the_environment() -> None:
    found, key = load(
        {
            "FLOWGRAFT_DATABASE_URL": URL,
            "FLOWGRAFT_PUBLIC_URL": "https://hooks.example.com/",
            "FLOWGRAFT_ALLOWED_NETWORKS": "10.1.0.0/16, ::1/128",
            "FLOWGRAFT_LOG_LEVEL": "DEBUG",
            "FLOWGRAFT_ENCRYPTION_KEYS": f"k1:{KEY}",
            "FLOWGRAFT_BOOTSTRAP_API_KEY": "",
        }
    )
    assert json.loads(found) == {
        "database_url": URL,
        "public_url": "https://hooks.example.com",
        "allowed_networks": ["10.1.0.0/16", "::1/128"],
        "log_level": "debug",
    }
    assert key == "k1"


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{URL}\n")
    (tmp_path / "keys").write_text(f"k9:{KEY}\n")
    found, key = load(
        {
            "FLOWGRAFT_DATABASE_URL_FILE": str(tmp_path / "url"),
            "FLOWGRAFT_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys"),
        }
    )
    assert json.loads(found)["database_url"] == URL
    assert key == "k9"


def test_missing_database_url_is_named() -> None:
    assert load({}) == ["refused: FLOWGRAFT_DATABASE_URL is not set"]


def test_unreadable_file_is_named() -> None:
    lines = load({"FLOWGRAFT_DATABASE_URL_FILE": "/nowhere/url"})
    assert lines == ["refused: FLOWGRAFT_DATABASE_URL_FILE cannot be read: FileNotFoundError"]


def test_value_beside_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    lines = load({"FLOWGRAFT_DATABASE_URL": URL, "FLOWGRAFT_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert lines == ["refused: FLOWGRAFT_DATABASE_URL and FLOWGRAFT_DATABASE_URL_FILE are both set: keep one"]


def test_keys_are_ordered_and_the_first_is_primary() -> None:
    other = base64.urlsafe_b64encode(b"\xff" * 32).decode()
    settings = Settings(database_url=URL, encryption_keys=f"new:{KEY}, old:{other}")
    assert settings.keys == [("new", b"k" * 32), ("old", b"\xff" * 32)]


def test_keys_are_demanded_where_they_are_used() -> None:
    with pytest.raises(SettingsInvalid, match="FLOWGRAFT_ENCRYPTION_KEYS is not set"):
        _ = Settings(database_url=URL, encryption_keys=None).keys


WRONG = [
    ("encryption_keys", "nocolon", "entry 1 is not of the form"),
    ("encryption_keys", f"k1:{KEY},bad id:{KEY}", "entry 2 is not of the form"),
    ("encryption_keys", "k1:%%%hush%%%", "entry 1 is not base64"),
    ("encryption_keys", "k1:aHVzaA==", "a key of 4 bytes, not 32"),
    ("encryption_keys", f"k1:{KEY},k1:{KEY}", "the same id"),
    ("encryption_keys", " , ", "holds no key"),
    ("bootstrap_api_key", "hush-too-short", "at least 24 characters"),
    ("database_url", "postgresql://hush@db/x", "must start with"),
    ("public_url", "hush.example.com", "must be an address"),
    ("public_url", "http://hush:70000/", "must be an address"),
    ("temporal_ui_url", "ftp://hush", "must be an address"),
    ("allowed_networks", "10.0.0.1/8,hush", "must be networks"),
    ("codec_ui_origin", "http://127.0.0.1:8233/hush", "must be an origin"),
    ("allowed_redirect_origins", "https://app.example.com/hush", "must be origins"),
    ("allowed_redirect_origins", "https://app.example.com,hush", "must be an address"),
    ("codec_capability", "hush/../up", "at least 24 letters"),
    ("log_level", "hush", "Input should be"),
]


@pytest.mark.parametrize(("name", "value", "why"), WRONG)
def test_wrong_value_is_explained_and_not_shown(name: str, value: str, why: str) -> None:
    given: dict[str, Any] = {"database_url": URL} | {name: value}
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(**given)
    assert f"FLOWGRAFT_{name.upper()}: " in str(refused.value)
    assert why in str(refused.value)
    assert "hush" not in str(refused.value)


def test_every_wrong_value_is_told_at_once() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(database_url=URL, public_url="x", log_level="y")
    assert len(str(refused.value).splitlines()) == 2


def test_secrets_do_not_show_in_the_text_of_settings() -> None:
    settings = Settings(
        database_url="postgresql+psycopg://u:hush@db/x", bootstrap_api_key="hush" * 9, encryption_keys=f"hush:{KEY}"
    )
    assert "hush" not in repr(settings)
    assert "hush" not in str(settings)


def test_defaults_suit_one_machine() -> None:
    settings = Settings(database_url=URL, allowed_networks="127.0.0.0/8")
    assert settings.task_queue == "flowgraft"
    assert settings.workflow_sandbox is False
    assert settings.allowed_networks == (ip_network("127.0.0.0/8"),)


def test_redirect_origins_are_split() -> None:
    found = load_settings(database_url=URL, allowed_redirect_origins="https://app.example.com/, http://localhost:3000")
    assert found.allowed_redirect_origins == ("https://app.example.com", "http://localhost:3000")
