"""The customer-facing log's words. Severities are in order: a severity's number is its place."""

from typing import Literal, get_args

Severity = Literal["trace", "debug", "info", "warn", "error", "fatal"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

LogLevel = Literal["trace", "debug", "info", "warn", "error", "fatal", "none"]
LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
LogType = Literal["execution", "connection", "management", "rate_limit"]
LOG_TYPES: tuple[LogType, ...] = get_args(LogType)


def least_severity(level: str) -> int:
    """The number of the least severity that is kept at this level; beyond all of them for `none`."""
    levels: list[str] = [*LOG_LEVELS]
    return levels.index(level)
