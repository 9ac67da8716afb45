"""Observing: structlog set up once, one log line for each fact, numbers and credentials masked in one place."""

from __future__ import annotations

import functools
import io
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import ExcInfo

from callcenter.model.facts import Fact, body_to_dict, utc
from callcenter.model.states import Direction
from callcenter.runtime.encoding import json_text

# Keys whose values are a caller's number, or may be one that was entered: the last four digits are masked.
NUMBER_KEYS = frozenset({"from_number", "number", "ani", "diverted_number", "target", "digits"})
# Keys whose values may hold a number among words or behind a code: whom an agent wants to ask.
WORDS_KEYS = frozenset({"code", "order"})
_LONG_NUMBER = re.compile(r"\+?[0-9]{7,}")
# Keys whose values never leave the process.
SECRET_KEYS = frozenset({"password", "token", "authorization", "proxy_authorization", "ha1", "secret"})
# What is kept for `callcenter why`, and would only make lines long.
KEPT_ELSEWHERE = frozenset({"explanation"})
# Names and keys that a log does not need of a caller.
PERSONAL_KEYS = frozenset({"from_name", "diverted_name"})

# Facts that are worth a line at ``info``; the others stand at ``debug``.
LOUD = frozenset(
    {"SwitchStarted", "SwitchStopped", "ConfigReloaded", "DrainBegan", "DrainEnded"}
    | {"CallArrived", "CallQueued", "OfferMade", "OfferEnded", "CallConnected", "AgentTookOver", "OutsideConnected"}
    | {"CallbackRequested", "CallbackAttempted", "CallbackFailed", "CallbackEnded"}
    | {"FollowupCreated", "FollowupDue", "FollowupOverdue", "FollowupDone", "FollowupCancelled"}
    | {"DoNotCallAdded", "DoNotCallRemoved", "DoNotCallDialled"}
    | {"CallTransferred", "TransferFailed", "PhoneChanged"}
    | {"RecordingStarted", "RecordingPaused", "RecordingResumed", "RecordingEnded", "RecordingFailed"}
    | {"RecordingHeld", "RecordingReleased", "RecordingDeleted", "RecordingSpaceChanged"}
    | {"QueueLeft", "CallEnded", "AgentStateChanged", "FeatureCodeDialled", "BrokerStateChanged"}
    | {"MediaMissing", "OneWayAudio", "OneWayAudioEnded"}
    | {"TrunkStateChanged", "TrunkTried", "TrunkQualityChanged"}
    | {"SupervisionStarted", "SupervisionChanged", "SupervisionEnded", "ConferenceJoined", "ConferenceLeft"}
)

# Those that tell of something that is the matter stand at ``warning``.
WORRYING = frozenset({"MediaMissing", "OneWayAudio", "TrunkQualityChanged", "RecordingFailed", "RecordingSpaceChanged"})
# Unless one of them tells that all is well again.
_WELL_AGAIN = ("good", "enough")


def set_up(style: str = "text", level: str = "info") -> None:
    """Set structlog up: ``style`` is ``text`` (a terminal) or ``json`` (an object a line), ``level`` is logging's."""
    global _style  # noqa: PLW0603 - structlog is set up once for all, too
    _style = style
    render: Any = _json
    if style == "text":
        # Not the renderer's own traceback, which shows local variables: numbers, passwords, keys that were pressed.
        render = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp" if style == "text" else "ts"),
            mask,
            structlog.processors.format_exc_info if style == "json" else _printable,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def mask(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask numbers, names and credentials: the one processor that does."""
    for key in event:
        value = event[key]
        # Whom an agent dials outside is a customer; what callers dial is ours.
        outside = key == "to_number" and event.get("direction") == Direction.OUTBOUND
        if (key in NUMBER_KEYS or outside) and isinstance(value, str):
            event[key] = mask_number(value)
        elif key in WORDS_KEYS and isinstance(value, str):
            event[key] = _LONG_NUMBER.sub(lambda found: mask_number(found[0]), value)
        elif (key in SECRET_KEYS or key in PERSONAL_KEYS) and value:
            event[key] = "***"
    return event


def mask_number(number: str) -> str:
    """``+14155550100`` as ``+1415555****``; what is no number, or too short to tell anybody, is kept."""
    return re.sub(r"(?<=\d{3})\d{4}\Z", "****", number)


def printable(text: str) -> str:
    """``text`` with nothing in it that a terminal obeys: what comes from the network may hold escape sequences."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class FactLogger:
    """A reader of facts: one line each."""

    def __init__(self) -> None:
        # Bound here and not for each fact; what is not to be seen is not made ready either (70 us a fact before).
        self._log = structlog.get_logger().bind()
        self._all = self._log.is_enabled_for(logging.DEBUG)
        # As JSON they pass by structlog, which takes three times as long for a line as it takes to write it.
        self._lines = sys.stderr if _style == "json" and structlog.is_configured() else None

    def take(self, fact: Fact) -> None:
        """Log one fact."""
        loud = fact.kind in LOUD
        if not loud and not self._all:
            return
        # What is empty says nothing, and there is much of it.
        values = {
            name: value
            for name, value in body_to_dict(fact.body).items()
            if (value or type(value) not in _MAY_BE_EMPTY) and name not in KEPT_ELSEWHERE
        }
        if fact.call_id is not None:
            values["call_id"] = fact.call_id
        worrying = fact.kind in WORRYING and not any(values.get(each) for each in _WELL_AGAIN)
        level = "warning" if worrying else "info" if loud else "debug"
        if self._lines is None:
            getattr(self._log, level)(words(fact.kind), seq=fact.seq, **values)
        elif self._log.is_enabled_for(_LEVELS[level]):
            head = {"ts": utc(fact.at), "level": level, "event": words(fact.kind), "seq": fact.seq}
            self._lines.write(json_text(head | dict(mask(None, "", values))) + "\n")


_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_style = ""
_MAY_BE_EMPTY = frozenset((str, list))


@functools.cache
def words(kind: str) -> str:
    """``CallArrived`` as ``call arrived``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind).lower()


def _json(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    return json_text(event)


def _printable(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = printable(value)
    return event


def _traceback(out: TextIO, info: ExcInfo) -> None:
    told = io.StringIO()
    structlog.dev.plain_traceback(told, info)
    out.write("\n".join(map(printable, told.getvalue().split("\n"))))
