"""Is a text well-formed XML or HTML? Linear, whatever the text: nothing is fetched, no entity expanded."""

import re
from xml.parsers import expat

from domain.text import truncate

NEWLINE = "\n"
LONGEST_NAME = 60  # as it is shown

_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
# Tags that HTML lets stay open: whatever encloses them ends them.
_MAY_STAY_OPEN = re.compile(
    "html|head|body|p|li|dt|dd|option|optgroup|tr|td|th|thead|tbody|tfoot|colgroup|caption|rb|rt|rtc|rp"
)
_RAW = re.compile("script|style|textarea|title")  # what is inside is text
_MARKUP = re.compile(r"<(?:!--|[!?]|/?[A-Za-z])")
# Possessive, so that no text makes it look twice: a quote counts behind `=` only, as in browsers.
_TAG = re.compile(r"""<(/?)([A-Za-z][^\s/>]*+)((?:=\s*+(?:"[^"]*+"|'[^']*+')|[^>])*+)>""")


class _Wrong(Exception):
    """`at` is the offset."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.what = what
        self.at = at


def check_xml(text: str) -> str | None:
    """What is wrong, with line and column. A document type is refused, and with it every entity of one's own."""
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(text.encode("utf-8"), True)
    except expat.ExpatError as error:
        return f"{expat.ErrorString(error.code)} at line {error.lineno} column {error.offset + 1}"
    except _Wrong as wrong:
        return f"{wrong.what} at line {parser.CurrentLineNumber}"
    return None


def check_html(text: str) -> str | None:
    """Tolerant, as browsers are: only what is never closed, never opened, or closed out of turn is wrong."""
    try:
        _match_tags(text)
    except _Wrong as wrong:
        before = text[: wrong.at]
        column = wrong.at - before.rfind(NEWLINE)
        return f"{wrong.what} at line {before.count(NEWLINE) + 1} column {column}"
    return None


def _refuse_doctype(*_: object) -> None:
    raise _Wrong("a document type (<!DOCTYPE) is not allowed", 0)


def _match_tags(text: str) -> None:
    lowered = text.lower()
    opened: list[tuple[str, int]] = []
    position = 0
    while found := _MARKUP.search(text, position):
        at = found.start()
        if found[0].startswith(("<!", "<?")):
            position = _after(
                text, "-->" if found[0] == "<!--" else ">", found.end(), f"{found[0]} is never closed", at
            )
            continue
        tag = _TAG.match(text, at)
        if tag is None:
            raise _Wrong("a tag is never closed with >", at)
        name, position = tag[2].lower(), tag.end()
        if tag[1]:
            _close(opened, name, at)
        elif not _VOID.fullmatch(name) and not tag[3].endswith("/"):
            opened.append((name, at))
            if _RAW.fullmatch(name):
                position = _after(lowered, f"</{name}", position, f"<{name}> is never closed", at) - len(f"</{name}")
    for name, at in opened:
        if not _MAY_STAY_OPEN.fullmatch(name):
            raise _Wrong(f"{_shown(name)} is never closed: it begins", at)


def _after(text: str, end: str, start: int, otherwise: str, at: int) -> int:
    found = text.find(end, start)
    if found < 0:
        raise _Wrong(otherwise, at)
    return found + len(end)


def _close(opened: list[tuple[str, int]], name: str, at: int) -> None:
    if _VOID.fullmatch(name):
        return
    while opened and opened[-1][0] != name and _MAY_STAY_OPEN.fullmatch(opened[-1][0]):
        opened.pop()
    if not opened:
        raise _Wrong(f"{_shown(f'/{name}')} closes nothing", at)
    if opened[-1][0] != name:
        raise _Wrong(f"{_shown(f'/{name}')} stands where {_shown(opened[-1][0])} is still open,", at)
    opened.pop()


def _shown(name: str) -> str:
    return f"<{truncate(name, LONGEST_NAME)}>"
