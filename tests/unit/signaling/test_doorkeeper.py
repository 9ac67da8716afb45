"""Who dials a guarded number proves who they are, as phones do it; all others are let in unasked."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from random import Random

from callcenter.signaling.doorkeeper import Doorkeeper
from callcenter.signaling.gate import Gate
from callcenter.sip.digest import Algorithm, Credentials, DigestServer, authorize
from callcenter.sip.endpoint import Endpoint, EndpointStatus
from callcenter.sip.events import InviteReceived, Send
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.guard import Guard, GuardRules
from callcenter.sip.message import Response
from callcenter.sip.parser import parse

REALM = "callcenter"
ACCOUNTS = {name: Credentials.of(name, REALM, f"secret of {name}") for name in ("ana", "bea")}
HERE = Address("192.0.2.1", 5060)
OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
CHALLENGED = EndpointStatus(0, 0, 0)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Door:
    """An endpoint with a doorkeeper; ``*21`` is guarded."""

    def __init__(self, *algorithms: Algorithm) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint(random=Random(7))
        digest = DigestServer(REALM, b"a key of the nonces", algorithms=algorithms or (Algorithm.MD5,))
        self.keeper = Doorkeeper(digest, ACCOUNTS.get, self.clock, lambda dialled: dialled == "*21")
        self.endpoint.screen = self.keeper.screen
        self.invited: list[InviteReceived] = []
        self.cseq = 0

    def dial(
        self,
        dialled: str = "*21",
        *authorization: str,
        shown: str = "ana",
        host: str = "192.0.2.2",
        branch: str = "",
        method: str = "INVITE",
    ) -> list[Response]:
        """What comes back, in order."""
        self.cseq += method == "INVITE"
        lines = [
            f"{method} sip:{dialled}@192.0.2.1 SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:5060;branch={branch or f'z9hG4bK{self.cseq}'};rport",
            f"From: <sip:{shown}@192.0.2.1>;tag=a",
            f"To: <sip:{dialled}@192.0.2.1>",
            "Call-ID: call",
            f"CSeq: {self.cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:{shown}@{host}>",
            *(f"Authorization: {value}" for value in authorization),
            "Content-Type: application/sdp",
            f"Content-Length: {len(OFFER)}",
        ]
        flow = Flow(Transport.UDP, HERE, Address(host, 5060))
        answers = []
        for effect in self.endpoint.receive(
            "\r\n".join(lines).encode() + b"\r\n\r\n" + OFFER, flow, self.clock.seconds
        ):
            match effect:
                case Send(data=data):
                    message = parse(data)
                    assert isinstance(message, Response)
                    answers.append(message)
                case InviteReceived():
                    self.invited.append(effect)
        return answers

    def challenge(self, **named: str) -> Response:
        """Dial without credentials; the one answer, which must challenge."""
        (answer,) = self.dial(**named)
        assert answer.status == 401
        return answer


def credentials(challenge: Response, user: str = "ana", password: str = "secret of ana", nc: int = 1) -> str:
    answer = authorize(
        challenge.headers.all("WWW-Authenticate"),
        method="INVITE",
        uri="sip:*21@192.0.2.1",
        user=user,
        password=password,
        cnonce="c",
        nc=nc,
    )
    assert answer is not None
    return answer


def test_a_number_that_is_not_guarded_is_open_to_all() -> None:
    door = Door()
    assert [answer.status for answer in door.dial("1000", shown="+14155550100")] == [100]
    assert [event.user for event in door.invited] == [""]


def test_a_challenge_is_the_first_and_only_answer_and_nothing_is_kept() -> None:
    """Simple phones read one answer: a 100 before the challenge would be the one."""
    door = Door(Algorithm.SHA256, Algorithm.MD5)
    challenge = door.challenge()
    assert len(challenge.headers.all("WWW-Authenticate")) == 2
    assert door.endpoint.status() == CHALLENGED
    assert challenge.to.tag
    assert door.dial(method="ACK") == []
    assert door.invited == []


def test_who_answers_the_challenge_is_let_in_by_name() -> None:
    door = Door()
    answer = credentials(door.challenge())
    assert [each.status for each in door.dial("*21", answer)] == [100]
    assert [event.user for event in door.invited] == ["ana"]


def test_a_phone_that_repeats_the_branch_of_what_was_challenged_is_let_in() -> None:
    """So does pyVoIP: to a transaction that was kept it would be a repetition."""
    door = Door()
    answer = credentials(door.challenge(branch="z9hG4bKsame"))
    assert [each.status for each in door.dial("*21", answer, branch="z9hG4bKsame")] == [100]
    assert [event.user for event in door.invited] == ["ana"]


def test_the_older_form_without_qop_is_good_once() -> None:
    door = Door()
    (value,) = door.challenge().headers.all("WWW-Authenticate")
    plain = authorize(
        [value.replace(', qop="auth"', "")],
        method="INVITE",
        uri="sip:192.0.2.1;transport=UDP",
        user="ana",
        password="secret of ana",
        cnonce="",
    )
    assert plain is not None
    assert [each.status for each in door.dial("*21", plain)] == [100]
    (again,) = door.dial("*21", plain)
    assert (again.status, "stale=true" in again.headers.all("WWW-Authenticate")[0]) == (401, True)


def test_credentials_that_were_used_or_are_too_old_are_asked_for_anew() -> None:
    door = Door()
    challenge = door.challenge()
    assert [each.status for each in door.dial("*21", credentials(challenge))] == [100]
    for nc, pause in ((1, 0.0), (2, 301.0)):
        door.clock.seconds += pause
        (again,) = door.dial("*21", credentials(challenge, nc=nc))
        assert again.status == 401
        assert "stale=true" in again.headers.all("WWW-Authenticate")[0]
    assert len(door.invited) == 1


def test_a_phone_that_counts_its_nonce_on_needs_no_new_challenge() -> None:
    door = Door()
    challenge = door.challenge()
    for nc in (1, 2, 3):
        assert [each.status for each in door.dial("*21", credentials(challenge, nc=nc))] == [100]
    assert [event.user for event in door.invited] == ["ana"] * 3


def test_a_wrong_password_an_unknown_user_and_anothers_name_are_refused_alike() -> None:
    door = Door()
    for user, password, shown in (
        ("ana", "guessed", "ana"),
        ("nobody", "guessed", "nobody"),
        ("bea", "secret of bea", "ana"),
        ("ana", "secret of ana", "+14155550100"),
    ):
        (refused,) = door.dial("*21", credentials(door.challenge(shown=shown), user, password), shown=shown)
        assert (refused.status, refused.headers.all("WWW-Authenticate")) == (403, [])
    assert door.invited == []
    assert door.endpoint.status() == CHALLENGED


def test_the_refusals_of_a_wrong_password_and_an_unknown_user_differ_in_nothing_but_the_name() -> None:
    told = []
    for user in ("ana", "eve"):
        door = Door()
        (refused,) = door.dial("*21", credentials(door.challenge(shown=user), user, "guessed"), shown=user)
        told.append(re.sub(r"tag=[0-9a-f]{16}", "tag=", refused.to_bytes().decode()).replace(user, "..."))
    assert told[0] == told[1]


async def test_a_registered_phone_that_keeps_guessing_is_refused_unheard() -> None:
    """A ban would shut the agent out of every call: only passwords are not looked at any more."""
    door = Door()
    guard = Guard(GuardRules(failures=10))
    guard.know("ana", [Address("192.0.2.2", 5060)])
    door.keeper = Doorkeeper(
        DigestServer(REALM, b"a key of the nonces", algorithms=(Algorithm.MD5,)),
        ACCOUNTS.get,
        door.clock,
        lambda dialled: dialled == "*21",
        Gate(guard, door.clock),
    )
    door.endpoint.screen = door.keeper.screen
    wrong, right = (credentials(door.challenge(), password=password) for password in ("guessed", "secret of ana"))
    for _ in range(10):
        assert [each.status for each in door.dial("*21", wrong)] == [403]
    assert [each.status for each in door.dial("*21", right)] == [403]
    assert [each.status for each in door.dial("*21")] == [403], "not even a challenge"
    assert [each.status for each in door.dial("*21", host="192.0.2.3")] == [401], "others are not concerned"
    assert [each.status for each in door.dial("1000")] == [100], "nor is what needs no password"
    door.clock.seconds += guard.rules.ban + 1
    guard.expire(door.clock.seconds)
    (again,) = door.dial("*21")
    assert again.status == 401
