"""The one table: domain error → HTTP status. Bodies are made in `problems.py`; nothing is raised here."""

from domain.errors import (
    Conflict,
    FlowgraftError,
    Forbidden,
    Gone,
    Invalid,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    StepFailed,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    VersionConflict,
)

STATUSES: dict[type[FlowgraftError], int] = {
    NotFound: 404,
    Gone: 410,
    Unauthenticated: 401,
    Forbidden: 403,
    MethodNotAllowed: 405,
    Conflict: 409,
    VersionConflict: 412,
    Invalid: 422,
    MalformedBody: 400,
    TooLarge: 413,
    UnsupportedMedia: 415,
    Unavailable: 503,
    StepFailed: 502,
}

CODE_STATUSES = {"rate_limited": 429, "queue_full": 429}  # the same error as Unavailable, but the caller's own doing

HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
}  # what the framework itself answers


def status_of(error: FlowgraftError) -> int:
    if error.code in CODE_STATUSES:
        return CODE_STATUSES[error.code]
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
