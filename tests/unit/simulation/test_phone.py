"""The simulated phone: what its person does and sees, and what it says when a thing does not come true."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import pytest

from callcenter.signaling.registrar_shell import RegistrarShell
from callcenter.signaling.user_agent import UserAgent
from callcenter.simulation.clock import SimClock, VirtualLoop, run
from callcenter.simulation.network import SimNetwork, Weather
from callcenter.simulation.phone import Manner, Phone, PhoneFailure
from callcenter.sip.digest import Credentials, DigestServer
from callcenter.sip.endpoint import Endpoint, EndpointStatus
from callcenter.sip.events import EndedBy
from callcenter.sip.flow import Address, Transport
from callcenter.sip.registrar import Binding, Registrar
from tests.unit.simulation.toy_sound import ToySound, ToySounds

AFTERLIFE = 100.0


class World:
    """Amy and Bob, each the other's switch, and a third who may ring too."""

    def __init__(self, weather: Weather, transport: Transport) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.clock = SimClock(loop)
        self.network = SimNetwork(loop, loop.random, weather)
        self.sounds = ToySounds()
        self.transport = transport
        self.amy = self.phone("amy", "10.0.0.1", "10.0.0.2")
        self.bob = self.phone("bob", "10.0.0.2", "10.0.0.1")
        self.cleo = self.phone("cleo", "10.0.0.3", "10.0.0.1")
        self.phones = [self.amy, self.bob, self.cleo]

    def phone(self, name: str, address: str, switch: str) -> Phone:
        return Phone(
            name,
            self.network.host(address),
            Address(switch, 5060),
            clock=self.clock,
            random=self.loop.random,
            sounds=self.sounds.open,
            display=name.capitalize(),
            transport=self.transport,
        )

    async def nothing_is_left(self) -> None:
        await asyncio.sleep(AFTERLIFE)
        for phone in self.phones:
            assert phone.is_free
            assert phone.user_agent.legs == {}
            assert phone.endpoint.status() == EndpointStatus(0, 0, 0)
        assert self.sounds.world.endpoints == {}


def tell(
    story: Callable[[World], Awaitable[None]],
    *,
    seed: int = 0,
    weather: Weather | None = None,
    transport: Transport = Transport.UDP,
) -> World:
    async def main() -> World:
        world = World(weather or Weather(delay=0.01), transport)
        for phone in world.phones:
            await phone.open()
        await story(world)
        await world.nothing_is_left()
        for phone in world.phones:
            await phone.close()
        return world

    return run(main(), seed=seed)


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_two_phones_talk_hold_and_hang_up(transport: Transport) -> None:
    async def story(world: World) -> None:
        amy, bob = world.amy, world.bob
        call = amy.starts_dialling("bob")
        came = await bob.rings()
        assert (came.caller, came.caller_name) == ("amy", "Amy")
        assert came.sip_call_id == call.sip_call_id
        await amy.hears_nothing()
        await bob.answers()
        await bob.hears(amy)
        await amy.hears(bob)
        await amy.hold()
        assert call.holds
        await bob.hears_nothing()
        await amy.hears_nothing()
        await asyncio.sleep(60)
        await amy.resume()
        await bob.hears(amy)
        await amy.press("12#")
        await asyncio.sleep(1)
        assert isinstance(came.sound, ToySound)
        assert came.sound.media.digits == "12#"
        await bob.hangs_up()
        assert (await amy.is_hung_up()).by is EndedBy.PEER
        await amy.hears_nothing()

    tell(story, transport=transport)


@pytest.mark.parametrize("seed", range(200))
def test_two_phones_in_bad_weather(seed: int) -> None:
    """One datagram in five is lost, some come twice, some late; still they talk, and nothing is left over."""

    async def story(world: World) -> None:
        amy, bob = world.amy, world.bob
        patience = 35.0
        call = amy.starts_dialling("bob")
        await bob.rings(within=patience)
        await asyncio.sleep(world.loop.random.random() * 5)
        await bob.answers()
        await amy.hears(bob, within=patience)
        await bob.hears(amy, within=patience)
        await amy.hold()
        await bob.hears_nothing(within=patience)
        await amy.resume()
        await bob.hears(amy, within=patience)
        assert call.connected
        first, second = (amy, bob) if seed % 2 else (bob, amy)
        await first.hangs_up()
        await second.is_hung_up(within=patience)

    weather = Weather(delay=0.01, jitter=0.04, loss=0.2, duplicate=0.05, late=0.05)
    tell(story, seed=seed, weather=weather)


