"""The error tree, by what to do about it. It knows neither HTTP statuses nor Temporal.

FlowgraftError
├── Rejected                  someone must change something; never retried
│   ├── NotFound              absent or foreign: the same answer
│   ├── Gone                  it was here and has been deleted
│   ├── Unauthenticated       no key, a wrong key
│   ├── Forbidden             the key lacks the scope
│   ├── MethodNotAllowed      the webhook does not take this method
│   ├── Conflict              the state does not allow it (`code` says which state)
│   ├── VersionConflict       If-Match is stale
│   ├── Invalid               input is wrong; `problems` says where
│   ├── MalformedBody         the bytes are no acceptable JSON or YAML
│   ├── TooLarge              a size limit
│   └── UnsupportedMedia      a content type or encoding we do not take
├── Unavailable               try later; `retry_after` seconds when known
└── StepFailed                an action said no; the flow's own policy decides
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input. `line` and `column` count from 1, for definitions only."""

    pointer: str
    code: str
    detail: str
    line: int | None = None
    column: int | None = None
    path: str | None = None


class FlowgraftError(Exception):
    """`code` is stable and greppable; `message` is for a person."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code


class Rejected(FlowgraftError):
    code = "rejected"


class NotFound(Rejected):
    code = "not_found"


class Gone(Rejected):
    code = "gone"


class Unauthenticated(Rejected):
    """`reason` goes into an instance's log only: a caller is not told which part was wrong."""

    code = "unauthenticated"

    def __init__(self, message: str, *, code: str | None = None, reason: str | None = None) -> None:
        super().__init__(message, code=code)
        self.reason = reason


class Forbidden(Rejected):
    code = "forbidden"


class MethodNotAllowed(Rejected):
    code = "method_not_allowed"

    def __init__(self, message: str, allowed: list[str]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Conflict(Rejected):
    code = "state_conflict"

    def __init__(self, message: str, problems: list[Problem] | None = None, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.problems = problems or []


class VersionConflict(Rejected):
    code = "version_conflict"


class Invalid(Rejected):
    code = "validation_failed"

    def __init__(self, message: str, problems: list[Problem] | None = None, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.problems = problems or []


class MalformedBody(Rejected):
    code = "malformed_json"


class TooLarge(Rejected):
    code = "payload_too_large"


class UnsupportedMedia(Rejected):
    code = "unsupported_media_type"


class Unavailable(FlowgraftError):
    code = "unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class StepFailed(FlowgraftError):
    """An action failed. `transient` is what step retries apply to; `permanent` is what no attempt can mend.

    `details` is JSON shown to people next to the message: what was tried and what came back, bounded and masked.
    `retry_after` is in seconds, as the third party asked.
    """

    code = "step_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        transient: bool = False,
        permanent: bool = False,
        retry_after: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.transient = transient
        self.permanent = permanent
        self.retry_after = retry_after
        self.details = details
