"""Simulated media in virtual time: who hears what from when on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from callcenter.media.plane import Clip, Digit, MediaError, MediaEvent, MediaSilent
from callcenter.media.settings import MediaSettings
from callcenter.simulation.clock import VirtualLoop, run
from callcenter.simulation.media import (
    KEY_EVERY,
    ClipSound,
    MixSound,
    SimEndpointMedia,
    SimMediaPlane,
    SimMediaSession,
    SimMediaWorld,
    VoiceSound,
)

GREETING, MENU, MUSIC = (
    Clip("prompts/greeting.wav", 4.0),
    Clip("prompts/menu.wav", 6.0),
    Clip("prompts/music.wav", 60.0),
)


class Stage:
    """A plane, and a call with as many phones as wanted."""

    def __init__(self) -> None:
        self.world = SimMediaWorld()
        self.plane = SimMediaPlane(self.world)
        self.events: list[tuple[float, MediaEvent]] = []

    async def phone(self, host: str) -> tuple[SimEndpointMedia, SimMediaSession]:
        """A phone whose offer was answered."""
        phone = SimEndpointMedia(self.world, host)
        session = await self.plane.open("call", local="10.0.0.1", on_event=self._note, offer=phone.offer())
        phone.take_answer(session.sdp)
        return phone, session

    def _note(self, event: MediaEvent) -> None:
        self.events.append((now(), event))


def now() -> float:
    return asyncio.get_running_loop().time()


async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def play(story: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a story in virtual time; at its end nothing may be left."""

    async def main() -> None:
        stage = Stage()
        await story(stage)
        for session in stage.plane.sessions:
            session.release()
        assert not stage.world.sessions
        assert stage.plane.status().sessions == 0

    run(main())


def test_what_was_heard_is_kept_with_its_time() -> None:
    async def story(stage: Stage) -> None:
        phone, session = await stage.phone("10.0.0.2")
        began = now()
        session.play([GREETING, MENU])
        assert str(await phone.until_hears("menu")) == "menu"
        assert now() - began == pytest.approx(4.0)
        assert phone.has_heard("greeting")
        assert not phone.has_heard("music")
        await phone.until_hears(lambda sound: sound is None)
        assert now() - began == pytest.approx(10.0)
        sounds = [heard.sound for heard in phone.heard]
        paths = (GREETING.path, MENU.path)
        assert sounds == [ClipSound(paths, GREETING.path), ClipSound(paths, MENU.path), None]

    play(story)


def test_voices_are_heard_by_address() -> None:
    async def story(stage: Stage) -> None:
        amy, first = await stage.phone("10.0.0.2")
        bob, second = await stage.phone("10.0.0.3")
        assert not stage.world.hear_each_other(amy, bob)
        await first.bridge(second)
        assert stage.world.hear_each_other(amy, bob)
        assert stage.world.heard_by(bob.address) == VoiceSound(amy.address)
        amy.vanish()
        assert bob.hears is None
        second.release()
        assert amy.hears is None

    play(story)


def test_keys_are_pressed_one_after_the_other() -> None:
    async def story(stage: Stage) -> None:
        phone, session = await stage.phone("10.0.0.2")
        began = now()
        phone.press("12")
        await sleep(1)
        told = [(at - began, event) for at, event in stage.events if isinstance(event, Digit)]
        assert [event for _, event in told] == [Digit(session.id, "1"), Digit(session.id, "2")]
        assert [at for at, _ in told] == pytest.approx([0.02, 0.02 + KEY_EVERY])

    play(story)


def test_a_minute_of_silence_takes_no_time() -> None:
    async def story(stage: Stage) -> None:
        phone, session = await stage.phone("10.0.0.2")
        await sleep(30)
        phone.vanish()
        began = now()
        await sleep(100)
        ((at, event),) = [(at, event) for at, event in stage.events if isinstance(event, MediaSilent)]
        assert event == MediaSilent(session.id, 60.0)
        assert at - began == pytest.approx(60.0)

    play(story)


def test_phones_may_call_each_other_without_a_switch() -> None:
    async def story(stage: Stage) -> None:
        amy, bob = SimEndpointMedia(stage.world, "10.0.0.2"), SimEndpointMedia(stage.world, "10.0.0.3")
        amy.take_answer(bob.answer(amy.offer()))
        assert stage.world.hear_each_other(amy, bob)
        amy.press("5")
        await sleep(1)
        assert bob.digits == "5"
        bob.take_answer(amy.answer(bob.hold()))
        assert bob.holds
        assert amy.hears is None
        assert bob.hears is None
        bob.close()
        bob.close()

    play(story)


def test_a_plane_of_settings_of_its_own() -> None:
    async def main() -> None:
        plane = SimMediaPlane(SimMediaWorld(), MediaSettings(ports=(20000, 20003), workers=2))
        session = await plane.open("call", local="10.0.0.1", on_event=lambda event: None)
        assert session.address == ("10.0.0.1", 20000)
        assert plane.status().capacity == 2
        await plane.close()

    loop = VirtualLoop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def names(sound: object) -> set[str]:
    """Whose voices, and which clips, are in a sound."""
    parts = sound.parts if isinstance(sound, MixSound) else [sound] if sound is not None else []
    return {part.address[0] if isinstance(part, VoiceSound) else str(part) for part in parts}


def test_one_who_listens_hears_both_and_is_heard_by_nobody() -> None:
    async def story(stage: Stage) -> None:
        (caller, to_caller), (agent, to_agent), (third, to_third) = [
            await stage.phone(f"10.0.0.{number}") for number in (2, 3, 4)
        ]
        await to_caller.bridge(to_agent)
        await to_third.hear([to_caller, to_agent])
        assert names(third.hears) == {"10.0.0.2", "10.0.0.3"}
        assert stage.world.hear_each_other(caller, agent)
        await to_agent.hear([to_caller, to_third])
        assert names(agent.hears) == {"10.0.0.2", "10.0.0.4"}
        assert names(caller.hears) == {"10.0.0.3"}
        caller.press("7")
        await sleep(1)
        assert agent.digits == third.digits == "", "of several at once no events are made"
        to_agent.release()
        assert names(third.hears) == {"10.0.0.2"}
        assert caller.hears is None
        await to_third.hear([])
        assert third.hears is None

    play(story)


def test_two_sessions_that_are_each_others_peers_carry_sound_from_worker_to_worker() -> None:
    async def story(stage: Stage) -> None:
        stage.plane.settings = MediaSettings(workers=2)
        phones = [SimEndpointMedia(stage.world, f"10.0.0.{number}") for number in (2, 3)]
        sessions = []
        for number, phone in enumerate(phones):
            sessions.append(await stage.plane.open(f"{number}", local="10.0.0.1", on_event=print, offer=phone.offer()))
            phone.take_answer(sessions[number].sdp)
        with pytest.raises(MediaError):
            await sessions[0].hear([sessions[1]])
        near = await stage.plane.open("tie", local="10.0.0.1", on_event=print, beside=sessions[0])
        far = await stage.plane.open("tie", local="10.0.0.1", on_event=print, beside=sessions[1], offer=near.sdp)
        await near.set_answer(far.sdp)
        await near.bridge(sessions[0])
        await far.bridge(sessions[1])
        assert stage.world.hear_each_other(*phones)
        phones[0].press("5")
        await sleep(1)
        assert phones[1].digits == "5"
        sessions[1].play([GREETING])
        assert names(phones[1].hears) == {"greeting"}
        far.play([MUSIC])
        assert names(phones[0].hears) == {"music"}
        phones[1].close()
        far.stop()
        assert phones[0].hears is None

    play(story)
