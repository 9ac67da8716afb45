"""What we send in a call by somebody who asks for a password: proved once, in the same dialog, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from callcenter.sip.digest import Credentials, DigestServer, Verified, parse_directives
from callcenter.sip.digest_client import MOST_TRIES, DigestClient
from callcenter.sip.endpoint import Endpoint
from callcenter.sip.events import (
    Answered,
    EndedBy,
    Notified,
    ReferAnswered,
    ReinviteAnswered,
    ReinviteRejected,
    Rejected,
    SessionEnded,
)
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request
from callcenter.sip.session_timer import SessionTimer
from callcenter.sip.uri import Uri
from tests.unit.sip.lossy import ANSWER, HOLD, OFFER
from tests.unit.sip.test_endpoint import NOTHING, UDP, endpoint, invited, me, run_out, sent, text

FIELDS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
CONTACT = ("Contact", "<sip:carrier@192.0.2.2>")
SDP = "application/sdp"


@dataclass(slots=True)
class Carrier:
    """The other end: a server that challenges whatever it is told to, and verifies what comes then."""

    it: Endpoint
    now: float = 1.0
    digest: DigestServer = field(default_factory=lambda: DigestServer("carrier", b"a key that is long enough"))
    events: list[Any] = field(default_factory=list)

    def hear(self, effects: Iterable[Any]) -> list[Any]:
        """What comes to it."""
        effects = list(effects)
        self.events += effects
        return sent(effects)

    def one(self, effects: Iterable[Any], method: str) -> Request:
        """The one request of this method."""
        (request,) = [each for each in self.hear(effects) if isinstance(each, Request) and each.method == method]
        return request

    def says(self, request: Request, status: int, *headers: tuple[str, str], body: bytes = b"") -> list[Any]:
        """An answer to a request."""
        response = request.response(status, to_tag="c", headers=headers, body=body, content_type=SDP if body else None)
        return self.it.receive(response.to_bytes(), UDP, self.now)

    def challenges(self, request: Request, status: int = 401, *, stale: bool = False) -> list[Any]:
        """A challenge of it."""
        asked = self.digest.challenges(self.now, stale=stale)
        return self.says(request, status, *((FIELDS[status][0], value) for value in asked))

    def is_proved(self, request: Request, status: int = 401) -> bool:
        """Whether it carries what it asked for."""
        known = Credentials.of("acme", "carrier", "open sesame")
        verdict = self.digest.verify(request, lambda _: known, self.now, header=FIELDS[status][1])
        return isinstance(verdict, Verified)

    def of(self, kind: type) -> list[Any]:
        """What the application was told of this kind."""
        return [each for each in self.events if isinstance(each, kind)]


def login(password: str = "open sesame") -> DigestClient:
    return DigestClient("acme", password, Random(1))


def calling(it: Endpoint, who: DigestClient | None) -> tuple[Carrier, str, Request]:
    carrier = Carrier(it)
    session, effects = it.invite(
        target=Uri.parse("sip:+34911@192.0.2.2"), flow=UDP, from_=me(), to=me(), sdp=OFFER, now=0.0, call_id="out",
        login=who,
    )  # fmt: skip
    return carrier, session, carrier.one(effects, "INVITE")


def up(who: DigestClient | None = None, **options: Any) -> tuple[Endpoint, Carrier, str]:
    """A call that is up, and was not challenged until now."""
    it = endpoint(**options)
    carrier, session, invite = calling(it, who)
    carrier.one(carrier.says(invite, 200, CONTACT, ("Allow", "UPDATE"), body=ANSWER), "ACK")
    return it, carrier, session


@pytest.mark.parametrize("status", [401, 407])
def test_invite_that_is_challenged_is_the_same_call_with_the_next_number(status: int) -> None:
    """RFC 3261 22.2, 8.1.3.5: Call-ID, To and From as they were, the tag too, and CSeq one higher."""
    it = endpoint()
    carrier, session, first = calling(it, login())
    ack, second = carrier.hear(carrier.challenges(first, status))
    assert (ack.method, ack.cseq.number) == ("ACK", 1)
    assert (second.method, second.cseq.number) == ("INVITE", 2)
    for name in ("Call-ID", "From", "To", "Contact", "Content-Type", "Allow", "Max-Forwards", "User-Agent"):
        assert second.headers.all(name) == first.headers.all(name), name
    assert (second.uri, second.body) == (first.uri, first.body)
    assert second.via.branch != first.via.branch
    assert carrier.is_proved(second, status)
    ack = carrier.one(carrier.says(second, 200, CONTACT, body=ANSWER), "ACK")
    assert ack.headers.all(FIELDS[status][1]) == second.headers.all(FIELDS[status][1]), "22.1: an ACK is not challenged"
    assert [each.session for each in carrier.of(Answered)] == [session]
    assert not carrier.of(Rejected)
    bye = carrier.one(it.hangup(session, 2.0), "BYE")
    assert (bye.cseq.number, bye.from_tag) == (3, first.from_tag)
    carrier.says(bye, 200)
    run_out(it)
    assert it.status() == NOTHING


def test_proxy_and_the_server_behind_it_are_both_answered() -> None:
    it = endpoint()
    carrier, _, first = calling(it, login())
    second = carrier.one(carrier.challenges(first, 407), "INVITE")
    third = carrier.one(carrier.challenges(second, 401), "INVITE")
    assert third.cseq.number == 3
    assert carrier.is_proved(third, 401)
    assert carrier.is_proved(third, 407)


def test_invite_is_proved_again_when_its_nonce_was_stale_and_not_for_ever() -> None:
    it = endpoint()
    carrier, _, request = calling(it, login())
    for _ in range(MOST_TRIES - 1):
        request = carrier.one(carrier.challenges(request, stale=True), "INVITE")
        assert carrier.is_proved(request)
    (ack,) = carrier.hear(carrier.challenges(request, stale=True))
    assert ack.method == "ACK"
    assert [each.status for each in carrier.of(Rejected)] == [401]


def test_wrong_password_is_not_sent_twice_and_the_call_is_refused() -> None:
    it = endpoint()
    carrier, session, first = calling(it, login("guessed"))
    second = carrier.one(carrier.challenges(first), "INVITE")
    assert not carrier.is_proved(second)
    (ack,) = carrier.hear(carrier.challenges(second))
    assert ack.method == "ACK"
    assert [(each.session, each.by, each.status) for each in carrier.of(SessionEnded)] == [(session, EndedBy.PEER, 401)]


def test_call_that_is_taken_back_when_its_challenge_comes_is_not_made_again() -> None:
    it = endpoint()
    carrier, session, first = calling(it, login())
    carrier.says(first, 180, CONTACT)
    cancel = carrier.one(it.hangup(session, 1.0), "CANCEL")
    carrier.says(cancel, 200)
    (ack,) = carrier.hear(carrier.challenges(first))
    assert ack.method == "ACK"
    run_out(it)
    assert it.status() == NOTHING


# Within the dialog


def reinvite(it: Endpoint, session: str) -> list[Any]:
    return it.reinvite(session, HOLD, 1.0)


def info(it: Endpoint, session: str) -> list[Any]:
    return it.info(session, "application/dtmf-relay", b"Signal=1", 1.0)


def options(it: Endpoint, session: str) -> list[Any]:
    return it.ask(session, 1.0)


def refer(it: Endpoint, session: str) -> list[Any]:
    return it.refer(session, NameAddr.parse("<sip:carol@example.com>"), 1.0)[1]


def bye(it: Endpoint, session: str) -> list[Any]:
    return it.hangup(session, 1.0, status=200, reason="Over")


REQUESTS = {"INVITE": reinvite, "INFO": info, "OPTIONS": options, "REFER": refer, "BYE": bye}


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("method", list(REQUESTS))
def test_what_is_challenged_within_a_call_goes_out_once_more_and_proves_who_we_are(method: str, status: int) -> None:
    it, carrier, session = up(login())
    first = carrier.one(REQUESTS[method](it, session), method)
    told = len(carrier.events)
    second = carrier.one(carrier.challenges(first, status), method)
    assert carrier.is_proved(second, status)
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    for name in ("Call-ID", "From", "To", "Contact", "Refer-To", "Reason", "Content-Type"):
        assert second.headers.all(name) == first.headers.all(name), name
    assert second.body == first.body
    assert not [each for each in carrier.events[told:] if not hasattr(each, "data")], "nobody is told of the challenge"
    # A repeated challenge is answered by nothing more than a repeated ACK.
    again = carrier.hear(carrier.challenges(first, status))
    assert [each.method for each in again] == (["ACK"] if method == "INVITE" else [])
    carrier.says(second, 200, CONTACT, body=ANSWER if method == "INVITE" else b"")
    if method == "BYE":
        assert [each.by for each in carrier.of(SessionEnded)] == [EndedBy.LOCAL]
    else:
        assert not carrier.of(SessionEnded)
        third = carrier.one(it.hangup(session, 2.0), "BYE")
        assert third.cseq.number == second.cseq.number + 1
        carrier.says(third, 200)
    run_out(it)
    assert it.status() == NOTHING


@pytest.mark.parametrize("method", list(REQUESTS))
@pytest.mark.parametrize("who", [None, DigestClient("", "", Random(1)), "guessed"])
def test_who_has_no_right_password_there_sends_nothing_more(who: Any, method: str) -> None:
    it, carrier, session = up(login(who) if isinstance(who, str) else who)
    request = carrier.one(REQUESTS[method](it, session), method)
    if isinstance(who, str):
        request = carrier.one(carrier.challenges(request), method)
        assert not carrier.is_proved(request)
    after = carrier.hear(carrier.challenges(request))
    assert [each.method for each in after] == (["ACK"] if method == "INVITE" else [])
    assert bool(carrier.of(ReinviteRejected)) is (method == "INVITE")
    assert [each.status for each in carrier.of(ReferAnswered)] == ([401] if method == "REFER" else [])
    if method != "BYE":
        assert not carrier.of(SessionEnded), "the call goes on as it was"
        carrier.says(carrier.one(it.hangup(session, 2.0), "BYE"), 200)
    run_out(it)
    assert it.status() == NOTHING


def test_change_that_was_challenged_is_in_force_when_it_is_accepted_then() -> None:
    it, carrier, session = up(login())
    second = carrier.one(carrier.challenges(carrier.one(reinvite(it, session), "INVITE")), "INVITE")
    carrier.one(carrier.says(second, 200, CONTACT, body=ANSWER), "ACK")
    assert [each.sdp for each in carrier.of(ReinviteAnswered)] == [ANSWER]
    # And the next one is our turn again.
    assert carrier.one(it.reinvite(session, OFFER, 2.0), "INVITE").body == OFFER


def test_refresh_by_update_that_was_challenged_keeps_the_session_alive() -> None:
    """RFC 4028: else a call of an hour by a proxy that challenges everything ends after half of it."""
    it = endpoint(session_timer=SessionTimer(expires=1800, least=90))
    carrier, _, invite = calling(it, login())
    timer = (("Session-Expires", "1800;refresher=uac"), ("Require", "timer"), ("Allow", "UPDATE"))
    carrier.hear(carrier.says(invite, 200, CONTACT, *timer, body=ANSWER))
    for _ in range(4):
        deadline = it.deadline
        assert deadline is not None
        while not (due := [each for each in carrier.hear(it.expire(deadline)) if isinstance(each, Request)]):
            deadline = it.deadline
            assert deadline is not None
        carrier.now = deadline
        (update,) = due
        proved = carrier.one(carrier.challenges(update), "UPDATE")
        assert carrier.is_proved(proved)
        carrier.says(proved, 200, CONTACT, *timer[:2])
    assert carrier.now > 3000
    assert not carrier.of(SessionEnded)


def test_notify_of_a_reference_is_proved_too() -> None:
    it, carrier, session = up(login())
    refer = text(
        "REFER", "Refer-To: <sip:carol@example.com>", call_id="out", cseq="7 REFER",
        from_="<sip:+34911@192.0.2.2>;tag=c", to=f"<sip:ana@192.0.2.2>;tag={session}",
    )  # fmt: skip
    carrier.hear(it.receive(refer, UDP, 1.0))
    notify = carrier.one(it.accept_refer(session, 7, 1.0), "NOTIFY")
    proved = carrier.one(carrier.challenges(notify), "NOTIFY")
    assert carrier.is_proved(proved)
    assert proved.headers.get("Subscription-State") == notify.headers.get("Subscription-State")
    carrier.says(proved, 200)
    last = carrier.one(it.notify_refer(session, 7, 200, 2.0), "NOTIFY")
    assert carrier.is_proved(carrier.one(carrier.challenges(last, stale=True), "NOTIFY"))


def test_how_a_reference_goes_is_heard_by_the_number_that_it_had_first() -> None:
    """The peer knows the REFER by the number of the one that it accepted (RFC 3515 2.4.6)."""
    it, carrier, session = up(login())
    number, effects = it.refer(session, NameAddr.parse("<sip:carol@example.com>"), 1.0)
    second = carrier.one(carrier.challenges(carrier.one(effects, "REFER")), "REFER")
    carrier.hear(carrier.says(second, 202, CONTACT))
    notify = text(
        "NOTIFY", f"Event: refer;id={second.cseq.number}", "Subscription-State: terminated;reason=noresource",
        "Content-Type: message/sipfrag", call_id="out", cseq="8 NOTIFY", from_="<sip:+34911@192.0.2.2>;tag=c",
        to=f"<sip:ana@192.0.2.2>;tag={session}", body=b"SIP/2.0 200 OK\r\n",
    )  # fmt: skip
    carrier.hear(it.receive(notify, UDP, 1.0))
    assert [(each.number, each.status) for each in carrier.of(ReferAnswered)] == [(number, 202)]
    assert [(each.number, each.status, each.last) for each in carrier.of(Notified)] == [(number, 200, True)]


def test_within_a_call_that_came_in_only_a_peer_with_a_login_is_answered() -> None:
    it = endpoint()
    carrier = Carrier(it)
    incoming = it.receive(text("INVITE", "Content-Type: application/sdp", body=OFFER), UDP, 0.0)
    session = invited(incoming)
    it.answer(session, ANSWER, 0.0)
    it.receive(text("ACK", to=f"<sip:1000@192.0.2.1>;tag={session}"), UDP, 0.1)
    it.prove_by(session, login())
    it.prove_by("unknown", login())
    second = carrier.one(carrier.challenges(carrier.one(it.hangup(session, 1.0), "BYE")), "BYE")
    assert carrier.is_proved(second)


def test_nonce_is_counted_up_from_request_to_request() -> None:
    """A server that gives one nonce for a whole call sees each count once."""
    it, carrier, session = up(login())
    counts = []
    asked = carrier.digest.challenges(carrier.now)
    for _ in range(3):
        request = carrier.one(info(it, session), "INFO")
        stale = [value + ", stale=true" for value in asked]
        again = carrier.one(carrier.says(request, 401, *((FIELDS[401][0], value) for value in stale)), "INFO")
        found = parse_directives(again.headers.all("Authorization")[0])
        assert found is not None
        counts.append(found["nc"])
        carrier.says(again, 200)
    assert counts == ["00000001", "00000002", "00000003"]
