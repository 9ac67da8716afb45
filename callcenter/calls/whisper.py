"""The whisper: what an agent hears of a caller before the two talk, while the caller hears the music."""

from __future__ import annotations

from collections.abc import Sequence

from callcenter.calls.call import Call
from callcenter.calls.dispatcher import OfferInHand
from callcenter.calls.party import Party
from callcenter.calls.settings import intent_of, language_of
from callcenter.media.plane import Clip
from callcenter.runtime.scopes import until


def words_for(call: Call, queue: str, agent_id: str) -> tuple[Clip, ...]:
    """What the agent hears first, in the own language; nothing where nothing is said of it, or for a colleague."""
    settings, captured = call.settings, call.captured
    if call.agent:
        return ()
    language = settings.agent_languages.get(agent_id, "")
    of_the_caller = {"{intent}": intent_of(captured.intent), "{language}": language_of(captured.language)}
    parts = settings.treatments[queue].whisper.get(language, ())
    return tuple(clip for part in parts for clip in settings.prompts.there(of_the_caller.get(part, part), language))


async def whisper(agent: Party, words: Sequence[Clip], in_hand: OfferInHand) -> None:
    """Say it, to its end; or until the agent is gone, or the offer is taken back. Who leaves us hangs up on them."""
    try:
        async with until(agent.leg.ended), until(agent.sound.trouble), until(in_hand.withdrawn):
            await agent.sound.say(words, barge_in=False)
        agent.sound.listen_for_digits(False)
    except BaseException:
        agent.close()
        raise
