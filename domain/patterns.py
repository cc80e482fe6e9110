"""Regular expressions of strangers, matched in linear time: what JSON Schema recommends, and nothing that backtracks.

Characters, classes, `.`, anchors, groups, `|`, `* + ? {m,n}` and `\\d \\w \\s`. The states of an automaton are followed
side by side, so that no pattern and no text make it look back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LONGEST = 500
MOST_STATES = 1000
MOST_GROUPS = 20  # one in another

_SPACE = "\t\n\v\f\r \u00a0\ufeff\u2028\u2029"
_QUANTIFIERS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_SYNTAX = "^$\\.*+?()[]{}|/-"

Test = Callable[[str], bool]


class PatternRefused(ValueError):
    """Not a pattern, or one of a kind that is not matched here."""


@dataclass
class _State:
    """Goes on to `next` on a character that passes `test`, or without one. `anchor` is ^ or $."""

    test: Test | None = None
    anchor: str = ""
    next: list["_State"] = field(default_factory=list)


class Pattern:
    """`matches` looks anywhere in a text, as JSON Schema's `pattern` does. Raises PatternRefused when made."""

    def __init__(self, text: str) -> None:
        self._end = _State()
        self._start = _Parser(text).parse(self._end)

    def matches(self, text: str) -> bool:
        current: dict[int, _State] = {}
        for position in range(len(text) + 1):
            self._follow(self._start, current, position, len(text))
            if id(self._end) in current:
                return True
            if position < len(text):
                current = self._step(current, text, position)
        return False

    def _step(self, current: dict[int, _State], text: str, position: int) -> dict[int, _State]:
        reached: dict[int, _State] = {}
        for state in current.values():
            if state.test is not None and state.test(text[position]):
                for onward in state.next:
                    self._follow(onward, reached, position + 1, len(text))
        return reached

    def _follow(self, state: _State, reached: dict[int, _State], position: int, length: int) -> None:
        """With all that can be reached from there without a character."""
        pending = [state]
        while pending:
            each = pending.pop()
            if id(each) in reached:
                continue
            if (each.anchor == "^" and position > 0) or (each.anchor == "$" and position < length):
                continue
            reached[id(each)] = each
            if each.test is None:
                pending.extend(each.next)


