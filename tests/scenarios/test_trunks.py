"""Trunks: who is taken for one, what its calls may reach, how we register there, and how it is known to be there."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from ipaddress import ip_network

import pytest

from callcenter.model.dial_plan import DialPlan
from callcenter.model.facts import CallArrived
from callcenter.operate.changes import changes
from callcenter.publish import topics
from callcenter.signaling.outcome import Answered, Rejected, Unreachable
from callcenter.signaling.trunks.settings import Accept, Account, Outward, Peer, TrunkSecrets
from callcenter.simulation.trunk import Manners, SimTrunk
from callcenter.simulation.world import SWITCH, World, story, tell
from callcenter.sip.digest import Credentials
from callcenter.sip.flow import Address, Flow, Transport
from tests.scenarios.trunks import accepts, account, states, trunk

NUMBER = "+18005550100"


def arrived(world: World) -> list[CallArrived]:
    return [fact.body for fact in world.facts if isinstance(fact.body, CallArrived)]


def calls_on(world: World, name: str) -> int:
    found = world.house.trunks.get(name)
    assert found is not None
    return found.calls


# Who calls in


@story()
async def test_a_call_from_a_trunks_address_is_the_trunks_and_the_call_tells_it(world: World) -> None:
    carrier, stranger = await world.carrier("carrier"), await world.carrier("stranger")
    world.trunks(trunk(carrier, accept=accepts(carrier)))
    call, outcome = await carrier.calls_in(NUMBER)
    assert isinstance(outcome, Answered)
    other, outcome = await stranger.calls_in(NUMBER)
    assert isinstance(outcome, Answered), "whoever dials one of our numbers is let in, as ever"
    assert [each.trunk for each in arrived(world)] == ["carrier", ""]
    assert calls_on(world, "carrier") == 1
    call.leg.hangup()
    other.leg.hangup()
    await world.settled()
    assert calls_on(world, "carrier") == 0


@story()
async def test_numbers_of_a_trunk_are_read_as_it_writes_them(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, accept=accepts(carrier), plan=DialPlan("1", "1", "011")))
    for written in ("8005550100", "18005550100", "+18005550100"):
        call, outcome = await carrier.calls_in(written, "4155550199")
        assert isinstance(outcome, Answered), written
        call.leg.hangup()
        await world.settled()
    assert {(each.from_number, each.to_number) for each in arrived(world)} == {("+14155550199", NUMBER)}


@story()
async def test_a_carrier_that_calls_at_the_registered_contact_says_in_to_which_number_was_dialled(
    world: World,
) -> None:
    carrier = await world.carrier("carrier", ("acme", "open sesame"))
    world.trunks(trunk(carrier, accept=accepts(carrier), **registers(carrier)), secrets=SECRETS)
    await world.sleep(1)
    call, outcome = await carrier.calls_in("acme", to=NUMBER)
    assert isinstance(outcome, Answered)
    assert [each.to_number for each in arrived(world)] == [NUMBER]
    call.leg.hangup()


@story()
async def test_a_trunk_reaches_only_the_numbers_that_it_may(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, accept=accepts(carrier), numbers=frozenset({"+18005550199"})))
    _, outcome = await carrier.calls_in(NUMBER)
    assert outcome == Unreachable(404, "Not Found")
    assert arrived(world) == []


@story()
async def test_a_trunk_dials_no_agents_code_and_no_number_outside(world: World) -> None:
    """Toll fraud begins with a carrier's line that can be called back out of."""
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, accept=accepts(carrier)))
    await world.agent("amy", english=5)
    for dialled in ("*20", "+14155550188", "amy"):
        _, outcome = await carrier.calls_in(dialled)
        assert outcome == Unreachable(404, "Not Found"), dialled
    assert carrier.seen.invites == []


@story()
async def test_a_full_trunk_is_told_so_and_has_room_when_somebody_hangs_up(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, accept=accepts(carrier), max_calls=1))
    call, _ = await carrier.calls_in(NUMBER)
    refused, outcome = await carrier.calls_in(NUMBER)
    assert outcome == Unreachable(503, "Service Unavailable")
    assert refused.leg.refusal is not None
    assert refused.leg.refusal.headers.get("Retry-After") == "5"
    call.leg.hangup()
    await world.settled()
    again, outcome = await carrier.calls_in(NUMBER)
    assert isinstance(outcome, Answered)
    again.leg.hangup()


