"""Plain YAML, read line by line: what long lists of agents and queues are written in, ten times as fast as a parser.

Understood are mappings by indentation, words, small numbers, durations and codes, texts in double quotes, and one
level of ``{a: b}`` and ``[a, b]`` on one line. Everything else makes :func:`read` return None: the parser reads it.
A test holds both to the same tree, places included.
"""

from __future__ import annotations

import re

from callcenter.config.problems import Place, Source
from callcenter.config.tree import Entry, Node

# Deeper than anything that is configured.
MAX_DEPTH = 20

# A word begins with a letter, so that it is no number, date or indicator; what is missing in the class (colon, hash,
# comma, brackets, quotes of the double kind) could begin something else.
_WORD = r"[^\W\d_](?:[\w .'/@+-]*[\w.'/@+-])?"
_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
# Digits and letters mixed, as durations and passwords are, of which no spelling of a number begins so; and keys of 256
# bits in hexadecimal, in which somewhere is a letter that no exponent is.
_CODE = (
    r"(?:[1-9][0-9]*[A-DF-Za-df-z][A-Za-z0-9]*|0(?:ms|s|m|h)"
    r"|(?!0[box])(?=[0-9a-f]{64}(?![0-9A-Za-z]))[0-9]*(?:[a-df]|e[0-9]*[a-f])[0-9a-f]*)"
)
_QUOTED = r'"[^"\\\n]*"'
_VALUE = rf"(?:{_WORD}|{_CODE}|{_NUMBER}|{_QUOTED})"
_KEY = r"[A-Za-z][A-Za-z0-9_-]*"

_LINE = re.compile(
    rf"""(?P<indent>[ ]*)(?P<key>{_KEY}):
         (?:[ ]+(?:(?P<value>{_VALUE})
                 |(?P<mapping>\{{[ ]*{_KEY}:[ ]+{_VALUE}[ ]*(?:,[ ]*{_KEY}:[ ]+{_VALUE}[ ]*)*\}})
                 |(?P<list>\[[ ]*{_VALUE}[ ]*(?:,[ ]*{_VALUE}[ ]*)*\])))?
         [ ]*(?:(?<=[ ])\#.*)?""",
    re.VERBOSE,
)
_NOTHING = re.compile(r"[ ]*(?:\#.*)?")
_PAIR = re.compile(rf"({_KEY}):[ ]+({_VALUE})")
_ITEM = re.compile(_VALUE)
_IS_NUMBER = re.compile(_NUMBER)
# Words that YAML takes for something else (YAML 1.2, 10.3.2), and those that it once did.
_NO_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
# Beside line ends, what prints and is no space of another kind; the parser knows what to say of the rest.
_ODD = re.compile("[^\n\x20-\x7e\xa1-\u1fff\u2010-\u2027\u2030-\ud7ff]")


class _NotPlainError(Exception):
    pass


def read(text: str, source: Source) -> Node | None:
    """The tree of a file that is plain throughout; None for one that is not."""
    if _ODD.search(text) or not text.endswith("\n"):
        return None
    try:
        return _read(text.split("\n"), source)
    except _NotPlainError:
        return None


def _read(lines: list[str], source: Source) -> Node | None:
    root: Node | None = None
    # The mappings that are open, outermost first, each with its indentation.
    levels: list[tuple[int, dict[str, Entry]]] = []
    # A key without a value: the next line must stand deeper.
    waiting: Node | None = None
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is None:
            if _NOTHING.fullmatch(line):
                continue
            raise _NotPlainError
        indent = found.end("indent")
        if waiting is not None or root is None:
            if root is None:
                root = waiting = Node(Place(source, 1, 1, 2), None)
            elif indent <= levels[-1][0]:
                raise _NotPlainError  # nothing stands under the key
            opened: dict[str, Entry] = {}
            assert waiting is not None
            waiting.value, waiting.place = opened, Place(source, number, indent + 1, indent + 2)
            levels.append((indent, opened))
            waiting = None
            if len(levels) > MAX_DEPTH:
                raise _NotPlainError
        while levels and indent < levels[-1][0]:
            levels.pop()
        if not levels or indent != levels[-1][0]:
            raise _NotPlainError
        key, entries = found["key"], levels[-1][1]
        node = _value(found, number, source)
        if key in entries or key.lower() in _NO_WORDS:
            raise _NotPlainError
        entries[key] = Entry(_place(source, number, *found.span("key")), node)
        if node.value is None:
            waiting = node
    if waiting is not None:
        raise _NotPlainError
    return root


def _value(found: re.Match[str], number: int, source: Source) -> Node:
    for kind in ("value", "mapping", "list"):
        start, end = found.span(kind)
        if start < 0:
            continue
        place = _place(source, number, start, end)
        if kind == "value":
            return Node(place, _scalar(found[kind]))
        if kind == "list":
            items = _ITEM.finditer(found.string, start + 1, end - 1)
            return Node(place, [Node(_place(source, number, *item.span()), _scalar(item[0])) for item in items])
        entries: dict[str, Entry] = {}
        for pair in _PAIR.finditer(found.string, start + 1, end - 1):
            if pair[1] in entries or pair[1].lower() in _NO_WORDS:
                raise _NotPlainError
            inner = Node(_place(source, number, *pair.span(2)), _scalar(pair[2]))
            entries[pair[1]] = Entry(_place(source, number, *pair.span(1)), inner)
        return Node(place, entries)
    return Node(Place(source, number), None)


def _place(source: Source, number: int, start: int, end: int) -> Place:
    return Place(source, number, start + 1, end + 1)


def _scalar(text: str) -> str | int:
    if text[0] == '"':
        return text[1:-1]
    if text.lower() in _NO_WORDS:
        raise _NotPlainError
    return int(text) if _IS_NUMBER.fullmatch(text) else text
