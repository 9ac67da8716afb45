"""The notice: whoever is recorded is told so first, to the end, once in a call, while the agent's phone rings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callcenter.calls.sound import Sound
from callcenter.media.plane import Clip
from callcenter.runtime.scopes import until

if TYPE_CHECKING:
    from callcenter.calls.call import Call
    from callcenter.calls.dispatcher import OfferInHand
    from callcenter.calls.party import Party

# So many seconds before its end it is said, to the word; and its end may be told so much late.
NEARLY = 0.05
PATIENCE = 1.0


class Notice:
    """How far a party has heard the notice. What is broken off, as an agent picks up, goes on where it was."""

    def __init__(self) -> None:
        self.heard = False
        """To its end."""
        self._loop = asyncio.get_running_loop()
        self._at = 0.0
        self._seconds = 0.0
        self._began: float | None = None

    def begin(self, sound: Sound, clips: Sequence[Clip]) -> int:
        """Say it, or what is left of it; returns the number of the play. :meth:`leave` tells that it is over."""
        self._seconds = sum(clip.seconds for clip in clips)
        self._began = self._loop.time()
        return sound.start(clips, at=self._at)

    def leave(self) -> None:
        """It is not said any more, to its end or not. Never waits; may be called twice."""
        if self._began is not None:
            self._at += self._loop.time() - self._began
            self._began = None
            self.heard = self.heard or self._at >= self._seconds - NEARLY

    async def to_its_end(self, sound: Sound, clips: Sequence[Clip]) -> None:
        """Say what is left of it. ``heard`` tells whether it came to its end: another play may take its place."""
        if self.heard:
            return
        play = self.begin(sound, clips)
        try:
            async with asyncio.timeout(self._seconds - self._at + PATIENCE):
                await sound.over(play)
        except TimeoutError:
            sound.stop()
        finally:
            self.leave()


def notice_of(party: Party) -> Notice:
    """How far a party has heard the notice."""
    if party.notice is None:
        party.notice = Notice()
    return party.notice


def words_for(call: Call) -> tuple[Clip, ...]:
    """The notice of the company in whose name we talk, in the caller's language; nothing where it gives none."""
    prompt = call.settings.recording.notices.get(call.client.id, "")
    return call.settings.prompts.there(prompt, call.captured.language) if prompt else ()


def notice_in_line(call: Call, queue: str) -> tuple[Clip, ...]:
    """What a caller hears who joins a queue whose talks are recorded, whoever will take them; else nothing."""
    wanted = call.services.recordings.wants(call, queue)
    return words_for(call) if wanted and not notice_of(call.caller).heard else ()


async def before_the_talk(call: Call, agent: Party, in_hand: OfferInHand) -> None:
    """Let the caller hear what they have not heard of the notice, where this agent's talk is recorded.

    The agent, phone in hand, waits; or until the agent is gone, or the offer is taken back.
    """
    offer = in_hand.offer
    clips = words_for(call) if call.services.recordings.wants(call, offer.queue, offer.agent_id) else ()
    if not clips or notice_of(call.caller).heard:
        return
    async with until(agent.ended), until(agent.trouble), until(in_hand.withdrawn):
        await notice_of(call.caller).to_its_end(call.caller.sound, clips)
    call.caller.sound.stop()


async def give_notice(call: Call, parties: Sequence[Party]) -> bool:
    """Let each of these hear the notice, all at once; whether all have heard it to its end, or there is none."""
    clips = words_for(call)
    deaf = [party for party in parties if clips and not notice_of(party).heard]
    async with asyncio.TaskGroup() as saying:
        for party in deaf:
            saying.create_task(notice_of(party).to_its_end(party.sound, clips), name=f"notice of {call.id}")
    return all(notice_of(party).heard for party in deaf)