@story()
async def test_agents_of_the_domain_in_which_a_trunk_calls_dial_as_ever(world: World) -> None:
    """The carrier's domain and that of the phones may be one: an agent is no trunk that guesses."""
    carrier = await world.carrier("carrier")
    accept, secrets = with_account(carrier)
    world.trunks(trunk(carrier, accept=accept, from_domain=SWITCH), secrets={"carrier": secrets})
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=5)
    amy.starts_dialling("bob")
    await bob.rings()
    await bob.answers()
    assert world.hear_each_other(amy, bob)
    await amy.hangs_up()
    assert arrived(world)[0].trunk == ""


def with_account(carrier: SimTrunk, *networks: str) -> tuple[Accept, TrunkSecrets]:
    accept = Accept(tuple(map(ip_network, networks)), account=Account("carrier-user"))
    return accept, TrunkSecrets("", Credentials.of("carrier-user", "callcenter", "its password"))


@pytest.mark.parametrize("networks", [(), ("10.0.1.0/24",)])
def test_a_trunk_that_has_a_password_must_prove_it(networks: tuple[str, ...]) -> None:
    @story()
    async def told(world: World) -> None:
        carrier = await world.carrier("carrier")
        accept, secrets = with_account(carrier, *networks)
        world.trunks(trunk(carrier, accept=accept), secrets={"carrier": secrets})
        call, outcome = await carrier.calls_in(NUMBER, user="carrier-user", password="its password")
        assert isinstance(outcome, Answered)
        assert [each.trunk for each in arrived(world)] == ["carrier"]
        call.leg.hangup()
        _, outcome = await carrier.calls_in(NUMBER, user="carrier-user", password="a guess")
        assert outcome == Rejected(403, "Forbidden")
        assert len(arrived(world)) == 1

    told()


@story()
async def test_who_guesses_a_trunks_password_is_not_listened_to_for_ten_minutes(world: World) -> None:
    carrier = await world.carrier("carrier")
    accept, secrets = with_account(carrier)
    world.trunks(trunk(carrier, accept=accept), secrets={"carrier": secrets})
    for guess in range(20):
        await carrier.calls_in(NUMBER, user="carrier-user", password=f"guess {guess}")
    _, outcome = await carrier.calls_in(NUMBER, user="carrier-user", password="its password")
    assert isinstance(outcome, Unreachable), "not even a refusal"
    await world.sleep(601)
    call, outcome = await carrier.calls_in(NUMBER, user="carrier-user", password="its password")
    assert isinstance(outcome, Answered)
    call.leg.hangup()


@story()
async def test_an_agents_password_makes_nobody_a_trunk(world: World) -> None:
    carrier, _ = await world.carrier("carrier"), await world.agent("amy", english=5)
    accept, secrets = with_account(carrier, "10.0.1.0/24")
    world.trunks(trunk(carrier, accept=accept), secrets={"carrier": secrets})
    _, outcome = await carrier.calls_in(NUMBER, user="amy", password="secret of amy")
    assert outcome == Rejected(403, "Forbidden")


@story()
async def test_a_stranger_who_claims_to_be_a_trunk_is_asked_to_prove_it(world: World) -> None:
    carrier, stranger = await world.carrier("carrier"), await world.phone("carrier-user")
    accept, secrets = with_account(carrier)
    world.trunks(trunk(carrier, accept=accept), secrets={"carrier": secrets})
    stranger.starts_dialling(NUMBER)
    assert await stranger.is_refused(401)


def test_a_trunk_is_known_by_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(functools.partial(by_certificate, monkeypatch))


async def by_certificate(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, accept=Accept(certificates=frozenset({"sip.carrier.example"})), trusted=True))
    flow = Flow(Transport.TLS, Address("10.0.0.1", 5061), Address(carrier.address, 50_000), 7)
    trunks = world.house.trunks
    assert trunks.by_flow(flow) is None
    assert not trunks.trusted(flow)
    # Between simulated hosts there is no TLS: whom a connection has proved to be is said here.
    monkeypatch.setattr(world.hosts[SWITCH], "peer_names", lambda number: ("Sip.Carrier.Example",) * (number == 7))
    found = trunks.by_flow(flow)
    assert found is not None
    assert found.id == "carrier"
    assert trunks.trusted(flow)
    assert not trunks.trusted(replace(flow, connection=8))


# Registering


def registers(carrier: SimTrunk, expires: int = 600, **more: object) -> dict[str, object]:
    login, _ = account("acme", "open sesame")
    return {"login": login, "register": Outward(Peer(carrier.address), "acme", expires), **more}


