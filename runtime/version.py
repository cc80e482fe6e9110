"""Which version of the product this is."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """Of the installed distribution; `0` where there is none."""
    try:
        return installed("flowgraft")
    except PackageNotFoundError:
        return "0"
