"""The client transactions: one for INVITE, one for every other method (RFC 3261 17.1, RFC 6026 7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from callcenter.sip.events import EndedBy, Send
from callcenter.sip.headers import Headers
from callcenter.sip.message import Request
from callcenter.sip.transaction import Deliver, Failed, Input, Output, State, Transaction, input_of

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Response
    from callcenter.sip.timers import SipTimers


def client_key(branch: str, method: str) -> str:
    """The name of a client transaction: a CANCEL has the branch of its INVITE (RFC 3261 17.1.3)."""
    return f"c:{branch}:{method}"


class ClientUser(Protocol):
    """Who hears what becomes of a request."""

    def on_response(self, transaction: ClientInvite | ClientRequest, response: Response, now: float) -> None:
        """An answer came."""

    def on_failure(self, transaction: ClientInvite | ClientRequest, cause: EndedBy, now: float) -> None:
        """None came in time (TIMEOUT), or the request could not be sent (TRANSPORT)."""


class ClientInvite(Transaction):
    """Our INVITE, until it is refused and acknowledged, or accepted and every late 2xx has been told.

    The ACK to a 2xx is its user's to send.
    """

    __slots__ = ("_ack", "_data", "acks", "challenges", "request", "rseqs", "user")

    def __init__(self, key: str, request: Request, flow: Flow, timers: SipTimers, user: ClientUser) -> None:
        super().__init__(key, flow, timers, State.CALLING)
        self.request = request
        self.user = user
        # By To tag: the ACKs that the user sent to each branch's 2xx, kept here to be sent again.
        self.acks: dict[str, Send] = {}
        # By To tag: the last provisional answer of each branch that the user acknowledged (RFC 3262 4).
        self.rseqs: dict[str, int] = {}
        # How often it was challenged before, and sent again as another transaction.
        self.challenges = 0
        self._data = request.to_bytes()
        self._ack = b""

    def start(self, now: float) -> list[Output]:
        """Send the INVITE."""
        return self._step(Input.START, None, now)

    def receive(self, response: Response, now: float) -> list[Output]:
        """Take an answer that matched."""
        return self._step(input_of(response.status), response, now)

    def say_once(self) -> None:
        """Do not repeat the INVITE: nothing tells that anybody is there."""
        self._due.pop(Input.TIMER_A, None)

    def give_up_later(self, now: float) -> None:
        """Wait 64*T1 more for a final answer: after a CANCEL (RFC 3261 9.1), or when the session is over."""
        if self.state in (State.CALLING, State.PROCEEDING):
            self._due.setdefault(Input.GIVE_UP, now + self._timers.timeout)

    def _step(self, given: Input, response: Response | None, now: float) -> list[Output]:
        match self.state, given:
            case State.CALLING, Input.START:
                if not self.flow.reliable:
                    self._due[Input.TIMER_A] = now + self._interval
                self._due[Input.TIMER_B] = now + self._timers.timeout
                return [Send(self.flow, self._data, self.key)]
            case State.CALLING, Input.TIMER_A:
                # 17.1.1.2: the interval doubles without a cap; timer B ends it.
                self._interval *= 2
                self._due[Input.TIMER_A] = now + self._interval
                return [Send(self.flow, self._data, self.key)]
            case (State.CALLING, Input.TIMER_B) | (State.CALLING | State.PROCEEDING, Input.GIVE_UP):
                self._terminate()
                return [Failed(EndedBy.TIMEOUT)]
            case State.CALLING | State.PROCEEDING, Input.PROVISIONAL:
                self.state = State.PROCEEDING
                self._due.pop(Input.TIMER_A, None)
                self._due.pop(Input.TIMER_B, None)
                assert response is not None
                return [Deliver(response)]
            case State.CALLING | State.PROCEEDING, Input.SUCCESS:
                # RFC 6026 7.2: stay for the 2xx of other branches and the repeated ones.
                self.state = State.ACCEPTED
                self._due.clear()
                self._due[Input.TIMER_M] = now + self._timers.timeout
                assert response is not None
                return [Deliver(response)]
            case State.CALLING | State.PROCEEDING, Input.FAILURE:
                assert response is not None
                self._ack = ack_to_failure(self.request, response).to_bytes()
                self._due.clear()
                if self.flow.reliable:
                    self._terminate()
                else:
                    self.state = State.COMPLETED
                    self._due[Input.TIMER_D] = now + self._timers.timer_d
                return [Send(self.flow, self._ack, self.key), Deliver(response)]
            case State.ACCEPTED, Input.SUCCESS:
                assert response is not None
                return [Deliver(response)]
            case State.COMPLETED, Input.FAILURE:
                return [Send(self.flow, self._ack, self.key)]
            case (State.ACCEPTED, Input.TIMER_M) | (State.COMPLETED, Input.TIMER_D | Input.TRANSPORT_ERROR):
                self._terminate()
                return []
            case State.CALLING | State.PROCEEDING, Input.TRANSPORT_ERROR:
                self._terminate()
                return [Failed(EndedBy.TRANSPORT)]
            case _:
                # An answer that comes too late, or an ACK to a 2xx that could not be sent: a repeated 2xx asks again.
                return []


class ClientRequest(Transaction):
    """Our request of any other method, until its final answer has come and the repeated ones are absorbed."""

    __slots__ = ("_data", "challenges", "request", "user")

    def __init__(self, key: str, request: Request, flow: Flow, timers: SipTimers, user: ClientUser | None) -> None:
        super().__init__(key, flow, timers, State.TRYING)
        self.request = request
        self.user = user
        # How often it was challenged before, and sent again as another transaction.
        self.challenges = 0
        self._data = request.to_bytes()

    def start(self, now: float) -> list[Output]:
        """Send the request."""
        return self._step(Input.START, None, now)

    def say_once(self) -> None:
        """Do not repeat the request: nothing tells that anybody is there."""
        self._due.pop(Input.TIMER_E, None)

    def receive(self, response: Response, now: float) -> list[Output]:
        """Take an answer that matched."""
        return self._step(input_of(response.status), response, now)

    def _step(self, given: Input, response: Response | None, now: float) -> list[Output]:
        match self.state, given:
            case State.TRYING, Input.START:
                if not self.flow.reliable:
                    self._due[Input.TIMER_E] = now + self._interval
                self._due[Input.TIMER_F] = now + self._timers.timeout
                return [Send(self.flow, self._data, self.key)]
            case State.TRYING, Input.TIMER_E:
                self._interval = min(2 * self._interval, self._timers.t2)
                self._due[Input.TIMER_E] = now + self._interval
                return [Send(self.flow, self._data, self.key)]
            case State.PROCEEDING, Input.TIMER_E:
                # 17.1.2.2: once it is known to have arrived, only every T2.
                self._due[Input.TIMER_E] = now + self._timers.t2
                return [Send(self.flow, self._data, self.key)]
            case State.TRYING | State.PROCEEDING, Input.TIMER_F:
                self._terminate()
                return [Failed(EndedBy.TIMEOUT)]
            case State.TRYING | State.PROCEEDING, Input.PROVISIONAL:
                self.state = State.PROCEEDING
                assert response is not None
                return [Deliver(response)]
            case State.TRYING | State.PROCEEDING, Input.SUCCESS | Input.FAILURE:
                self._due.clear()
                if self.flow.reliable:
                    self._terminate()
                else:
                    self.state = State.COMPLETED
                    self._due[Input.TIMER_K] = now + self._timers.timer_k
                assert response is not None
                return [Deliver(response)]
            case State.TRYING | State.PROCEEDING, Input.TRANSPORT_ERROR:
                self._terminate()
                return [Failed(EndedBy.TRANSPORT)]
            case State.COMPLETED, Input.TIMER_K:
                self._terminate()
                return []
            case _:
                # A repeated or late answer, or the transport failing when the answer is here.
                return []


def ack_to_failure(request: Request, response: Response) -> Request:
    """The ACK to a final answer other than 2xx: it belongs to the INVITE's transaction (RFC 3261 17.1.1.3)."""
    headers = Headers()
    # The top Via of the INVITE is its only one: we are where it began.
    for name in ("Via", "Max-Forwards", "Route", "From"):
        for value in request.headers.all(name):
            headers.add(name, value)
    headers.add("To", response.headers.get("To") or request.headers.get("To") or "")
    headers.add("Call-ID", request.call_id)
    headers.add("CSeq", f"{request.cseq.number} ACK")
    return Request("ACK", request.uri, headers, b"")


def cancel_of(request: Request) -> Request:
    """The CANCEL of our INVITE: the same but for the method, with the INVITE's own branch (RFC 3261 9.1)."""
    headers = Headers()
    for name in ("Via", "Max-Forwards", "Route", "From", "To"):
        for value in request.headers.all(name):
            headers.add(name, value)
    headers.add("Call-ID", request.call_id)
    headers.add("CSeq", f"{request.cseq.number} CANCEL")
    return Request("CANCEL", request.uri, headers, b"")
