"""Every way in which somebody could have the switch call out who may not: each must fail, with no call made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from callcenter.acd.events import RosterChanged
from callcenter.calls.settings import DialRules
from callcenter.model.facts import CallArrived
from callcenter.signaling.leg import Leg
from callcenter.simulation.phone import Phone
from callcenter.simulation.trunk import SimTrunk
from callcenter.simulation.world import SWITCH, World, tell
from callcenter.sip.digest import authorize
from callcenter.sip.flow import Flow
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request, Response
from callcenter.sip.parser import parse
from callcenter.sip.uri import Uri
from tests.scenarios.carrier import nobody_outside, permit

OUTSIDE = "+34911223344"


class Watched:
    """What the switch sends: INVITEs, and to whom."""

    def __init__(self, world: World) -> None:
        self.invited: list[tuple[str, str]] = []

        def look(sent: bool, flow: Flow, data: bytes) -> None:
            message = parse(data) if sent else None
            if isinstance(message, Request) and message.method == "INVITE":
                self.invited.append((flow.remote.host, str(message.uri)))

        world.house.user_agent.trace = look


async def floor(world: World) -> tuple[Phone, Phone, Phone, SimTrunk, Watched]:
    """Amy, who may dial Spain, Bob, who may dial nobody outside, a stranger, and who watches."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    stranger = await world.phone("+14155550199")
    carrier = await nobody_outside(world)
    permit(world, amy=DialRules(outside=("+34",), never=("+34900",)), bob=DialRules())
    return amy, bob, stranger, carrier, Watched(world)


def nothing_came_of_it(world: World, carrier: SimTrunk, watched: Watched) -> None:
    assert carrier.seen.invites == []
    assert watched.invited == []
    assert not any(isinstance(fact.body, CallArrived) for fact in world.facts)


