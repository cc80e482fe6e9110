"""Checks of how a webhook's deliveries are signed."""

import re
from datetime import timedelta

from domain.definitions.limits import check_duration
from domain.definitions.model import Hmac
from domain.definitions.places import Report
from domain.definitions.scope import Known
from domain.text import truncate
from domain.values import Location, PathSyntax, config_key

MOST_SECRETS = 2
LONGEST_TOLERANCE = timedelta(hours=24)

_GENERIC = ("header", "algorithm", "encoding", "prefix", "timestamp_header")
_HEADERS = ("header", "timestamp_header")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


def check_hmac(hmac: Hmac, at: Location, known: Known) -> None:
    _check_secrets(hmac, (*at, "secret"), known)
    _check_options(hmac, at, known.report)
    if hmac.tolerance is not None:
        check_duration(hmac.tolerance, (*at, "tolerance"), known.report, LONGEST_TOLERANCE)
        if hmac.scheme == "github" or (hmac.scheme == "generic" and hmac.timestamp_header is None):
            detail = f"tolerance says nothing here: {hmac.scheme} does not sign a time"
            known.report.add((*at, "tolerance"), "invalid_value", detail, key=True)


def _check_options(hmac: Hmac, at: Location, report: Report) -> None:
    for name in _GENERIC:
        if getattr(hmac, name) is not None and hmac.scheme != "generic":
            report.add((*at, name), "invalid_value", f"{name} goes with the scheme generic", key=True)
    for name in _HEADERS:
        header = getattr(hmac, name)
        if header is not None and not _HEADER.fullmatch(header):
            report.add((*at, name), "invalid_value", "this is not the name of a header")


def _check_secrets(hmac: Hmac, at: Location, known: Known) -> None:
    count = len(hmac.secrets)
    if not 1 <= count <= MOST_SECRETS:
        detail = f"secret names one field, or two while it is being changed, and not {count}"
        known.report.add(at, "invalid_value", detail)
    for index, text in enumerate(hmac.secrets):
        _check_secret(text, at if isinstance(hmac.secret, str) else (*at, index), known)


def _check_secret(text: str, at: Location, known: Known) -> None:
    """What is written here is not shown: it may be a secret."""
    try:
        key = config_key(text)
    except PathSyntax as error:
        known.report.add(at, "bad_expression", f"{error.message} (character {error.offset + 1})")
        return
    field = known.fields.get(key) if key is not None else None
    if key is None:
        detail = "a secret is not written here: name a config field that is secret, such as {{ config.hook_secret }}"
        known.report.add(at, "invalid_value", detail)
    elif field is None:
        hint = known.report.did_you_mean(key, known.fields)
        known.report.add(at, "unknown_config_key", f"there is no config key {truncate(key, 60)}{hint}")
    elif not field.secret:
        known.report.add(at, "invalid_value", f"config.{key} is shown to everybody: give it secret: true")
