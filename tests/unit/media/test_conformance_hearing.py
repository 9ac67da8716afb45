"""Who hears whom: each test runs against the embedded plane and against the simulated one."""

from __future__ import annotations

import pytest

from callcenter.media.plane import MediaError, MediaGone, MediaSession
from tests.unit.media.peers import Call, House, Peer, until, with_settings
from tests.unit.media.singers import heard_by, singer


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
    await until(lambda: bob.hears == "amy", "amy still")


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


@with_settings(workers=2)
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


async def choir(house: House, *names: str) -> tuple[list[Peer], list[MediaSession]]:
    """Phones that say a tone each, and their sessions."""
    call = Call(house)
    peers = [singer(house, name) for name in names]
    sessions = [await call.incoming(peers[0])]
    for peer in peers[1:]:
        sessions.append(await call.outgoing(peer, beside=sessions[0]))
    return peers, sessions


async def hears(peers: list[Peer], *heard: str) -> None:
    """Each of them hears those whose names are given, and nobody else."""
    wanted = [set(each.split()) for each in heard]
    await until(lambda: [heard_by(peer) for peer in peers] == wanted, str(heard))


async def test_a_supervisor_listens_whispers_barges_in_and_leaves(house: House) -> None:
    peers, (caller, agent, supervisor) = await choir(house, "amy", "bob", "carol")
    await caller.bridge(agent)
    await hears(peers, "bob", "amy", "")
    await supervisor.hear([caller, agent])
    await hears(peers, "bob", "amy", "amy bob")
    await agent.hear([caller, supervisor])
    await hears(peers, "bob", "amy carol", "amy bob")
    await caller.hear([agent, supervisor])
    await hears(peers, "bob carol", "amy carol", "amy bob")
    await caller.bridge(agent)
    await hears(peers, "bob", "amy", "amy bob")
    supervisor.release()
    await hears(peers, "bob", "amy", "")


async def test_a_conference_of_four_goes_on_when_one_leaves(house: House) -> None:
    peers, sessions = await choir(house, "amy", "bob", "carol", "dave")
    for session in sessions:
        await session.hear([other for other in sessions if other is not session])
    await hears(peers, "bob carol dave", "amy carol dave", "amy bob dave", "amy bob carol")
    sessions[1].release()
    await hears(peers, "carol dave", "", "amy dave", "amy carol")
    sessions[2].release()
    await hears(peers, "dave", "", "", "amy")


async def test_a_play_stands_in_for_a_mix(house: House) -> None:
    peers, (first, second, third) = await choir(house, "amy", "bob", "carol")
    await first.hear([second, third])
    await hears(peers, "bob carol", "", "")
    first.play([house.clip("music", 10.0)])
    await until(lambda: peers[0].hears == "music", "music")
    first.stop()
    await hears(peers, "bob carol", "", "")


async def test_who_holds_hears_nothing_of_a_mix_and_then_all_again(house: House) -> None:
    peers, (first, second, third) = await choir(house, "amy", "bob", "carol")
    await first.hear([second, third])
    await second.hear([first, third])
    await hears(peers, "bob carol", "amy carol", "")
    peers[0].take_answer(await first.reoffer(peers[0].hold()))
    await hears(peers, "", "carol", "")
    peers[0].take_answer(await first.reoffer(peers[0].resume()))
    await hears(peers, "bob carol", "amy carol", "")


async def test_when_the_worker_dies_in_a_conference_all_are_told(house: House) -> None:
    peers, sessions = await choir(house, "amy", "bob", "carol")
    for session in sessions:
        await session.hear([other for other in sessions if other is not session])
    await hears(peers, "bob carol", "amy carol", "amy bob")
    house.kill_worker_of(sessions[0])
    await hears(peers, "", "", "")
    with pytest.raises(MediaGone):
        await sessions[0].hear([sessions[1]])
