"""``callcenter trace``: the SIP messages of one call as a ladder, with what happened in between."""

from __future__ import annotations

import argparse
import base64
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callcenter.cli.common import add_switch_arguments, socket_or_tell
from callcenter.cli.pcap import Datagram, capture
from callcenter.control.client import ControlClient, ControlError, NoSwitch
from callcenter.observe import NUMBER_KEYS, PERSONAL_KEYS, SECRET_KEYS, mask_number, printable, words

EVERY = 0.5
# Of columns: where the first party's line stands, and how far the lines are from each other.
FIRST = 18
APART = 30
# How long after the end of a call its last messages may come (a BYE that is repeated).
LINGER = 3.0
# Of what a fact says; the rest is in `callcenter status` and in the record of the call.
LONGEST_NOTE = 100
# Numbers of offers and visits tell nobody anything.
_DULL = frozenset(
    (
        *("visit", "offer", "generation", "lease_ms", "ring_for_ms", "requirements", "why", "pop", "sip_call_id"),
        *("explanation", "needs", "own", "prefer_ms"),
        *("first_joined_ms", "alive_ms", "source", "transport", "device", "forced", "next"),
        *("remaining_ms", "extension_ms"),
    )
)

_MEDIA = re.compile(rb"^m=(\w+) (\d+)(?:/\d+)? (\S+)((?: \S+)*)", re.MULTILINE)
_WHERE = re.compile(rb"^c=IN IP[46] (\S+)", re.MULTILINE)
_WAY = re.compile(rb"^a=(sendonly|recvonly|inactive)\s*$", re.MULTILINE)
_NAMES = {b"0": "PCMU", b"8": "PCMA", b"9": "G722", b"18": "G729"}

WHICH = ("call", "number", "agent")