async def invite(
    phone: Phone, target: str, *, shown: str = "amy", contact: str = "", headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """The final answer to an INVITE that this phone writes as it likes."""
    uri = Uri.parse(target)
    more = ((("Contact", contact),) if contact else ()) + headers
    leg: Leg = phone.user_agent.dial(
        uri,
        phone._flow(),
        from_=NameAddr(Uri.parse(f"sip:{shown}@{SWITCH}")),
        to=NameAddr(uri),
        sdp=b"v=0\r\no=- 1 1 IN IP4 10.0.1.9\r\ns=-\r\nc=IN IP4 10.0.1.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        headers=more,
    )
    await leg.outcome()
    assert leg.refusal is not None, "it was not refused"
    return leg.refusal


@pytest.mark.parametrize("dialled", ["bob", "sales-english", OUTSIDE, "0034911223344", "201"])
@pytest.mark.parametrize(
    ("shown", "user", "password", "status"),
    [
        ("amy", "", "", 401),
        ("+14155550199", "", "", 401),
        ("anonymous", "", "", 401),
        ("amy", "amy", "guessed", 403),
        ("amy", "nobody", "guessed", 403),
        ("amy", "bob", "secret of bob", 403),
        ("bob", "amy", "guessed", 403),
    ],
)
def test_who_does_not_prove_to_be_the_agent_in_from_calls_nobody(
    dialled: str, shown: str, user: str, password: str, status: int
) -> None:
    async def told(world: World) -> None:
        *_, stranger, carrier, watched = await floor(world)
        services = world.house.services
        services.settings = replace(services.settings, agent_extensions={"201": "bob"})
        with capture_logs() as logged:
            call = await stranger.dial_beside(dialled, shown=shown, user=user, password=password)
        assert call.leg.ending is not None
        assert call.leg.ending.status == status
        if status == 403:
            (line,) = (each for each in logged if each["event"] == "a caller was refused")
            assert line["source"] == stranger.host.address
        nothing_came_of_it(world, carrier, watched)

    tell(told)


@pytest.mark.parametrize(
    ("who", "dialled", "status", "why"),
    [
        ("bob", OUTSIDE, 403, "may not dial this number"),
        ("bob", "0034911223344", 403, "may not dial this number"),
        ("bob", "+3-4(911)22.33.44", 403, "may not dial this number"),
        ("amy", "+34900112233", 404, ""),
        ("amy", "+3-4(900)112233", 404, ""),
        ("amy", "+14155550100", 404, ""),
        ("amy", "0014155550100", 404, ""),
        ("amy", "911223344", 404, ""),
        ("amy", "nobody-here", 404, "nobody has it"),
    ],
)
def test_an_agent_dials_what_is_permitted_and_nothing_else(who: str, dialled: str, status: int, why: str) -> None:
    """A number that nobody here may dial is nobody's number for everybody."""

    async def told(world: World) -> None:
        amy, bob, _, carrier, watched = await floor(world)
        phone = amy if who == "amy" else bob
        with capture_logs() as logged:
            call = await phone.dial_beside(dialled)
        assert call.leg.ending is not None
        assert call.leg.ending.status == status
        refused = [each["why"] for each in logged if each["event"] == "an agent's call was refused"]
        assert refused == ([why] if why else [])
        unknown = [each["number"] for each in logged if each["event"] == "a call was refused"]
        assert len(unknown) == (not why), "whoever forgot may_dial reads it in the log"
        nothing_came_of_it(world, carrier, watched)

    tell(told)


@pytest.mark.parametrize(("dialled", "why"), [("amy", "may dial no agents"), ("sales-english", "may dial no queues")])
def test_an_agent_who_may_dial_neither_colleagues_nor_queues_does_not(dialled: str, why: str) -> None:
    async def told(world: World) -> None:
        _, bob, _, carrier, watched = await floor(world)
        permit(world, bob=DialRules(agents=False, queues=False))
        with capture_logs() as logged:
            call = await bob.dial_beside(dialled)
        assert call.leg.ending is not None
        assert call.leg.ending.status == 403
        assert [each["why"] for each in logged if each["event"] == "an agent's call was refused"] == [why]
        nothing_came_of_it(world, carrier, watched)

    tell(told)


def test_the_right_password_without_a_registered_phone_is_not_enough() -> None:
    async def told(world: World) -> None:
        amy, *_, carrier, watched = await floor(world)
        await amy.unregister()
        call = await amy.dial_beside(OUTSIDE)
        assert call.leg.ending is not None
        assert call.leg.ending.status == 403
        nothing_came_of_it(world, carrier, watched)

    tell(told)


def test_nothing_tells_a_stranger_which_names_there_are() -> None:
    """An agent, a queue, a word that nobody has, an extension and one that nobody has: one answer, header by header."""

    async def told(world: World) -> None:
        *_, stranger, carrier, watched = await floor(world)
        services = world.house.services
        services.settings = replace(
            services.settings, agent_extensions={"201": "bob"}, queue_extensions={"600": "sales-english"}
        )
        answers = [
            await invite(stranger, f"sip:{name}@{SWITCH}", shown=shown)
            for name in ("bob", "sales-english", "nobody", "201", "202", "600", "999", OUTSIDE)
            for shown in ("amy", "nobody")
        ]
        looks = {(answer.status, answer.reason, tuple(name for name, _ in answer.headers)) for answer in answers}
        assert len(looks) == 1
        assert answers[0].status == 401
        for number in ("+19995550000", "2010", "9", "*77"):
            assert (await invite(stranger, f"sip:{number}@{SWITCH}")).status == 404
        nothing_came_of_it(world, carrier, watched)

    tell(told)


@pytest.mark.parametrize(
    "target",
    [
        "sip:bob@evil.example",
        f"sip:{OUTSIDE}@evil.example",
        f"sip:{OUTSIDE}@10.0.9.9:5060",
        f"sip:{OUTSIDE};phone-context=evil.example@{SWITCH}",
        f"sip:{OUTSIDE}@{SWITCH};maddr=10.0.9.9",
        f"sips:{OUTSIDE}@evil.example",
    ],
)
def test_a_request_for_another_domain_is_never_passed_on(target: str) -> None:
    async def told(world: World) -> None:
        *_, stranger, carrier, watched = await floor(world)
        assert (await invite(stranger, target)).status in {401, 403, 404, 416, 488}
        nothing_came_of_it(world, carrier, watched)

    tell(told)


def test_an_agents_own_call_to_another_domain_means_the_switchs_own_names() -> None:
    """The host of the target is no way: Amy's call rings at Bob's phone, and nowhere else."""

    async def told(world: World) -> None:
        amy, bob, _, _, watched = await floor(world)
        challenge = await invite(amy, "sip:bob@evil.example")
        target = Uri.parse("sip:bob@evil.example")
        leg = amy.user_agent.dial(
            target,
            amy._flow(),
            from_=NameAddr(Uri.parse(f"sip:amy@{SWITCH}")),
            to=NameAddr(target),
            sdp=b"v=0\r\no=- 1 1 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
            headers=(("Authorization", signed(challenge, str(target), "amy")),),
        )
        await bob.rings()
        leg.hangup()
        await bob.stops_ringing()
        assert {host for host, _ in watched.invited} == {bob.host.address}

    tell(told)


@pytest.mark.parametrize("uri", [f"tel:{OUTSIDE}", "tel:911;phone-context=+34"])
def test_a_telephone_number_without_a_switch_is_no_way_round(uri: str) -> None:
    async def told(world: World) -> None:
        *_, stranger, carrier, watched = await floor(world)
        assert (await invite(stranger, uri)).status in {401, 404, 416}
        nothing_came_of_it(world, carrier, watched)

    tell(told)


def test_credentials_for_one_call_are_good_for_no_other() -> None:
    """Somebody on the way takes what Amy signed to call Bob, and calls outside with it, before it was used or after."""

    async def told(world: World) -> None:
        _, _, stranger, carrier, watched = await floor(world)
        challenge = await invite(stranger, f"sip:bob@{SWITCH}")
        stolen = signed(challenge, f"sip:bob@{SWITCH}", "amy")
        bent = await invite(stranger, f"sip:{OUTSIDE}@{SWITCH}", headers=(("Authorization", stolen),))
        assert bent.status == 403
        used = signed(challenge, f"sip:*32@{SWITCH}", "amy", count=2)
        assert (await invite(stranger, f"sip:{OUTSIDE}@{SWITCH}", headers=(("Authorization", used),))).status == 403
        again = await invite(stranger, f"sip:bob@{SWITCH}", headers=(("Authorization", stolen),))
        assert again.status == 401, "a count is good once"
        nothing_came_of_it(world, carrier, watched)

    tell(told)


def test_keys_pressed_in_a_flow_dial_nobody() -> None:
    async def told(world: World) -> None:
        *_, stranger, carrier, watched = await floor(world)
        await stranger.dial("1000")
        for keys in ("0034911223344#", "*20", "201", "9" + OUTSIDE.strip("+")):
            await stranger.press(keys)
        await stranger.informs("0034911223344")
        await world.sleep(30)
        if not stranger.is_free:
            await stranger.hangs_up()
        assert carrier.seen.invites == []
        assert all(host in {phone.host.address for phone in world.phones} for host, _ in watched.invited)

    tell(told)


def test_a_contact_that_lies_elsewhere_is_not_called() -> None:
    """Bob registers a number outside as his phone: calls for him go where the REGISTER came from."""

    async def told(world: World) -> None:
        amy, bob, _, carrier, watched = await floor(world)
        await bob.unregister()
        for contact in (f"<sip:{OUTSIDE}@10.0.9.9:5060>", f"<sip:{OUTSIDE}@{SWITCH}>", f"<tel:{OUTSIDE}>"):
            await registers_as(bob, contact)
        amy.starts_dialling("bob")
        await world.sleep(6)
        if not amy.is_free:
            await amy.hangs_up()
        await world.settled()
        assert carrier.seen.invites == []
        assert {host for host, _ in watched.invited} <= {bob.host.address}

    tell(told)


def test_a_phone_that_sends_us_elsewhere_is_not_followed() -> None:
    """302 with a Contact outside: the offer failed, and nobody else is called."""

    async def told(world: World) -> None:
        amy, bob, _, carrier, watched = await floor(world)
        amy.starts_dialling("bob")
        rung = await bob.rings()
        rung.leg.reject(302, headers=(("Contact", f"<sip:{OUTSIDE}@{SWITCH}>"),))
        assert await amy.is_refused() == 480
        assert carrier.seen.invites == []
        assert {host for host, _ in watched.invited} == {bob.host.address}

    tell(told)


def signed(challenge: Response, uri: str, user: str, count: int = 1) -> str:
    """The Authorization with which this agent's phone answers a challenge."""
    answer = authorize(
        challenge.headers.all("WWW-Authenticate"),
        method="INVITE",
        uri=uri,
        user=user,
        password=f"secret of {user}",
        cnonce="c",
        nc=count,
    )
    assert answer is not None
    return answer


async def registers_as(phone: Phone, contact: str) -> Response | None:
    """Register with a Contact of one's own choice."""
    target, who = Uri.parse(f"sip:{SWITCH}"), NameAddr(Uri.parse(f"sip:{phone.name}@{SWITCH}"))
    answer: Response | None = None
    headers: tuple[tuple[str, str], ...] = (("Contact", contact), ("Expires", "600"))
    for cseq in (900, 901):
        answer = await phone.user_agent.request(
            "REGISTER", target, phone._flow(), from_=who, to=who, headers=headers, call_id="forged", cseq=cseq
        )
        if answer is None or answer.status != 401:
            break
        proof = authorize(
            answer.headers.all("WWW-Authenticate"),
            method="REGISTER",
            uri=str(target),
            user=phone.name,
            password=f"secret of {phone.name}",
            cnonce="c",
        )
        assert proof is not None
        headers = (*headers, ("Authorization", proof))
    return answer


def test_who_was_taken_from_a_company_while_the_switch_is_up_does_not_dial_in_its_name() -> None:
    """A supervisor's word holds for what he dials as for whom he is offered."""

    async def told(world: World) -> None:
        amy, _, _, carrier, watched = await floor(world)
        world.house.dispatcher.tell(RosterChanged("amy", None, frozenset({"other"}), None, "supervisor sue"))
        await world.settled()
        call = await amy.dial_beside(OUTSIDE)
        assert call.leg.ending is not None
        assert call.leg.ending.status == 403
        nothing_came_of_it(world, carrier, watched)

    tell(told)
