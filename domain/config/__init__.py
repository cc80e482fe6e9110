"""Configuration of an instance: does a value fit its field, what is missing, and what the flows see of it."""

from domain.config.fits import check_value, check_values, config_state, misfits, missing, value_problems
from domain.config.pages import describe, is_shown, shown_value
from domain.config.resolved import (
    Fields,
    ResolvedConfig,
    SecretText,
    Values,
    as_secret,
    effective,
    holds_secrets,
    is_exposed,
    kept,
    resolve,
    with_changes,
)

__all__ = [
    "Fields",
    "ResolvedConfig",
    "SecretText",
    "Values",
    "as_secret",
    "check_value",
    "check_values",
    "config_state",
    "describe",
    "effective",
    "holds_secrets",
    "is_exposed",
    "is_shown",
    "kept",
    "misfits",
    "missing",
    "resolve",
    "shown_value",
    "value_problems",
    "with_changes",
]
