"""The server transactions: one for INVITE, one for every other method (RFC 3261 17.2, RFC 6026 7.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from callcenter.sip.events import EndedBy, Send
from callcenter.sip.strangers import FOR_FINAL
from callcenter.sip.transaction import Failed, Input, Output, State, Transaction, input_of

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request, Response
    from callcenter.sip.timers import SipTimers

# A branch with this in front is unique over all requests; one without comes from an RFC 2543 client (17.2.3).
MAGIC_COOKIE = "z9hG4bK"


def server_key(request: Request, method: str) -> str:
    """The name of the server transaction of ``request``, for the method given (17.2.3).

    An ACK and a CANCEL find their INVITE with ``method="INVITE"``. The RFC 2543 form leaves the To tag out: an ACK has
    one where the INVITE had none, and what else is compared is unique enough.
    """
    via = request.via
    branch = via.branch
    if branch is not None and branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        return f"s:{branch}:{via.host}:{via.port}:{method}"
    number = request.cseq.number
    return f"s:{request.uri}:{request.from_tag}:{request.call_id}:{number}:{via.host}:{via.port}:{branch}:{method}"


# Call-ID, From tag, CSeq number and method: what two branches of one request have in common (8.2.2.2).
MergeKey = tuple[str, str, int, str]


class ServerUser(Protocol):
    """Who answers an INVITE."""

    def on_cancel(self, transaction: ServerInvite, request: Request, now: float) -> None:
        """The peer takes it back."""

    def on_server_failure(self, transaction: ServerInvite, now: float) -> None:
        """The answer cannot be sent."""


class ServerInvite(Transaction):
    """A peer's INVITE, until it is refused and the ACK has come, or accepted and repeated ones are absorbed.

    A 2xx is repeated by its user, through ``respond``.
    """

    __slots__ = ("_last", "left", "merge_key", "request", "tag", "user")

    def __init__(self, key: str, request: Request, flow: Flow, timers: SipTimers) -> None:
        super().__init__(key, flow, timers, State.PROCEEDING)
        self.request = request
        self.user: ServerUser | None = None
        # The To tag of its answers, which the answer to a CANCEL has too.
        self.tag: str | None = None
        self.merge_key: MergeKey | None = None
        # Messages that may still be sent to a stranger; None: no bound (see sip/strangers.py).
        self.left: int | None = None
        self._last = b""

    def receive(self, method: str, now: float) -> list[Output]:
        """Take a repeated INVITE, or an ACK that belongs to the transaction."""
        return self._step(Input.ACK if method == "ACK" else Input.REQUEST, None, now)

    def respond(self, status: int, data: bytes, now: float) -> list[Output]:
        """Send an answer of the user."""
        if self.state is State.PROCEEDING:
            self._last = data
            return self._step(input_of(status), None, now)
        # It has its final answer.
        return []

    def repeat(self, now: float) -> list[Output]:
        """Send the 2xx again."""
        return self._step(Input.SUCCESS, None, now)

    def repeat_progress(self, now: float) -> list[Output]:
        """Send the provisional answer again, as if the INVITE had been repeated (RFC 3262 3)."""
        return self._step(Input.REQUEST, None, now) if self.state is State.PROCEEDING else []

    def shed(self) -> None:
        """Its user is through with it: what is left absorbs repetitions for half a minute, and needs little for that.

        400 calls a second leave 13,000 of these.
        """
        self.user = None
        self.request = self.request.essence()

    def send_by(self, flow: Flow) -> list[Output]:
        """Send the last answer, and those to come, by another flow: the connection it had is gone (18.2.2)."""
        self.flow = flow
        return self._send() if self._last else []

    def _step(self, given: Input, response: Response | None, now: float) -> list[Output]:
        match self.state, given:
            case State.PROCEEDING, Input.PROVISIONAL | Input.REQUEST:
                spared = self.left is not None and self.left <= FOR_FINAL
                return self._send() if self._last and not spared else []
            case State.PROCEEDING, Input.SUCCESS:
                # RFC 6026 7.1: stay, so that a repeated INVITE does not ring again.
                self.state = State.ACCEPTED
                self._due[Input.TIMER_L] = now + self._timers.timeout
                return self._send()
            case State.PROCEEDING, Input.FAILURE:
                self.state = State.COMPLETED
                self._due[Input.TIMER_H] = now + self._timers.timeout
                if not self.flow.reliable:
                    self._due[Input.TIMER_G] = now + self._interval
                return self._send()
            case State.ACCEPTED, Input.SUCCESS:
                return self._send()
            case State.COMPLETED, Input.REQUEST:
                return self._send()
            case State.COMPLETED, Input.TIMER_G:
                self._interval = min(2 * self._interval, self._timers.t2)
                self._due[Input.TIMER_G] = now + self._interval
                return self._send()
            case State.COMPLETED, Input.ACK:
                self._due.clear()
                if self.flow.reliable:
                    self._terminate()
                else:
                    self.state = State.CONFIRMED
                    self._due[Input.TIMER_I] = now + self._timers.timer_i
                return []
            case State.COMPLETED, Input.TIMER_H:
                self._terminate()
                return []
            case (State.ACCEPTED, Input.TIMER_L) | (State.CONFIRMED, Input.TIMER_I):
                self._terminate()
                return []
            case State.PROCEEDING | State.ACCEPTED | State.COMPLETED, Input.TRANSPORT_ERROR:
                # RFC 6026 8.8 (17.2.4): tell the user and stay; a later attempt may pass.
                return [Failed(EndedBy.TRANSPORT)]
            case _:
                # Accepted: a repeated INVITE waits for the user's next 2xx. Confirmed: repeated ACKs and INVITEs.
                return []

    def _send(self) -> list[Output]:
        if self.left is not None:
            if not self.left:
                return []
            self.left -= 1
        return [Send(self.flow, self._last, self.key)]


class ServerRequest(Transaction):
    """A peer's request of any other method, until it is answered and repeated ones are absorbed."""

    __slots__ = ("_last", "merge_key", "request")

    def __init__(self, key: str, request: Request, flow: Flow, timers: SipTimers, now: float) -> None:
        super().__init__(key, flow, timers, State.TRYING)
        self.request = request
        self.merge_key: MergeKey | None = None
        self._last = b""
        # RFC 4320 4.2: after 64*T1 the client has given up, and an answer would only be a stray one.
        self._due[Input.GIVE_UP] = now + timers.timeout

    def abandon(self) -> None:
        """It is answered without a transaction."""
        self._terminate()

    def receive(self, now: float) -> list[Output]:
        """Take a repeated request."""
        return self._step(Input.REQUEST, None, now)

    def respond(self, status: int, data: bytes, now: float) -> list[Output]:
        """Send an answer of the user."""
        if self.state in (State.TRYING, State.PROCEEDING):
            self._last = data
        return self._step(input_of(status), None, now)

    def _step(self, given: Input, response: Response | None, now: float) -> list[Output]:
        match self.state, given:
            case State.TRYING | State.PROCEEDING, Input.PROVISIONAL:
                self.state = State.PROCEEDING
                return self._send()
            case State.TRYING | State.PROCEEDING, Input.SUCCESS | Input.FAILURE:
                self._due.clear()
                if self.flow.reliable:
                    self._terminate()
                else:
                    self.state = State.COMPLETED
                    self._due[Input.TIMER_J] = now + self._timers.timeout
                    self.request = self.request.essence()
                return self._send()
            case State.PROCEEDING | State.COMPLETED, Input.REQUEST:
                return self._send()
            case (State.TRYING | State.PROCEEDING, Input.GIVE_UP) | (State.COMPLETED, Input.TIMER_J):
                self._terminate()
                return []
            case _:
                # Trying: a repeated request has no answer yet. Transport errors: the peer will repeat its request.
                return []

    def _send(self) -> list[Output]:
        return [Send(self.flow, self._last, self.key)]
