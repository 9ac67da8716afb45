"""The challenge that all who must prove who they are get alike, and what the gate hears of who cannot."""

from __future__ import annotations

from callcenter.signaling.challenger import NO, Challenger
from callcenter.signaling.gate import Gate
from callcenter.sip.digest import DigestServer, authorize
from callcenter.sip.endpoint import Refusal
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.guard import Guard, GuardRules
from callcenter.sip.message import Request
from callcenter.sip.parser import parse
from tests.unit.signaling.test_doorkeeper import ACCOUNTS, HERE, REALM, Clock
from tests.unit.sip.test_endpoint import text

FLOW = Flow(Transport.UDP, HERE, Address("192.0.2.2", 5060))
URI = "sip:1000@192.0.2.1"


def challenger(guard: Guard | None = None) -> Challenger:
    clock = Clock()
    gate = Gate(guard, clock) if guard is not None else None
    return Challenger(DigestServer(REALM, b"a key of the nonces"), clock, gate)


def request(*answers: str) -> Request:
    message = parse(text("INVITE", *(f"Authorization: {answer}" for answer in answers), uri=URI))
    assert isinstance(message, Request)
    return message


def answer(challenge: Refusal, password: str = "secret of ana", user: str = "ana") -> str:
    assert challenge.status == 401
    found = authorize(
        [value for _, value in challenge.headers], method="INVITE", uri=URI, user=user, password=password, cnonce="c"
    )
    assert found is not None
    return found


def test_who_proves_nothing_is_challenged_and_who_proves_it_is_known_by_name() -> None:
    ours = challenger()
    challenge = ours.who(request(), FLOW, ACCOUNTS.get)
    assert isinstance(challenge, Refusal)
    assert {name for name, _ in challenge.headers} == {"WWW-Authenticate"}
    assert ours.who(request(answer(challenge)), FLOW, ACCOUNTS.get) == "ana"
    assert ours.who(request(answer(ours.ask(FLOW))), FLOW, ACCOUNTS.get) == "ana"


def test_an_answer_that_was_used_is_challenged_anew_as_stale() -> None:
    ours = challenger()
    used = answer(ours.ask(FLOW))
    assert ours.who(request(used), FLOW, ACCOUNTS.get) == "ana"
    again = ours.who(request(used), FLOW, ACCOUNTS.get)
    assert isinstance(again, Refusal)
    assert again.status == 401
    assert all("stale=true" in value for _, value in again.headers)


async def test_wrong_credentials_get_one_answer_and_are_counted_until_nothing_is_looked_at() -> None:
    guard = Guard(GuardRules(failures=2))
    guard.know("ana", [FLOW.remote])
    ours = challenger(guard)
    for user in ("ana", "nobody"):
        assert ours.who(request(answer(ours.ask(FLOW), "guessed", user)), FLOW, ACCOUNTS.get) is NO
    for refusal in (ours.ask(FLOW), ours.who(request(), FLOW, ACCOUNTS.get)):
        assert refusal == NO
        assert refusal is not NO, "nothing was looked at, and there is nothing to log"


async def test_who_proves_the_wrong_thing_is_counted_too() -> None:
    guard = Guard(GuardRules(failures=1))
    guard.know("ana", [FLOW.remote])
    ours = challenger(guard)
    assert ours.no(FLOW) is NO
    assert ours.ask(FLOW).status == 403