SECRETS = {"carrier": TrunkSecrets("open sesame")}


@story()
async def test_we_register_with_our_password_and_come_again_before_it_runs_out_until_the_switch_ends(
    world: World,
) -> None:
    carrier = await world.carrier("carrier", ("acme", "open sesame"))
    carrier.manners = Manners(challenge=401, grants=120)
    world.trunks(trunk(carrier, **registers(carrier)), secrets=SECRETS)
    await world.sleep(1)
    assert carrier.is_registered()
    assert states(world) == [("carrier", True)]
    await world.sleep(600)
    gaps = [b - a for a, b in itertools.pairwise(carrier.seen.registered_at[1:])]
    assert all(60 <= gap <= 72 or gap < 1 for gap in gaps), gaps
    requests = carrier.seen.registers
    assert len({request.call_id for request in requests}) == 1
    assert [request.cseq.number for request in requests] == list(range(1, len(requests) + 1))
    await world.house.trunks.close()
    assert not carrier.is_registered()
    assert carrier.seen.registers[-1].expires == 0


@story()
async def test_a_nonce_that_is_still_good_spares_a_round_and_a_stale_one_costs_one(world: World) -> None:
    carrier = await world.carrier("carrier", ("acme", "open sesame"))
    carrier.manners = Manners(challenge=401, grants=120)
    world.trunks(trunk(carrier, **registers(carrier)), secrets=SECRETS)
    await world.sleep(1)
    assert len(carrier.seen.registers) == 2
    await world.sleep(75)
    assert len(carrier.seen.registers) == 3, "answered beforehand"
    carrier.forget_nonces()
    await world.sleep(75)
    assert len(carrier.seen.registers) == 5
    assert carrier.is_registered()
    assert states(world) == [("carrier", True)]


@story()
async def test_a_registrar_that_wants_a_longer_time_gets_it(world: World) -> None:
    carrier = await world.carrier("carrier")
    carrier.manners = Manners(least=1800, grants=3600)
    world.trunks(trunk(carrier, **registers(carrier, 600)), secrets=SECRETS)
    await world.sleep(1)
    assert [request.expires for request in carrier.seen.registers] == [600, 1800]
    assert carrier.is_registered()
    await world.sleep(1200)
    assert carrier.seen.registers[-1].expires == 1800, "it is remembered"


@story()
async def test_a_registrar_that_refuses_is_asked_less_and_less_often_and_takes_the_trunk_out(world: World) -> None:
    carrier = await world.carrier("carrier")
    carrier.manners = Manners(refuses=403)
    world.trunks(trunk(carrier, **registers(carrier)), secrets=SECRETS)
    await world.sleep(3600)
    at = carrier.seen.registered_at
    gaps = [b - a for a, b in itertools.pairwise(at)]
    assert 1 <= gaps[0] <= 2.1
    assert all(150 <= gap <= 301 for gap in gaps[9:])
    assert len(at) < 35
    found = world.house.trunks.get("carrier")
    assert found is not None
    assert found.up is False
    assert found.detail == "not registered: 403 Forbidden: it does not know our user, or another password"
    carrier.manners = Manners()
    await world.sleep(301)
    assert states(world) == [("carrier", False), ("carrier", True)]


@story()
async def test_a_wrong_password_is_not_tried_again_at_once(world: World) -> None:
    carrier = await world.carrier("carrier", ("acme", "another"))
    carrier.manners = Manners(challenge=401)
    world.trunks(trunk(carrier, **registers(carrier)), secrets=SECRETS)
    await world.sleep(0.9)
    assert len(carrier.seen.registers) == 2
    assert states(world) == [("carrier", False)]


@story()
async def test_we_register_where_the_first_server_is_silent_at_the_second(world: World) -> None:
    dead, carrier = await world.carrier("dead"), await world.carrier("carrier")
    world.resolver.hosts["carrier.example"] = (dead.address, carrier.address)
    dead.host.vanish()
    outward = Outward(Peer("carrier.example", 5060), "acme", 600)
    world.trunks(trunk(carrier, register=outward))
    await world.sleep(40)
    assert carrier.is_registered()
    assert str(carrier.seen.registers[0].uri) == "sip:carrier.example:5060"


# Whether it is there


