"""Keys in a talk: what one presses reaches the other, once, in the way that the other's phone understands."""

from __future__ import annotations

import asyncio

import pytest

from callcenter.calls.settings import DialRules
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import Voice, World, story
from callcenter.sip.keys import key_of
from tests.scenarios.carrier import permit, somebody_outside

# How a phone tells and takes keys.
EVENTS, TONES, INFO = "events", "tones", "info"


class Ear:
    """What comes to a phone, by whichever way."""

    def __init__(self, phone: Phone, way: str) -> None:
        self.phone = phone
        self.way = way
        self.informed = ""
        call = phone.this_call()
        assert isinstance(call.sound, Voice)
        self.media = call.sound.media
        call.leg.on_info = self._take

    def _take(self, kind: str, body: bytes) -> None:
        self.informed += key_of(kind, body) or ""

    @property
    def heard(self) -> tuple[str, str, str]:
        """As events, as tones, by INFO."""
        return self.media.digits, self.media.tones, self.informed

    async def press(self, keys: str) -> None:
        """Press keys as this phone does."""
        await (self.phone.informs(keys) if self.way == INFO else self.phone.press(keys))


async def talking(world: World, caller_by: str, agent_by: str) -> tuple[Ear, Ear]:
    world.tone_phones |= {name for name, way in (("+14155550100", caller_by), ("amy", agent_by)) if way != EVENTS}
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await (caller.informs("1") if caller_by == INFO else caller.press("1"))
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    return Ear(caller, caller_by), Ear(amy, agent_by)


def only(way: str, keys: str, source: str = EVENTS) -> tuple[str, str, str]:
    """Heard by this way and by no other, but for tones that the other makes: they are in the voice."""
    tones = keys if TONES in (way, source) else ""
    return keys if way == EVENTS else "", tones, keys if way == INFO else ""


@pytest.mark.parametrize("caller_by", [EVENTS, TONES, INFO])
@pytest.mark.parametrize("agent_by", [EVENTS, TONES, INFO])
def test_keys_reach_the_other_in_its_own_way(caller_by: str, agent_by: str) -> None:
    """Both ways; a phone that has told no key by INFO is not told any so."""

    @story()
    async def tell(world: World) -> None:
        caller, amy = await talking(world, caller_by, agent_by)
        if agent_by == INFO:
            await amy.press("0")
            await world.sleep(1)
            assert caller.heard == only(caller_by, "0")
            caller.media.digits = caller.media.tones = caller.informed = ""
        await caller.press("12#")
        await world.sleep(2)
        assert amy.heard == only(agent_by, "12#", caller_by)
        await amy.press("4477")
        await world.sleep(2)
        assert caller.heard == only(caller_by, "4477", agent_by)
        await caller.phone.hangs_up()

    tell()


@pytest.mark.parametrize("info_first", [True, False])
def test_a_phone_that_tells_its_keys_both_ways_presses_once(info_first: bool) -> None:
    @story()
    async def tell(world: World) -> None:
        caller, amy = await talking(world, EVENTS, EVENTS)
        for key in "1123":
            await (caller.phone.informs(key) if info_first else caller.phone.press(key))
            await world.sleep(0.1)
            await (caller.phone.press(key) if info_first else caller.phone.informs(key))
            await world.sleep(0.5)
        assert amy.heard == only(EVENTS, "1123")
        await caller.phone.hangs_up()

    tell()


@story()
async def test_a_phone_with_events_that_tells_by_info_alone_is_passed_on_all_the_same(world: World) -> None:
    """It might have told the first in the sound too, which would have passed by itself: that one waits a moment."""
    caller, amy = await talking(world, EVENTS, EVENTS)
    await caller.phone.informs("9")
    await world.sleep(0.2)
    assert amy.heard == only(EVENTS, "")
    await world.sleep(0.3)
    assert amy.heard == only(EVENTS, "9")
    await caller.phone.informs("87")
    await world.sleep(0.5)
    assert amy.heard == only(EVENTS, "987")
    await caller.phone.hangs_up()


@story()
async def test_keys_of_a_talk_are_not_kept_for_what_follows(world: World) -> None:
    """A key that the caller pressed for the agent chooses nothing in a menu behind the talk."""
    caller, amy = await talking(world, EVENTS, EVENTS)
    await caller.press("12")
    await asyncio.sleep(1)
    sound = next(iter(world.house.supervisor.calls.values())).caller.sound
    await amy.phone.hangs_up()
    await world.sleep(0.1)
    assert sound.take_key() is None


@pytest.mark.parametrize("dialled", ["+442071234567,47#", "+442071234567;postd=47#"])
def test_keys_behind_a_number_are_pressed_when_it_is_answered(dialled: str) -> None:
    """Once, after a pause, and told nowhere: they may be a PIN."""

    @story()
    async def tell(world: World) -> None:
        amy = await world.agent("amy", english=5)
        outside = await somebody_outside(world, "+442071234567")
        permit(world, amy=DialRules(outside=("+44",)))
        call = amy.starts_dialling(dialled)
        await outside.rings()
        await outside.answers()
        await amy.hears(outside)
        ear = Ear(outside, EVENTS)
        await world.sleep(1.5)
        assert ear.heard == only(EVENTS, "")
        await world.sleep(1.5)
        assert ear.heard == only(EVENTS, "47#")
        assert world.hear_each_other(amy, outside)
        await amy.hangs_up()
        saved = await world.interaction(call)
        assert "47#" not in repr([saved, *world.facts])

    tell()


@story()
async def test_a_caller_is_put_through_to_an_extension_behind_a_number(world: World) -> None:
    outside = await somebody_outside(world, "+442071234567")
    permit(world, amy=DialRules(outside=("+44",)))
    caller, amy = await talking(world, EVENTS, EVENTS)
    amy.phone.transfers("+442071234567,,12")
    await outside.rings()
    await outside.answers()
    await caller.phone.hears(outside)
    ear = Ear(outside, EVENTS)
    await world.sleep(5)
    assert ear.heard == only(EVENTS, "12")
    await caller.phone.hangs_up()