def test_same_seed_same_story() -> None:
    async def story(world: World) -> None:
        world.bob.manner = Manner.TAKES
        await world.amy.dial("bob")
        await world.amy.hangs_up()
        await world.bob.is_hung_up(within=35)

    weather = Weather(jitter=0.05, loss=0.2, duplicate=0.1, late=0.1)

    def trace(seed: int) -> list[str]:
        world = tell(story, seed=seed, weather=weather)
        return [*world.network.trace, *world.amy.log, *world.bob.log]

    assert trace(3) == trace(3)
    assert trace(3) != trace(4)


def test_ringing_is_waited_for_and_comes_in_its_time() -> None:
    async def story(world: World) -> None:
        amy, bob = world.amy, world.bob
        world.loop.call_later(20, amy.starts_dialling, "bob")
        await bob.rings(after=20)
        assert world.loop.time() == pytest.approx(20.01)
        await amy.hangs_up()
        await bob.stops_ringing()
        assert (await bob.is_hung_up()).status == 487

    tell(story)


def test_ringing_too_late_too_early_or_not_at_all_is_said() -> None:
    async def story(world: World) -> None:
        amy, bob = world.amy, world.bob
        with pytest.raises(PhoneFailure, match=r"bob does not ring within 5 s\. At 5\.000 s it hears nothing"):
            await bob.rings()
        world.loop.call_later(3, amy.starts_dialling, "bob")
        with pytest.raises(PhoneFailure, match=r"bob rings after 3\.0 s already, not after 20 s") as caught:
            await bob.rings(after=20)
        assert "8.010 bob rings: Amy amy" in str(caught.value)
        with pytest.raises(PhoneFailure, match="bob rings on within 5 s"):
            await bob.stops_ringing()
        with pytest.raises(PhoneFailure, match="bob rings, and should not"):
            await bob.rings_not()
        await bob.declines()
        await bob.rings_not(during=10)
        await amy.is_refused(603)

    tell(story)


@pytest.mark.parametrize(("manner", "status"), [(Manner.BUSY, 486), (Manner.DECLINES, 603)], ids=["busy", "declines"])
def test_manners_that_refuse(manner: Manner, status: int) -> None:
    async def story(world: World) -> None:
        world.bob.manner = manner
        world.amy.starts_dialling("bob")
        assert await world.amy.is_refused() == status
        with pytest.raises(PhoneFailure, match=f"amy is not connected with bob: {status}"):
            await world.amy.dial("bob")
        world.amy.starts_dialling("bob")
        with pytest.raises(PhoneFailure, match=f"amy should see 404: {status}"):
            await world.amy.is_refused(404)
        assert world.bob.call is None

    tell(story)


def test_phone_that_takes_calls_at_once() -> None:
    async def story(world: World) -> None:
        world.bob.manner = Manner.TAKES
        await world.amy.dial("bob")
        await world.bob.hears(world.amy)
        await world.amy.hangs_up()
        await world.bob.is_hung_up()

    tell(story)


def test_phone_that_ignores_never_rings() -> None:
    async def story(world: World) -> None:
        world.bob.manner = Manner.IGNORES
        world.amy.starts_dialling("bob")
        await world.bob.rings_not(during=30)
        assert not world.amy.is_free
        await world.amy.hangs_up()
        await world.bob.is_hung_up()

    tell(story)


def test_second_caller_gets_busy() -> None:
    async def story(world: World) -> None:
        amy, bob, cleo = world.phones
        bob.starts_dialling("amy")
        await amy.rings()
        cleo.starts_dialling("amy")
        await cleo.is_refused(486)
        await amy.answers()
        await amy.hears(bob)
        await bob.hangs_up()
        await amy.is_hung_up()

    tell(story)


def test_vanished_phone_reacts_to_nothing() -> None:
    async def story(world: World) -> None:
        world.bob.vanish()
        world.amy.starts_dialling("bob")
        assert await world.amy.is_refused(408) == 408
        assert world.loop.time() == pytest.approx(32, abs=1)
        await world.bob.rings_not(during=1)

    tell(story)