@story()
async def test_a_trunk_that_falls_silent_goes_down_and_comes_back_and_all_are_told(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, qualify=30.0))
    await world.sleep(1)
    assert states(world) == [("carrier", True)]
    carrier.host.vanish()
    await world.sleep(60)
    assert states(world) == [("carrier", True), ("carrier", False)]
    retained = [message for message in world.publisher.messages if message.topic == topics.trunk_state("carrier")]
    assert retained[-1].payload["up"] is False
    assert retained[-1].payload["detail"] == f"no answer from udp {carrier.address}:5060"
    carrier.host.come_back()
    await world.sleep(40)
    assert states(world)[-1] == ("carrier", True)


@story()
async def test_a_trunk_that_takes_no_calls_now_is_down_and_one_that_knows_no_options_is_up(world: World) -> None:
    carrier = await world.carrier("carrier")
    carrier.endpoint.healthy = False
    world.trunks(trunk(carrier, qualify=30.0))
    await world.sleep(20)
    assert states(world) == [("carrier", False)]
    carrier.endpoint.healthy = True
    await world.sleep(40)
    assert states(world)[-1] == ("carrier", True)


@story()
async def test_one_lost_question_takes_no_trunk_out(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, qualify=30.0))
    await world.sleep(20)
    carrier.host.vanish()
    await world.sleep(15)
    carrier.host.come_back()
    await world.sleep(60)
    assert states(world) == [("carrier", True)]


@story()
async def test_a_trunk_of_two_servers_is_up_while_one_is(world: World) -> None:
    one, other = await world.carrier("one"), await world.carrier("other")
    world.trunks(trunk(one, id="carrier", peers=(Peer(one.address), Peer(other.address)), qualify=30.0))
    await world.sleep(1)
    one.host.vanish()
    await world.sleep(90)
    assert states(world) == [("carrier", True)]
    found = world.house.trunks.get("carrier")
    assert found is not None
    assert sorted((str(hop.address), state.alive) for hop, state in found.hops.items()) == [
        (f"{one.address}:5060", False),
        (f"{other.address}:5060", True),
    ]


# Reload


@story()
async def test_a_reload_takes_trunks_in_and_out_and_touches_no_call(world: World) -> None:
    old, new = await world.carrier("old", ("acme", "open sesame")), await world.carrier("new")
    house = world.house
    first = trunk(old, accept=accepts(old), register=Outward(Peer(old.address), "acme", 600))
    settings = replace(house.settings, trunks={"old": first})
    house.reconfigure(settings, house.secrets, "olga")
    await world.sleep(1)
    assert old.is_registered()
    call, outcome = await old.calls_in(NUMBER)
    assert isinstance(outcome, Answered)
    calls = list(house.supervisor.calls.values())
    then = replace(settings, written={"trunks": {"old": {"peers": [old.address]}}})
    (told,) = changes(then, settings, house.acd, calls, world.clock.monotonic())
    assert (told.sign, told.path, told.note) == ("-", "trunks.old", "1 call by this trunk now: as they began")
    second = trunk(new, accept=accepts(new))
    house.reconfigure(replace(settings, trunks={"new": second}), house.secrets, "olga")
    await world.sleep(1)
    assert not old.is_registered(), "the registration is taken back"
    assert not call.over, "the call goes on"
    _, outcome = await new.calls_in(NUMBER)
    assert isinstance(outcome, Answered)
    states_told = {message.topic: message.payload for message in world.publisher.messages}
    assert not states_told.get(topics.trunk_state("old"))
    assert states_told[topics.trunk_state("new")]["trunk"] == "new"
    again = len(new.calls)
    house.reconfigure(replace(settings, trunks={"new": second}), house.secrets, "olga")
    await world.sleep(1)
    assert calls_on(world, "new") == again == 1
    call.leg.hangup()
    new.calls[0].leg.hangup()


@story()
async def test_a_trunk_that_is_configured_otherwise_keeps_its_calls_and_registers_anew(world: World) -> None:
    carrier = await world.carrier("carrier")
    outward = Outward(Peer(carrier.address), "acme", 600)
    house = world.house
    settings = replace(house.settings, trunks={"carrier": trunk(carrier, accept=accepts(carrier), register=outward)})
    house.reconfigure(settings, house.secrets, "olga")
    await world.sleep(1)
    call, _ = await carrier.calls_in(NUMBER)
    wider = {"carrier": trunk(carrier, accept=accepts(carrier), register=outward, max_calls=2)}
    house.reconfigure(replace(settings, trunks=wider), house.secrets, "olga")
    await world.sleep(1)
    assert carrier.is_registered()
    assert calls_on(world, "carrier") == 1
    call.leg.hangup()
