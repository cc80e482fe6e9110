"""Why a command ends without its answer, and the exit codes that scripts can rely on."""

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1  # the server said no, could not be reached, or a check did not pass
    USAGE = 2  # the command itself must be written otherwise
    NOT_FOUND = 3
    EXECUTION_FAILED = 4  # an execution that was waited for did not succeed


class CommandFailed(Exception):
    """Ends the command. The message is for the terminal and names the remedy where there is one."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
