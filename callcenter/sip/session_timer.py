"""Session timers (RFC 4028): who refreshes a session, how often, and when one that nobody refreshed is over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import find_param, parse_params
from callcenter.sip.message import read_seconds

if TYPE_CHECKING:
    from callcenter.sip.message import Message, Request, Response

TAG = "timer"

# What holds where no Min-SE says otherwise (RFC 4028 5).
DEFAULT_MIN = 90

# How long before the end the side that does not refresh hangs up: this, or a third of the interval (10).
LAST_SECONDS = 32

# Seconds after which a refresh that was refused is tried again, of the interval: two tries more before the end.
AGAIN_AFTER = 1 / 8


@dataclass(frozen=True, slots=True)
class SessionTimer:
    """What we want of sessions, in seconds: refreshed within ``expires``, and no peer may ask for less than ``least``.

    RFC 4028 allows no ``least`` below 90 s; a smaller one is for trials.
    """

    expires: int = 1800
    least: int = DEFAULT_MIN


# What RFC 4028 recommends (4).
EVERY_HALF_HOUR = SessionTimer()


@dataclass(frozen=True, slots=True)
class Refreshing:
    """What two sides agreed on. ``ours``: we refresh. ``mutual``: the peer knows of it; else we alone look after it."""

    interval: int
    ours: bool
    mutual: bool

    @property
    def refresh_after(self) -> float:
        """Seconds after the last refresh, when the next is due (10: half of the interval is recommended)."""
        return self.interval / 2

    @property
    def ends_after(self) -> float:
        """Seconds after the last refresh, when the session is given up."""
        return self.interval - min(LAST_SECONDS, self.interval / 3)

    @property
    def again_after(self) -> float:
        """Seconds after a refresh that was refused, when it is tried again."""
        return self.interval * AGAIN_AFTER


def offer_headers(wanted: SessionTimer, least: int, agreed: Refreshing | None) -> list[tuple[str, str]]:
    """What an INVITE or UPDATE of ours asks for; within a session it says who refreshes, so that this stays (7.1, 7.4).

    ``least`` is the highest Min-SE that a 422 of this call has named; 0: none.
    """
    interval = max(wanted.expires if agreed is None else agreed.interval, least)
    refresher = "" if agreed is None or not agreed.mutual else f";refresher={'uac' if agreed.ours else 'uas'}"
    headers = [("Session-Expires", f"{interval}{refresher}")]
    lowest = max(wanted.least, least)
    if lowest != DEFAULT_MIN:
        headers.append(("Min-SE", str(lowest)))
    return headers


def too_small(wanted: SessionTimer, request: Request) -> bool:
    """Whether a peer that can do better asks for refreshes more often than we allow; it is answered 422 (9).

    Raises SipParseError when what it asks for cannot be read.
    """
    asked = session_expires(request)
    min_se(request)
    return asked is not None and asked[0] < wanted.least and TAG in request.option_tags("Supported")


def answer_to(
    wanted: SessionTimer, request: Request, agreed: Refreshing | None
) -> tuple[Refreshing, list[tuple[str, str]]]:
    """What our 2xx to this INVITE or UPDATE agrees to, and how it says so (9, table 2).

    The interval is never longer than asked, nor shorter than the request's Min-SE. A peer without session timers is
    looked after by us. One that leaves the choice to us refreshes, as it did before if there was a before.
    """
    able = TAG in request.option_tags("Supported")
    asked = session_expires(request)
    lowest = max(wanted.least, min_se(request))
    if asked is None:
        interval, refresher = max(wanted.expires if agreed is None else agreed.interval, lowest), None
    else:
        floor = min(lowest, max(asked[0], wanted.least))
        interval, refresher = max(min(asked[0], wanted.expires), floor), asked[1]
    if not able:
        # Table 2: only we can; the header is for the proxies between.
        return Refreshing(interval, ours=True, mutual=False), [("Session-Expires", f"{interval};refresher=uas")]
    if refresher is None and agreed is not None and agreed.mutual:
        ours = agreed.ours
    else:
        ours = refresher == "uas"
    headers = [("Session-Expires", f"{interval};refresher={'uas' if ours else 'uac'}")]
    if not ours:
        headers.append(("Require", TAG))
    return Refreshing(interval, ours, mutual=True), headers


def agreed_by(wanted: SessionTimer, response: Response, least: int, agreed: Refreshing | None) -> Refreshing:
    """What the 2xx to our INVITE or UPDATE agrees to (7.2). Without a word of the peer's we refresh by ourselves.

    A peer that answers with less than it was told to is not followed below that.
    """
    try:
        answer = session_expires(response)
    except SipParseError:
        answer = None
    if answer is None:
        interval = wanted.expires if agreed is None else agreed.interval
        return Refreshing(max(interval, least), ours=True, mutual=False)
    interval, refresher = answer
    return Refreshing(max(interval, wanted.least), ours=refresher != "uas", mutual=True)


def least_of(response: Response) -> int:
    """The shortest interval that a 422 to our INVITE or UPDATE allows; 0 when it does not say."""
    try:
        return min_se(response)
    except SipParseError:
        return 0


def no_shorter(agreed: Refreshing | None, least: int) -> Refreshing | None:
    """What was agreed, after a peer has refused so short an interval (422)."""
    return None if agreed is None else replace(agreed, interval=max(agreed.interval, least))


def session_expires(message: Message) -> tuple[int, str | None] | None:
    """Seconds and refresher of a Session-Expires; None without one. Raises SipParseError when it is malformed."""
    text = message.headers.get("Session-Expires")
    if text is None:
        return None
    number, semicolon, params = text.partition(";")
    seconds = read_seconds(number.strip())
    if not seconds:
        raise SipParseError("Bad Session-Expires")
    refresher = find_param(parse_params(semicolon + params), "refresher") if semicolon else None
    return seconds, refresher.lower() if refresher else None


def min_se(message: Message) -> int:
    """Seconds of a Min-SE; 0 without one. Raises SipParseError when it is malformed."""
    text = message.headers.get("Min-SE")
    if text is None:
        return 0
    seconds = read_seconds(text.partition(";")[0].strip())
    if seconds is None:
        raise SipParseError("Bad Min-SE")
    return seconds
