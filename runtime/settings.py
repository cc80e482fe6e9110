"""What an operator can set. The only reader of the environment, besides Temporal's own `temporalio.envconfig`.

Every variable is `FLOWGRAFT_` plus the field's name in capitals. Where a value is secret, `…_FILE` may name a file that
holds it.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from domain.retention import Retention
from runtime.smtp import parse_smtp

PREFIX = "FLOWGRAFT_"
FROM_FILE = ("database_url", "bootstrap_api_key", "encryption_keys", "smtp_url")
DATABASE_SCHEMES = ("sqlite+aiosqlite://", "postgresql+psycopg://")
BOOTSTRAP_KEY_LENGTH = 24
LONGEST_KEPT = 36_500.0  # days

Network = IPv4Network | IPv6Network


class SettingsInvalid(ValueError):
    """One line for each variable that is missing or wrong. Never shows a value."""


class _Files(PydanticBaseSettingsSource):
    """Reads `FLOWGRAFT_X_FILE` for the few settings that are secret."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name in FROM_FILE:
            variable = PREFIX + name.upper()
            path = os.environ.get(f"{variable}_FILE")
            if not path:
                continue
            if os.environ.get(variable):
                raise SettingsInvalid(f"{variable} and {variable}_FILE are both set: keep one")
            found[name] = _read(path, f"{variable}_FILE")
        return found


class Settings(BaseSettings):
    """Frozen. Build it with `load_settings`, whose errors name the variables; in tests, by keywords."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True, extra="forbid"
    )

    database_url: str = Field(repr=False)
    bootstrap_api_key: SecretStr | None = None  # an admin key that exists from the start
    encryption_keys: SecretStr | None = None  # id:base64,… the first is primary
    public_url: str = "http://127.0.0.1:8700"
    allowed_networks: Annotated[tuple[Network, ...], NoDecode] = ()  # what steps may reach besides the internet
    allowed_redirect_origins: Annotated[tuple[str, ...], NoDecode] = ()  # where authorising may lead back to
    smtp_url: SecretStr | None = None  # smtp://user:password@host:587?tls=starttls
    smtp_from: str | None = None  # the sender of e-mails
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)  # without one the API serves /metrics itself
    metrics_host: str = "127.0.0.1"  # where that port listens
    commit: str = "unknown"  # what this was built from; the image sets it
    retention_execution_days: float = Field(default=14.0, gt=0, le=LONGEST_KEPT)
    retention_payload_days: float = Field(default=14.0, gt=0, le=LONGEST_KEPT)
    retention_step_output_days: float = Field(default=14.0, gt=0, le=LONGEST_KEPT)
    retention_log_days: float = Field(default=14.0, gt=0, le=LONGEST_KEPT)
    retention_unresolved_days: float = Field(default=30.0, gt=0, le=LONGEST_KEPT)  # failed, and no replay succeeded
    max_streams: int = Field(default=200, ge=0)  # of live updates, in one process
    task_queue: str = "flowgraft"
    workflow_sandbox: bool = False
    temporal_ui_url: str | None = None  # for links
    codec_capability: SecretStr | None = None  # the random path that `flowgraft dev` gives the Web UI
    codec_ui_origin: str | None = None  # the only origin that may call it from a browser
    # For `flowgraft dev` and tests, which start a Temporal server of their own; TEMPORAL_* is then not looked at.
    temporal_address: str | None = None
    temporal_namespace: str = "default"

    @property
    def keys(self) -> list[tuple[str, bytes]]:
        """Key ids and keys for a `Keyring`; raises when there is none."""
        if self.encryption_keys is None:
            raise SettingsInvalid(f"{PREFIX}ENCRYPTION_KEYS is not set: data is never stored unencrypted")
        return _parse_keys(self.encryption_keys.get_secret_value())

    @property
    def retention(self) -> Retention:
        return Retention(
            executions=timedelta(days=self.retention_execution_days),
            payloads=timedelta(days=self.retention_payload_days),
            step_outputs=timedelta(days=self.retention_step_output_days),
            logs=timedelta(days=self.retention_log_days),
            unresolved=timedelta(days=self.retention_unresolved_days),
        )

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, url: str) -> str:
        if not url.startswith(DATABASE_SCHEMES):
            raise ValueError(f"must start with {' or '.join(DATABASE_SCHEMES)}")
        return url

    @field_validator("bootstrap_api_key")
    @classmethod
    def _bootstrap_key_is_long(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < BOOTSTRAP_KEY_LENGTH:
            raise ValueError(f"must have at least {BOOTSTRAP_KEY_LENGTH} characters")
        return key

    @field_validator("encryption_keys")
    @classmethod
    def _keys_can_be_parsed(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            _parse_keys(keys.get_secret_value())
        return keys

    @field_validator("smtp_url")
    @classmethod
    def _mail_server_can_be_parsed(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parse_smtp(url.get_secret_value())
        return url

    @field_validator("smtp_from")
    @classmethod
    def _sender_is_an_address(cls, sender: str | None) -> str | None:
        if sender is not None and not re.fullmatch(r"[^\x00-\x1f\x7f]*\S@[^\s@]+", sender):
            raise ValueError("must be such as alerts@example.com or Flowgraft <alerts@example.com>")
        return sender

    @field_validator("public_url", "temporal_ui_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return None if url is None else _http_url(url)

    @field_validator("codec_ui_origin")
    @classmethod
    def _is_an_origin(cls, url: str | None) -> str | None:
        if url is not None and urlsplit(_http_url(url)).path:
            raise ValueError("must be an origin: scheme, host and port only")
        return None if url is None else _http_url(url)

    @field_validator("codec_capability")
    @classmethod
    def _capability_is_a_path_segment(cls, text: SecretStr | None) -> SecretStr | None:
        if text is not None and not re.fullmatch(r"[A-Za-z0-9_-]{24,}", text.get_secret_value()):
            raise ValueError("must have at least 24 letters and digits")
        return text

    @field_validator("allowed_networks", mode="before")
    @classmethod
    def _networks_are_split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(_network(text.strip()) for text in value.split(",") if text.strip())

    @field_validator("allowed_redirect_origins", mode="before")
    @classmethod
    def _origins_are_split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        origins = tuple(_http_url(text.strip()) for text in value.split(",") if text.strip())
        if any(urlsplit(origin).path for origin in origins):
            raise ValueError("must be origins: scheme, host and port only, separated by commas")
        return origins

    @field_validator("log_level", mode="before")
    @classmethod
    def _level_in_lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _Files(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """From the environment. `overrides` win. Raises SettingsInvalid, fit to be shown to the operator."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [_line(problem) for problem in error.errors(include_input=False, include_url=False)]
    raise SettingsInvalid("\n".join(lines))


