"""Bodies of the `http` component: what is sent as bytes, and what came back as data."""

from base64 import b64encode
from codecs import BOM_UTF8
from collections.abc import Mapping
from email.message import Message
from typing import Any

from domain.jsontext import JsonRefused, strict_loads

# Only what maps bytes to text in linear time; Python's registry also holds transforms and punycode.
_CHARSETS = frozenset(
    {"us-ascii", "utf-16", "utf-16le", "utf-16be", "gbk", "gb18030", "big5", "shift_jis", "euc-jp", "euc-kr", "koi8-r"}
    | {"latin1", "gb2312"}
    | {f"iso-8859-{part}" for part in range(1, 17) if part != 12}
    | {f"windows-125{part}" for part in range(9)}
)


def read_body(headers: Mapping[str, str], body: bytes) -> Any:
    """JSON as its value, other text as text, anything else as base64; None when empty. `headers` in lower case."""
    if not body:
        return None
    media = Message()
    media["content-type"] = headers.get("content-type", "").partition(",")[0]
    if _is_json(media.get_content_type()):
        try:
            return strict_loads(body.removeprefix(BOM_UTF8))
        except JsonRefused:
            pass
    charset = str(media.get_param("charset", "utf-8")).lower()
    try:
        return body.decode(charset if charset in _CHARSETS else "utf-8")
    except UnicodeDecodeError:
        return {"base64": b64encode(body).decode()}


def _is_json(media_type: str) -> bool:
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")