Trace = Mapping[str, Any]
Endpoint = tuple[str, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``trace``."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("call", nargs="?", metavar="CALL", help="the call's id, or its end as `status` shows it")
    which.add_argument("--number", metavar="N", help="the last call from or to this number")
    which.add_argument("--agent", metavar="A", help="the last call that was offered to this agent")
    which.add_argument("--last", action="store_true", help="the last call (so it is when nothing is said)")
    parser.add_argument("--follow", action="store_true", help="go on until the call has ended")
    parser.add_argument("--messages", action="store_true", help="each message in full below its arrow")
    parser.add_argument("--pcap", type=Path, metavar="FILE", help="write the messages as a capture, for Wireshark")
    parser.add_argument("--numbers", action="store_true", help="callers' numbers in full above the ladder")
    add_switch_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Show it; exit status 1 when there is no such call, or no switch runs."""
    path = socket_or_tell(options)
    if path is None:
        return 1
    which: dict[str, Any] = {name: value for name in WHICH if (value := getattr(options, name))}
    shown: list[Datagram] = []
    with ControlClient(path) as client:
        try:
            _show(client, which, options, shown)
        except KeyboardInterrupt:
            pass  # enough was seen
        except ControlError as error:
            print(f"callcenter: {error}", file=sys.stderr)
            return 1
    if options.pcap is not None:
        try:
            options.pcap.write_bytes(capture(shown))
        except OSError as error:
            print(f"callcenter: {options.pcap} cannot be written: {error.strerror}", file=sys.stderr)
            return 1
    return 0


def _show(client: ControlClient, which: dict[str, Any], options: argparse.Namespace, shown: list[Datagram]) -> None:
    """Print all that there is, or with ``--follow`` all that comes; what was printed is added to ``shown``."""
    found = client.ask("trace", **which)
    ladder = Ladder(found, messages=options.messages, numbers=options.numbers)
    _tell(ladder.head())
    if found["call"] or found["sip_call_ids"]:
        # From now on this one, also when another one fits better.
        which = {"call": found["call"] or found["sip_call_ids"][0]}
    while True:
        _tell(ladder.lines(found))
        shown += map(_datagram, found["messages"])
        if not found["messages"]:
            if not options.follow or not (found["up"] or time.time() - ladder.moved_at < LINGER):
                return
            time.sleep(EVERY)
        try:
            found = client.ask("trace", **which, after=ladder.last, after_fact=ladder.last_fact)
        except NoSwitch:
            print("the switch has ended", file=sys.stderr)
            return


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _datagram(message: Trace) -> Datagram:
    local, remote = _ends(message)
    source, target = (local, remote) if message["sent"] else (remote, local)
    return Datagram(message["at"], source, target, base64.b64decode(message["data"]))


class Ladder:
    """The picture: a line for each party, an arrow for each message; ``last`` and ``last_fact`` were shown last."""

    def __init__(self, found: Trace, *, messages: bool = False, numbers: bool = False) -> None:
        self.last = self.last_fact = 0
        self.moved_at = time.time()
        self._found = found
        self._messages = messages
        self._numbers = numbers
        self._began: float | None = None
        self._parties: list[str] = []
        self._names: Mapping[str, str] = found["names"]
        self._seen: set[tuple[bool, str, bytes]] = set()

    def head(self) -> list[str]:
        """Which call it is."""
        found = self._found
        if not found["call"]:
            ids = ", ".join(found["sip_call_ids"])
            return [printable(f"no call of ours; SIP Call-ID {ids}")]
        number = found["from"] if self._numbers else mask_number(found["from"])
        agents = f", offered to {', '.join(found['agents'])}" if found["agents"] else ""
        return [printable(f"call {found['call']}: {number} -> {found['to']}{agents}")]

    def lines(self, found: Trace) -> list[str]:
        """What came since the last time, in the order of time, safe for a terminal."""
        things = [(message["at"], 0, message) for message in found["messages"]]
        things += [(_instant(fact["at"]), 1, fact) for fact in found["facts"]]
        things.sort(key=lambda thing: thing[:2])
        if not things:
            return []
        self._names = {**self._names, **found["names"]}
        self.moved_at = time.time()
        out: list[str] = []
        if self._began is None:
            self._began = things[0][0]
            if found["messages"] and found["facts"] and found["messages"][0]["at"] - things[0][0] > 1:
                out.append("(the first messages are no longer kept)")
        if self._take_in(found["messages"]):
            out += self._columns()
        for at, is_fact, thing in things:
            if is_fact:
                self.last_fact = thing["seq"]
                out.append(self._note(at, thing))
            else:
                self.last = thing["number"]
                out += self._arrow(at, thing)
        return [printable(line.rstrip()) for line in out]

    def _take_in(self, messages: Sequence[Trace]) -> bool:
        """A column for each peer that is new: the first on the left of the switch, the others on its right."""
        before = len(self._parties)
        for message in messages:
            peer = _spelled(_ends(message)[1])
            if peer not in self._parties:
                self._parties.append(peer)
                if len(self._parties) == 1:
                    self._parties.append("")
        return len(self._parties) > before

    def _columns(self) -> list[str]:
        named = [self._names.get(party, "") for party in self._parties]
        first = ["switch" if not party else name or ("caller" if not at else "")
                 for at, (party, name) in enumerate(zip(self._parties, named, strict=True))]  # fmt: skip
        return ["", self._at_columns(first), self._at_columns(self._parties), self._at_columns(["|"] * len(named))]

    def _at_columns(self, texts: Sequence[str]) -> str:
        line = [" "] * (FIRST + APART * len(texts))
        for at, text in enumerate(texts):
            text = text[: APART - 1]
            begin = max(0, FIRST + APART * at - len(text) // 2)
            line[begin : begin + len(text)] = text
        return "".join(line)

    def _arrow(self, at: float, message: Trace) -> Iterator[str]:
        _, remote = _ends(message)
        data = base64.b64decode(message["data"])
        peer = _spelled(remote)
        key = (bool(message["sent"]), peer, data)
        again, label = key in self._seen, _label(data)
        self._seen.add(key)
        one, other = self._parties.index(peer), self._parties.index("")
        right = (one < other) != bool(message["sent"])
        left, end = FIRST + APART * min(one, other), FIRST + APART * max(one, other)
        room = end - left - 2
        label = f"{label} (again)" if again else label
        shaft = f" {label[: room - 4]} ".center(room, "-")
        yield self._with(at, left + 1, f"{shaft}>" if right else f"<{shaft}")
        if not again and (described := _described(data)):
            for text in described:
                yield self._with(None, left + 2, text.center(room - 1))
        if self._messages and not again:
            yield ""
            for text in data.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n").split("\n"):
                yield f"    {text}"
            yield ""

    def _with(self, at: float | None, begin: int, text: str) -> str:
        line = list(self._at_columns(["|"] * len(self._parties)))
        if at is not None:
            clock = self._clock(at)
            line[: len(clock)] = clock
        line[begin : begin + len(text)] = text
        return "".join(line)

    def _note(self, at: float, fact: Trace) -> str:
        told = []
        for key, value in fact["body"].items():
            if key in _DULL or key in SECRET_KEYS or key in PERSONAL_KEYS or value in ("", [], None, False, 0):
                continue
            if key in NUMBER_KEYS and not self._numbers:
                value = mask_number(value)
            told.append(f"{key} {value}")
        text = words(fact["kind"]) + (f": {', '.join(told)}" if told else "")
        return f"{self._clock(at)} * {text}"[: FIRST + LONGEST_NOTE]

    def _clock(self, at: float) -> str:
        assert self._began is not None
        return f"{at - self._began:9.3f}"


def _label(data: bytes) -> str:
    """``INVITE``, ``200 OK (INVITE)``."""
    start = data.partition(b"\r\n")[0].decode("utf-8", "replace").split(" ", 2)
    if start[0].upper() != "SIP/2.0":
        return start[0]
    found = re.search(rb"^CSeq[ \t]*:[ \t]*\d+[ \t]+(\S+)", data, re.IGNORECASE | re.MULTILINE)
    method = f" ({found[1].decode('utf-8', 'replace')})" if found is not None else ""
    return " ".join(start[1:]) + method


def _described(data: bytes) -> list[str]:
    """The session description, a line for each medium: ``audio 10.0.0.7:4000 PCMU PCMA sendonly``."""
    body = data.partition(b"\r\n\r\n")[2]
    if b"m=" not in body:
        return []
    sections = re.split(rb"^(?=m=)", body, flags=re.MULTILINE)
    common = _WHERE.search(sections[0])
    way = _WAY.search(sections[0])
    lines = []
    for section in sections[1:]:
        found = _MEDIA.search(section)
        if found is None:
            continue
        host = _WHERE.search(section) or common
        own = _WAY.search(section) or way
        rates = dict(re.findall(rb"^a=rtpmap:(\d+) ([^/\s]+)", section, re.MULTILINE))
        formats = [_NAMES.get(each) or rates.get(each, each).decode("utf-8", "replace") for each in found[4].split()]
        where = f"{host[1].decode('utf-8', 'replace') if host else '?'}:{found[2].decode()}"
        safe = ["SRTP"] if b"SAVP" in found[3] else []
        said = [own[1].decode()] if own is not None else []
        kind = found[1].decode("utf-8", "replace")
        lines.append(" ".join([kind, "refused"] if found[2] == b"0" else [kind, where, *safe, *formats, *said]))
    return lines


def _ends(message: Trace) -> tuple[Endpoint, Endpoint]:
    local, remote = message["local"], message["remote"]
    return (str(local[0]), int(local[1])), (str(remote[0]), int(remote[1]))


def _spelled(address: Endpoint) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()
