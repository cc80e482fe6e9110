"""Operators' logs: one JSON object a line on standard output, or colours on a terminal. Secrets are masked last of all.

What a customer sees is not written here: that goes to the ledger.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"
_SECRET_KEY = re.compile(r"authorization|api[-_]?key|token|password|passwd|secret|cookie|credential|encryption", re.I)
_BEARER = re.compile(r"\b(bearer)\s+[^\s\"',;]+", re.I)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^@\s/]+@")
# They log every header at DEBUG.
_TALKATIVE = ("alembic", "httpcore2", "httpx2")


def configure_logs(level: str = "info") -> None:
    """For the whole process, once, before the first line. Other libraries' `logging` comes out the same way."""
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*before, structlog.processors.StackInfoRenderer(), ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=before, processors=_rendering(sys.stdout.isatty())))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: hides the values of telling keys, bearer tokens and passwords in addresses."""
    masked: EventDict = _masked_mapping(event)
    return masked


def _rendering(terminal: bool) -> list[Processor]:
    renderer: Processor = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    return [ProcessorFormatter.remove_processors_meta, structlog.processors.format_exc_info, mask, renderer]


def _masked_mapping(values: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        key: MASK if _SECRET_KEY.search(str(key)) and value is not None else _masked(value)
        for key, value in values.items()
    }


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _URL_PASSWORD.sub(rf"\1{MASK}@", _BEARER.sub(rf"\1 {MASK}", value))
    if isinstance(value, Mapping):
        return _masked_mapping(value)
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value