def test_what_cannot_be_done_is_said() -> None:
    async def story(world: World) -> None:
        amy, bob = world.amy, world.bob
        for wrong in (amy.answers, amy.declines, amy.is_hung_up, amy.hold):
            with pytest.raises(PhoneFailure, match="amy should"):
                await wrong()
        await amy.hangs_up()  # nothing to hang up is no mistake
        bob.manner = Manner.TAKES
        await amy.dial("bob")
        with pytest.raises(AssertionError, match="amy is in a call already"):
            amy.starts_dialling("bob")
        with pytest.raises(PhoneFailure, match="bob is still in the call within 2 s"):
            await bob.is_hung_up(within=2)
        with pytest.raises(PhoneFailure, match=r"amy does not hear 'greeting' within 1 s\. At .* it hears bob"):
            await amy.hears("greeting", within=1)
        with pytest.raises(PhoneFailure, match="amy hears something within 1 s"):
            await amy.hears_nothing(within=1)
        await bob.hangs_up()
        await asyncio.sleep(1)
        with pytest.raises(PhoneFailure, match="amy wants to hold and gets 481"):
            await amy.hold()

    tell(story)


def test_caller_gone_while_answering_is_said() -> None:
    async def story(world: World) -> None:
        world.amy.starts_dialling("bob")
        await world.bob.rings()
        world.loop.call_soon(world.amy.drops)
        with pytest.raises(PhoneFailure, match="bob answers, and the caller is gone: 200"):
            await world.bob.answers()

    tell(story)


def test_phone_registers_stays_registered_and_unregisters() -> None:
    class Store:
        def save(self, aor: str, bindings: object) -> None:
            pass

        async def load_all(self) -> dict[str, tuple[Binding, ...]]:
            return {}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock, network = SimClock(loop), SimNetwork(loop, loop.random, Weather(loss=0.1))
        changes: list[tuple[float, int]] = []
        accounts = {"amy": Credentials.of("amy", "callcenter", "right")}
        shell = RegistrarShell(
            Registrar(),
            DigestServer("callcenter", b"a key of the nonces"),
            accounts.get,
            Store(),
            clock,
            lambda _, bindings: changes.append((loop.time(), len(bindings))),
        )
        switch = UserAgent(
            network.host("10.0.0.1"), Endpoint(random=random.Random(0)), clock, lambda leg: leg.hangup(), shell.answer
        )
        await switch.open()
        sounds = ToySounds()
        amy = Phone(
            "amy",
            network.host("10.0.0.7"),
            Address("10.0.0.1", 5060),
            clock=clock,
            random=loop.random,
            sounds=sounds.open,
        )
        await amy.open()
        assert await amy.is_refused_registration("amy", "wrong") == 403
        with pytest.raises(PhoneFailure, match="could not register as amy: 403 Forbidden"):
            await amy.register("amy", "wrong")
        with pytest.raises(PhoneFailure, match="should not get registered as amy: 200 OK"):
            await amy.is_refused_registration("amy", "right")
        await amy.unregister()
        await amy.register("amy", "right", expires=120)
        await asyncio.sleep(3600)
        assert len(shell.bindings("amy")) == 1
        assert amy.registered_until is not None
        assert amy.registered_until > loop.time()
        await amy.unregister()
        assert shell.bindings("amy") == ()
        await amy.register("amy", "right", expires=120)
        amy.vanish()
        gone_at = loop.time()
        await asyncio.sleep(300)
        assert shell.bindings("amy") == ()
        assert [count for count, _ in itertools.groupby(changes, key=lambda change: change[1])] == [1, 0, 1, 0, 1, 0]
        assert changes[-1][0] <= gone_at + 121
        await amy.close()
        await switch.close()
        shell.close()

    run(main())


def test_phone_prints_a_line() -> None:
    async def story(world: World) -> None:
        assert repr(world.bob) == "<Phone bob free, lets it ring>"
        world.amy.starts_dialling("bob")
        await world.bob.rings()
        assert repr(world.bob) == "<Phone bob ringing, lets it ring>"
        assert repr(world.amy.call).startswith("<PhoneCall <Leg ")
        await world.amy.hangs_up()

    tell(story)
