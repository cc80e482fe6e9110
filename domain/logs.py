"""The customer-facing log's severities, in order: a severity's number is its place."""

from typing import Literal, get_args

Severity = Literal["trace", "debug", "info", "warn", "error", "fatal"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
