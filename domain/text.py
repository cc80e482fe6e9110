"""Small rules about text: what may stand in a queryable column, how text is cut, which known word was meant."""

import difflib
import re
from collections.abc import Iterable

REPLACEMENT = "\ufffd"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LONGEST_WORD = 100


def clean_text(text: str) -> str:
    """NUL and lone surrogates fit neither PostgreSQL nor UTF-8: each becomes U+FFFD."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def truncate(text: str, limit: int) -> str:
    """At most `limit` characters; a cut shows as an ellipsis."""
    if len(text) <= limit:
        return text
    return text[: limit - 1] + "…" if limit > 0 else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if one is near enough."""
    if len(word) > _LONGEST_WORD:  # difflib is quadratic in the length of words
        return None
    found = difflib.get_close_matches(word, list(known), n=1)
    return found[0] if found else None