def _line(problem: Mapping[str, Any]) -> str:
    variable = PREFIX + str(problem["loc"][0]).upper()
    if problem["type"] == "missing":
        return f"{variable} is not set"
    return f"{variable}: {problem['msg'].removeprefix('Value error, ')}"


def _parse_keys(text: str) -> list[tuple[str, bytes]]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    keys = [_parse_key(entry, number) for number, entry in enumerate(entries, 1)]
    if not keys:
        raise ValueError("holds no key")
    if len({key_id for key_id, _ in keys}) != len(keys):
        raise ValueError("two keys have the same id")
    return keys


def _parse_key(entry: str, number: int) -> tuple[str, bytes]:
    key_id, separator, encoded = entry.partition(":")
    if not separator or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", key_id):
        raise ValueError(f"entry {number} is not of the form id:base64")
    try:
        key = base64.b64decode(encoded, altchars=b"-_" if set("-_") & set(encoded) else None, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"entry {number} is not base64 after its id") from None
    if len(key) != 32:
        raise ValueError(f"entry {number} has a key of {len(key)} bytes, not 32")
    return key_id, key


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url.rstrip("/"))
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username:
        raise ValueError("must be an address such as https://flowgraft.example.com")
    return url.rstrip("/")


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError("must be networks such as 10.1.0.0/16, separated by commas") from None


def _read(path: str, variable: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{variable} cannot be read: {type(error).__name__}") from None
