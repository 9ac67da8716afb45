"""Pulling: an agent has a call of theirs at another phone, which calls in the place of the first (RFC 3891)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from callcenter.calls.codecs import codecs_of
from callcenter.calls.heard import watch_agent, watch_caller
from callcenter.calls.party import Party
from callcenter.calls.refusal import refused
from callcenter.calls.sound import Sound
from callcenter.media.plane import MediaError
from callcenter.model.facts import PhoneChanged
from callcenter.model.states import Side
from callcenter.runtime.scopes import Background

if TYPE_CHECKING:
    from callcenter.acd.events import Offer
    from callcenter.calls.call import Call
    from callcenter.signaling.leg import Leg
    from callcenter.sip.registrar import Binding

log = structlog.get_logger()


class Ringing:
    """Phones of one agent while they ring. ``pulled`` is done with another that called in the place of one of them.

    Held by ``with``; a phone that nobody claims until the block is left is hung up on.
    """

    def __init__(self, legs: Sequence[Leg]) -> None:
        self.pulled: asyncio.Future[Leg] = asyncio.get_running_loop().create_future()
        self._legs = legs
        self._claimed = False

    def claim(self) -> Leg:
        """The phone that called."""
        self._claimed = True
        return self.pulled.result()

    def __enter__(self) -> Ringing:
        """Let others call in their place."""
        for leg in self._legs:
            leg.on_replaced = self._pull
        return self

    def __exit__(self, *_: object) -> None:
        """Let nobody do so any more."""
        for leg in self._legs:
            leg.on_replaced = None
        if self.pulled.done() and not self._claimed:
            self.pulled.result().hangup()

    def _pull(self, leg: Leg) -> None:
        if self.pulled.done():
            leg.reject(491)
        else:
            self.pulled.set_result(leg)


async def answer_beside(call: Call, leg: Leg, other: Sound, watch: Callable[[Sound], None]) -> Sound | None:
    """Answer a phone that called in another's place, with its sound beside ``other``; None when that came to nothing.

    Then the phone has been refused, or hung up on.
    """
    sound = Sound()
    with contextlib.ExitStack() as undo:
        undo.callback(sound.release)
        undo.callback(leg.hangup)
        watch(sound)
        try:
            codecs = codecs_of(call.services, leg)
            description = await sound.open(
                call.services.plane, call.id, leg.flow, offer=leg.offer, beside=other, codecs=codecs
            )
        except MediaError as error:
            log.info("a call was not taken over", agent=leg.user, why=refused(leg, error).detail)
            return None
        leg.answer(description)
        if leg.offer is None:
            answer = await leg.acknowledged
            if answer is None:
                return None
            try:
                await sound.session.set_answer(answer)
            except MediaError as error:
                log.info("a call was not taken over", agent=leg.user, why=str(error))
                return None
        if leg.ending is not None:
            return None
        undo.pop_all()
    return sound


class Pulls:
    """Lets whoever of ours talks in a call go on by another phone, as long as the talk lasts: one of them at a time.

    ``party`` is the one that talks to the caller, with ``offer`` if that is an agent; the caller is one of ours in a
    call of the own. Once the party is ``given_away`` to another call, it stays as it is.
    """

    def __init__(self, call: Call, party: Party, given_away: asyncio.Future[None], offer: Offer | None = None) -> None:
        self._call = call
        self._given_away = given_away
        self._offer = offer
        self._parties = (party, call.caller)
        self._work = Background(limit=1)
        if offer is not None:
            self._allow(party, call.caller)
        if call.agent:
            self._allow(call.caller, party)

    @property
    def under_way(self) -> bool:
        """Whether a phone is being answered now."""
        return len(self._work) > 0

    def close(self) -> None:
        """The talk is over: a phone that is not there yet is hung up on. Never waits; may be called twice."""
        self._work.cancel()
        for party in self._parties:
            party.leg.on_replaced = None

    def _allow(self, party: Party, other: Party) -> None:
        def pulled(leg: Leg) -> None:
            if not self._work.start(self._go_on_by(party, other, leg), name=f"another phone of {leg.user}"):
                leg.reject(491)

        party.leg.on_replaced = pulled

    async def _go_on_by(self, party: Party, other: Party, leg: Leg) -> None:
        call = self._call
        offer = self._offer if party is not call.caller else None

        def watch(sound: Sound) -> None:
            if offer is not None:
                watch_agent(call, offer, sound)
            else:
                watch_caller(call, sound)

        sound = await answer_beside(call, leg, other.sound, watch)
        if sound is None:
            return
        with contextlib.ExitStack() as undo:
            undo.callback(sound.release)
            undo.callback(leg.hangup)
            try:
                await other.sound.session.bridge(sound.session)
            except MediaError as error:
                log.info("a call was not taken over", agent=leg.user, why=str(error))
                return
            if self._given_away.done():
                return
            party.go_on_by(leg, sound, binding_of(leg, call.services.phones_of(leg.user)))
            undo.pop_all()
        tell_pull(call, leg, offer)


def tell_pull(call: Call, leg: Leg, offer: Offer | None) -> None:
    """An agent is at another phone now, in the talk of ``offer`` or in a call of the own."""
    side = Side.CALLER if offer is None else Side.AGENT
    offer_id = "" if offer is None else offer.id
    flow = leg.flow
    call.add(PhoneChanged(side, leg.user, offer_id, str(flow.transport), str(flow.remote), leg.sip_call_id))


def binding_of(leg: Leg, phones: Sequence[Binding]) -> Binding | None:
    """Where the phone that calls by ``leg`` is registered; None when it is not."""
    contact = leg.request.contact if leg.request is not None else None
    for phone in phones:
        if phone.flow.remote == leg.flow.remote or (contact is not None and phone.contact.matches(contact.uri)):
            return phone
    return None