@dataclass(frozen=True)
class _Node:
    """A parsed piece: `build` makes its states in front of `after` and returns the first of them."""

    build: Callable[["_Parser", _State], _State]


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise PatternRefused(f"a pattern has at most {LONGEST} characters")
        self.text = text
        self.at = 0
        self.states = 0

    def parse(self, end: _State) -> _State:
        node = self._alternatives(0)
        if self.at < len(self.text):
            raise self._refused("a ) that closes nothing")
        return node.build(self, end)

    def state(self, after: Sequence[_State], test: Test | None = None, anchor: str = "") -> _State:
        self.states += 1
        if self.states > MOST_STATES:
            raise PatternRefused("the pattern repeats too much")
        return _State(test, anchor, list(after))

    def _alternatives(self, depth: int) -> _Node:
        if depth > MOST_GROUPS:
            raise self._refused(f"groups nested deeper than {MOST_GROUPS}")
        choices = [self._sequence(depth)]
        while self._take("|"):
            choices.append(self._sequence(depth))
        if len(choices) == 1:
            return choices[0]
        return _Node(lambda parser, after: parser.state([each.build(parser, after) for each in choices]))

    def _sequence(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._quantified(self._atom(depth)))

        def build(parser: _Parser, after: _State) -> _State:
            for part in reversed(parts):
                after = part.build(parser, after)
            return after if parts else parser.state([after])  # also nothing counts, however often it is repeated

        return _Node(build)

    def _quantified(self, node: _Node) -> _Node:
        counts = self._counts()
        if counts is None:
            return node
        self._take("?")  # lazy: another match, not another answer
        if self._next() in ("*", "+", "?", "{"):
            raise self._refused("a quantifier after a quantifier")
        least, most = counts

        def build(parser: _Parser, after: _State) -> _State:
            if most is None:
                loop = parser.state([after])
                loop.next.append(node.build(parser, loop))
                after = loop
            for _ in range((most or least) - least):
                after = parser.state([node.build(parser, after), after])
            for _ in range(least):
                after = node.build(parser, after)
            return after

        return _Node(build)

    def _counts(self) -> tuple[int, int | None] | None:
        """How often at least and at most, None being without end; None by itself is no quantifier."""
        for sign, meant in _QUANTIFIERS.items():
            if self._take(sign):
                return meant
        return self._braces() if self._take("{") else None

    def _braces(self) -> tuple[int, int | None]:
        inside, brace, _ = self.text[self.at :].partition("}")
        low, comma, high = inside.partition(",")
        if not brace or not _is_count(low) or not (high == "" or _is_count(high)):
            raise self._refused("a { that is no {m}, {m,} or {m,n}")
        self.at += len(inside) + 1
        least = int(low)
        most = int(high) if high else (None if comma else least)
        if most is not None and most < least:
            raise self._refused("a count that ends before it begins")
        return least, most

    def _atom(self, depth: int) -> _Node:
        sign = self.text[self.at]
        self.at += 1
        match sign:
            case "(":
                return self._group(depth)
            case "[":
                return _one(self._class())
            case ".":
                return _one(lambda character: character not in "\n\r\u2028\u2029")
            case "^" | "$":
                return _Node(lambda parser, after: parser.state([after], anchor=sign))
            case "\\":
                return _one(self._escape())
            case "*" | "+" | "?" | "{":
                raise self._refused(f"a {sign} with nothing before it")
        return _one(lambda character: character == sign)

    def _group(self, depth: int) -> _Node:
        if self._take("?") and not self._take(":"):
            raise self._refused("a group that looks around or has a name")
        node = self._alternatives(depth + 1)
        if not self._take(")"):
            raise self._refused("a ( that is never closed")
        return node

    def _class(self) -> Test:
        inverted = self._take("^")
        tests: list[Test] = []
        while not self._take("]"):
            if self.at >= len(self.text):
                raise self._refused("a [ that is never closed")
            tests.append(self._class_item())
        return lambda character: any(test(character) for test in tests) is not inverted

    def _class_item(self) -> Test:
        low = self._class_character()
        if callable(low):
            return low
        if self._next() == "-" and self.text[self.at + 1 : self.at + 2] not in ("", "]"):
            self.at += 1
            high = self._class_character()
            if callable(high) or high < low:
                raise self._refused("a range that ends before it begins")
            return lambda character: low <= character <= high
        return lambda character: character == low

    def _class_character(self) -> str | Test:
        character = self.text[self.at]
        self.at += 1
        return self._escaped() if character == "\\" else character

    def _escape(self) -> Test:
        found = self._escaped()
        return found if callable(found) else lambda character: character == found

    def _escaped(self) -> str | Test:
        sign = self._next()
        self.at += 1
        if sign.lower() in _SETS and sign:
            test = _SETS[sign.lower()]
            return test if sign.islower() else lambda character: not test(character)
        if sign in ("x", "u"):
            return self._code(2 if sign == "x" else 4)
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign and sign in _SYNTAX:
            return sign
        raise self._refused(f"the escape \\{sign}")

    def _code(self, digits: int) -> str:
        code = self.text[self.at : self.at + digits]
        if len(code) < digits or not all(each in "0123456789abcdefABCDEF" for each in code):
            raise self._refused("an escape that is cut short")
        self.at += digits
        return chr(int(code, 16))

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self, sign: str) -> bool:
        taken = self.text.startswith(sign, self.at)
        self.at += len(sign) if taken else 0
        return taken

    def _refused(self, what: str) -> PatternRefused:
        return PatternRefused(f"{what}, at character {self.at}, is not matched here")


def _one(test: Test) -> _Node:
    return _Node(lambda parser, after: parser.state([after], test))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _is_digit(character: str) -> bool:
    return "0" <= character <= "9"


def _is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


_SETS: dict[str, Test] = {"d": _is_digit, "w": _is_word, "s": lambda character: character in _SPACE}
