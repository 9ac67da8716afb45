"""INVITE with Replaces (RFC 3891): which call of ours is meant, and what is answered when it is none."""

from __future__ import annotations

from typing import Any

import pytest

from callcenter.sip.endpoint import Endpoint, FromTrunk, Refusal
from callcenter.sip.errors import SipParseError
from callcenter.sip.events import InviteReceived
from callcenter.sip.flow import Flow
from callcenter.sip.message import Request
from callcenter.sip.replaces import Replaces, replaces_in
from callcenter.sip.uri import Uri
from tests.unit.sip.test_endpoint import UDP, endpoint, established, invite, me, only, sent, text

VIA = "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKnew;rport"


def replacing(it: Endpoint, value: str, *more: str) -> list[Any]:
    return it.receive(invite(f"Replaces: {value}", *more, via=VIA, call_id="new"), UDP, 1.0)


def refused(it: Endpoint, value: str) -> int:
    return only(replacing(it, value)).status


def invited_to_replace(effects: list[Any]) -> str:
    (event,) = [effect for effect in effects if isinstance(effect, InviteReceived)]
    return event.replaces


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("c@h;to-tag=a;from-tag=b", Replaces("c@h", "a", "b")),
        ("c ; from-tag = b ; to-tag=a;early-only", Replaces("c", "a", "b", early_only=True)),
        ("c;to-tag=0;from-tag=b;x=y", Replaces("c", "", "b")),
        ("c;to-tag=a", None),
        ("c;from-tag=b", None),
        ("c;to-tag=a;to-tag=b;from-tag=c", None),
        ("c;to-tag=a;from-tag", None),
        (";to-tag=a;from-tag=b", None),
        ("c d;to-tag=a;from-tag=b", None),
        ("", None),
    ],
)
def test_replaces_names_a_dialog_by_all_three_names(text: str, wanted: Replaces | None) -> None:
    if wanted is None:
        with pytest.raises(SipParseError):
            Replaces.parse(text)
    else:
        assert Replaces.parse(text) == wanted


def test_replaces_is_found_among_the_headers_of_a_uri() -> None:
    uri = Uri.parse("sip:b@h?Subject=x&replaces=c%40h%3Bto-tag%3Da%3Bfrom-tag%3Db%3Bearly-only")
    assert replaces_in(uri) == Replaces("c@h", "a", "b", early_only=True)
    assert replaces_in(Uri.parse("sip:b@h?Subject=x")) is None


def proved(user: str) -> Endpoint:
    """An endpoint whose callers have all proved to be this user."""
    it = endpoint()
    it.screen = lambda request, flow: user
    return it


def test_call_that_is_up_can_be_replaced_by_whose_it_is() -> None:
    it = proved("amy")
    session = established(it)
    assert invited_to_replace(replacing(it, f"call;to-tag={session};from-tag=a", "Require: replaces")) == session


def ringing_at(it: Endpoint, user: str) -> str:
    session, effects = it.invite(
        target=Uri.parse("sip:b@192.0.2.2"), flow=UDP, from_=me(), to=me(), sdp=b"v=0\r\n", now=0.0, call_id="out",
        user=user,
    )  # fmt: skip
    (request,) = sent(effects)
    it.receive(request.response(180, to_tag="b", headers=[("Contact", "<sip:b@192.0.2.2>")]).to_bytes(), UDP, 0.1)
    return session


def test_call_of_ours_that_rings_can_be_replaced_and_one_that_rings_here_cannot() -> None:
    """RFC 3891 3: an early dialog only where we sent its INVITE."""
    it = proved("amy")
    ringing = ringing_at(it, "amy")
    assert invited_to_replace(replacing(it, f"out;to-tag={ringing};from-tag=b;early-only")) == ringing
    it = proved("amy")
    (event,) = [each for each in it.receive(invite(), UDP, 0.0) if isinstance(each, InviteReceived)]
    assert refused(it, f"call;to-tag={event.session};from-tag=a") == 481


def test_what_cannot_be_replaced_is_refused_with_the_reason() -> None:
    it = proved("amy")
    session = established(it)
    assert refused(it, f"call;to-tag={session};from-tag=a;early-only") == 486
    assert refused(it, f"call;to-tag={session};from-tag=guessed") == 481
    assert refused(it, f"call;to-tag=a;from-tag={session}") == 481
    assert refused(it, "call;to-tag=a") == 400
    twice = f"call;to-tag={session};from-tag=a"
    assert only(replacing(it, twice, f"Replaces: {twice}")).status == 400
    it.hangup(session, 1.0)
    assert refused(it, f"call;to-tag={session};from-tag=a") == 603
    assert only(it.receive(text("OPTIONS", f"Replaces: {twice}"), UDP, 1.0)).status == 400


@pytest.mark.parametrize("who", ["bob", ""])
@pytest.mark.parametrize("flag", ["", ";early-only"])
def test_call_of_somebody_else_is_as_if_there_were_none(who: str, flag: str) -> None:
    """RFC 3891 4: whatever state it is in, and whether anybody proved to be somebody."""
    it = proved("amy")
    session = established(it)
    ringing = ringing_at(it, "amy")
    nobodys = ringing_at(it, "")
    it.screen = lambda request, flow: who
    for named in (f"call;to-tag={session}", f"out;to-tag={ringing}", f"out;to-tag={nobodys}"):
        for from_tag in ("a", "b"):
            assert refused(it, f"{named};from-tag={from_tag}{flag}") == 481
    it.hangup(session, 1.0)
    assert refused(it, f"call;to-tag={session};from-tag=a") == 481


def test_a_trunk_takes_nobodys_place() -> None:
    it = proved("amy")
    session = established(it)
    it.screen = lambda request, flow: FromTrunk("carrier")
    assert refused(it, f"call;to-tag={session};from-tag=a") == 481


def test_screen_is_asked_first_so_that_strangers_learn_of_no_call() -> None:
    it = endpoint()
    session = established(it)

    def screen(request: Request, flow: Flow) -> str | Refusal:
        return Refusal(401)

    it.screen = screen
    for value in (f"call;to-tag={session};from-tag=a", "call;to-tag=no;from-tag=a"):
        assert refused(it, value) == 401
    assert it.status().sessions == 1


def test_everybody_is_told_that_calls_can_be_replaced() -> None:
    (answer,) = sent(endpoint().receive(text("OPTIONS"), UDP, 0.0))
    assert "replaces" in answer.headers.get("Supported")
