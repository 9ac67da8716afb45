"""Who hears whom within a worker, whatever is asked for in whatever order."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.media.embedded.control import Message, Remote, WorkerSettings
from callcenter.media.embedded.leg import Leg
from callcenter.media.embedded.play import Play
from callcenter.media.embedded.wheel import Wheels


class Sockets:
    """Neither a socket nor a poll: nothing comes, nothing goes."""

    def add(self, sock: object, read: object) -> None: ...
    def change(self, sock: object, read: object) -> None: ...
    def remove(self, sock: object) -> None: ...
    def sendto(self, packet: bytes, address: object) -> None: ...
    def close(self) -> None: ...


class House:
    """A worker's part of a leg."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.poll: Any = Sockets()
        self.wheels = Wheels(loop)
        self.reported: list[Message] = []

    def report(self, message: Message) -> None:
        self.reported.append(message)

    @property
    def turning(self) -> int:
        return sum(len(self.wheels.every(ms)) for ms in (10, 20, 30, 40, 50, 60))


SETTINGS = cast(
    "WorkerSettings",
    {"silence_timeout": 60.0, "missing_after": 5.0, "one_way_after": 5.0, "rtcp_interval": 5.0},
)


def remote(codec: str, ptime: int, *, holds: bool = False) -> Remote:
    return {
        "host": "192.0.2.1",
        "port": 4000,
        "rtcp_host": "",
        "rtcp_port": 0,
        "also_from": [],
        "codec": codec,
        "payload_type": 96,
        "event_type": 101,
        "event_rate": 8000,
        "ptime": ptime,
        "maxptime": 0,
        "fmtp": "",
        "rtcp_mux": False,
        "accepts": [(96, codec), (101, "telephone-event")],
        "sends_to": not holds,
        "due": not holds,
        "keys": None,
    }


WHO = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("hear"), WHO, st.sets(WHO)),
    st.tuples(st.just("bridge"), WHO, WHO),
    st.tuples(st.just("unbridge"), WHO, st.none()),
    st.tuples(
        st.just("remote"),
        WHO,
        st.tuples(st.sampled_from(["PCMU", "PCMA", "G722", "L16"]), st.sampled_from([10, 20, 30, 60]), st.booleans()),
    ),
    st.tuples(st.just("play"), WHO, st.none()),
    st.tuples(st.just("stop"), WHO, st.none()),
    st.tuples(st.just("tap"), WHO, st.booleans()),
    st.tuples(st.just("release"), WHO, st.none()),
)


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=30))
def test_the_graph_is_always_what_was_asked_for(steps: list[tuple[str, int, Any]]) -> None:
    loop = asyncio.new_event_loop()
    try:
        walk(House(loop), steps)
    finally:
        loop.close()


def walk(house: House, steps: list[tuple[str, int, Any]]) -> None:
    legs = {
        number: Leg(number, 2 * number, cast("Any", Sockets()), cast("Any", Sockets()), house, SETTINGS)
        for number in range(4)
    }
    plays: set[int] = set()
    for leg in legs.values():
        leg.set_remote(remote("PCMU", 20))
    heard: dict[int, list[int]] = {number: [] for number in legs}
    for what, who, argument in steps:
        if who not in legs:
            continue
        leg = legs[who]
        match what:
            case "hear":
                heard[who] = [other for other in sorted(argument - {who}) if other in legs]
                leg.ear.listen_to([legs[other] for other in heard[who]])
            case "bridge" if argument in legs and argument != who:
                for one in (who, argument):
                    for other in heard[one]:
                        if heard[other] == [one] and other not in (who, argument):
                            heard[other] = []
                heard[who], heard[argument] = [argument], [who]
                leg.bridge(legs[argument])
            case "unbridge":
                for other in heard[who]:
                    if heard[other] == [who]:
                        heard[other] = []
                heard[who] = []
                leg.unbridge()
            case "remote":
                codec, ptime, holds = argument
                leg.set_remote(remote(codec, ptime, holds=holds))
            case "play":
                leg.ear.play(Play(1, [], True))
                plays.add(who)
            case "stop":
                leg.ear.stop()
                plays.discard(who)
            case "tap":
                leg.tap = (lambda *_: None) if argument else None
            case "release":
                del legs[who]
                del heard[who]
                heard = {number: [other for other in others if other != who] for number, others in heard.items()}
                plays.discard(who)
                leg.close()
        look(house, legs, heard, plays)
    for leg in legs.values():
        leg.close()
    assert house.turning == 0


def look(house: House, legs: dict[int, Leg], heard: dict[int, list[int]], plays: set[int]) -> None:
    for number, leg in legs.items():
        ear = leg.ear
        assert [other.number for other in ear.sources] == heard[number]
        assert ear.mixes == (len(ear.sources) > 1)
        listeners = [other for other in legs.values() if leg in other.ear.sources]
        assert set(leg.heard_by) == {other.ear for other in listeners}
        assert len(leg.heard_by) == len(listeners)
        mixing = [other for other in listeners if other.ear.mixes]
        alone = len(listeners) == 1 and not mixing
        assert leg.target is (listeners[0].ear if alone else None)
        assert (leg.voice is not None) == bool(mixing)
        if leg.voice is not None:
            assert leg.voice.rate >= max(other.ear.rate for other in mixing)
        wide = ear.wide and any(other.ear.wide for other in ear.sources)
        assert ear.rate == (16000 if wide else 8000)
    assert house.turning == len([leg for number, leg in legs.items() if leg.ear.mixes or number in plays])
