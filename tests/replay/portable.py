"""A history as it is committed: nothing in it is of one machine."""

import json
from typing import Any


def portable(history: str) -> str:
    """Without what is of this machine: traces with paths, and the ids of workers."""
    return json.dumps(_without(json.loads(history), {"stackTrace", "identity", "workerVersion"}), indent=1) + "\n"


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    return [_without(item, names) for item in value] if isinstance(value, list) else value
