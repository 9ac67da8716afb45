"""Who hears whom: each test runs against the embedded plane and against the simulated one."""

from __future__ import annotations

import pytest

from callcenter.media.plane import MediaError, MediaGone
from tests.unit.media.peers import Call, House, until


async def test_hearing_is_one_way(house: House) -> None:
    call = Call(house)
    amy, bob = house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await first.hear([second])
    await until(lambda: amy.hears == "bob", "bob")
    assert bob.hears is None
    await second.hear([first])
    await until(lambda: bob.hears == "amy" and amy.hears == "bob", "each other")
    await first.hear([])
    await until(lambda: amy.hears is None, "silence")
    assert bob.hears == "amy"


async def test_several_hear_one_and_each_as_if_alone(house: House) -> None:
    call = Call(house)
    amy, bob, carol, dave = (house.peer(name) for name in ("amy", "bob", "carol", "dave"))
    first = await call.incoming(amy)
    second, third, fourth = [await call.outgoing(peer, beside=first) for peer in (bob, carol, dave)]
    await first.bridge(second)
    await third.hear([first])
    await fourth.hear([first])
    heard = ("bob", "amy", "amy", "amy")
    await until(lambda: (amy.hears, bob.hears, carol.hears, dave.hears) == heard, "amy everywhere")
    third.play([house.clip("music", 5.0)])
    await until(lambda: carol.hears == "music", "music")
    await until(lambda: (bob.hears, dave.hears) == ("amy", "amy"), "amy still")
    third.stop()
    await until(lambda: carol.hears == "amy", "amy again")


async def test_who_listens_goes_on_whatever_becomes_of_the_bridge(house: House) -> None:
    call = Call(house)
    amy, bob, carol = (house.peer(name) for name in ("amy", "bob", "carol"))
    first = await call.incoming(amy)
    second, third = [await call.outgoing(peer, beside=first) for peer in (bob, carol)]
    await first.bridge(second)
    await third.hear([first])
    await until(lambda: (amy.hears, bob.hears, carol.hears) == ("bob", "amy", "amy"), "all")
    await first.unbridge()
    await until(lambda: (amy.hears, bob.hears, carol.hears) == (None, None, "amy"), "carol alone")
    await first.bridge(second)
    await until(lambda: (amy.hears, bob.hears, carol.hears) == ("bob", "amy", "amy"), "all again")
    third.release()
    await until(lambda: (amy.hears, bob.hears, carol.hears) == ("bob", "amy", None), "both")
    second.release()
    await until(lambda: (amy.hears, bob.hears) == (None, None), "nobody")


async def test_only_who_stands_beside_is_heard(house: House) -> None:
    one, other = Call(house), Call(house)
    first = await one.incoming(house.peer("amy"))
    second = await other.incoming(house.peer("bob"))
    with pytest.raises(MediaError):
        await first.hear([second])
    third = await one.outgoing(house.peer("carol"), beside=first)
    third.release()
    with pytest.raises(MediaGone):
        await first.hear([third])
    with pytest.raises(MediaGone):
        await third.hear([first])
