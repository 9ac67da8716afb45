"""Party: one person's end of a call: the leg that signals, the sound, and whether they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from callcenter.calls.described import is_at
from callcenter.calls.sound import Sound, Trouble
from callcenter.media.plane import BadDescription, MediaError, NotAcceptable, checked_keys
from callcenter.model.states import Side
from callcenter.runtime.scopes import Background
from callcenter.signaling.leg import Leg, LegEnded, Reinvite
from callcenter.sip.keys import key_of
from callcenter.sip.registrar import Binding

if TYPE_CHECKING:
    from callcenter.calls.record_notice import Notice

# Who holds need not send sound, so that its silence tells nothing: the phone is asked so often whether it is there.
ASK_EVERY = 15.0
# What a phone is told by whose place another one of the same person has come (RFC 3326 2).
ELSEWHERE = "Taken over by another phone"


class Party:
    """The caller, or an agent, in one call. ``phone`` is the one of an agent that was rung, as it is registered.

    ``on_hold`` is told when something about whether this party holds the other is different, and whether it did so
    before; ``on_moved`` when it goes on by another phone.
    A phone that holds is asked now and then whether it is there; when it is not, the leg ends. ``ended`` is done with
    the leg, and ``trouble`` when the sound is gone for good: of the phone by which this party talks, whichever that is.
    """

    def __init__(self, side: Side, leg: Leg, sound: Sound, phone: Binding | None = None) -> None:
        self.side = side
        self.leg = leg
        self.sound = sound
        self.phone = phone
        self.phone_holds = False
        """Whether the phone has put us on hold."""
        self.kept = False
        """Whether somebody else than who closes it has use for it, and closes it later."""
        self.lets_wait = False
        """Whether this party has ordered that the other side waits, see :meth:`let_wait`: the phone need not know."""
        self.away = False
        """Whether this party talks to somebody else in the house meanwhile, see :meth:`turn_away`."""
        self.on_hold: Callable[[Party, bool], None] | None = None
        self.on_moved: Callable[[Party], None] | None = None
        self.on_quiet: Callable[[Party], None] | None = None
        """Told when what was played to this party instead of the talk is over: who is on hold hears music again."""
        self.on_key: Callable[[str, bool, bool], None] | None = None
        """Told of every key that this party presses, as ``Sound.on_key``."""
        self.on_sound: Callable[[Party], None] | None = None
        """Told of who goes on by another phone, whose sound is another."""
        self.notice: Notice | None = None
        """How far they have heard that they are recorded; None: not at all."""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[LegEnded] = loop.create_future()
        self.trouble: asyncio.Future[Trouble] = loop.create_future()
        # One re-INVITE may be pending in a dialog (RFC 3261 14.2); a second one is a peer in a hurry.
        self._reoffers = Background(limit=2)
        self._asking: asyncio.TimerHandle | None = None
        self._take_hold()

    @property
    def holds(self) -> bool:
        """Whether the other side waits for this party."""
        return self.phone_holds or self.away or self.lets_wait

    def turn_away(self, on: bool) -> None:
        """Talk to somebody else while the other side waits, as one does who has a second line; or come back."""
        before, self.away = self.holds, on
        self._hold_changed(before)

    def let_wait(self, on: bool) -> None:
        """Let the other side wait by an order, with the phone's own hold or without; or do so no more."""
        before, self.lets_wait = self.holds, on
        self._hold_changed(before)

    def opened(self) -> None:
        """The sound is open: a phone may hold from the first moment on, in its INVITE."""
        self._tell_hold(self.sound.session.remote_holds)

    def go_on_by(self, leg: Leg, sound: Sound, phone: Binding | None) -> None:
        """Go on by another phone, which is answered, and hang up the one so far. Never waits."""
        before, sound_before = self.leg, self.sound
        self._reoffers.cancel()
        self._let_go()
        leg.on_refer, leg.on_replaced = before.on_refer, before.on_replaced
        before.on_refer = before.on_replaced = None
        self.leg, self.sound, self.phone = leg, sound, phone
        self._take_hold()
        if self.on_moved is not None:
            self.on_moved(self)
        if self.on_sound is not None:
            self.on_sound(self)
        self._tell_hold(sound.session.remote_holds)
        before.hangup(status=200, cause=ELSEWHERE)
        sound_before.release()

    def close(self) -> None:
        """Hang up and give the sound back, unless it is ``kept``. Never waits; may be called twice."""
        if self.kept:
            return
        self._reoffers.cancel()
        self._ask_no_more()
        self.leg.hangup()
        self.sound.release()
        # Whoever is called back holds on to us, and we to them: let go, so that all of it is gone at once.
        self._let_go()
        self.on_hold = self.on_moved = self.on_quiet = self.on_sound = self.on_key = None

    @property
    def keys_by_info(self) -> bool:
        """Whether this party is told keys by SIP INFO: as it tells its own, where the sound has no events for them."""
        info = self.leg.info_keys
        return info.asked and not info.refused and not self.sound.session.events

    def send_digits(self, keys: str) -> None:
        """Press keys towards this party, in the way that it understands. Never waits; Raises ValueError for no keys."""
        if self.keys_by_info:
            self.leg.info_keys.press(checked_keys(keys))
        else:
            self.sound.session.send_digits(keys)

    def _take_hold(self) -> None:
        leg, sound = self.leg, self.sound
        leg.on_reinvite, leg.on_info = self._reoffered, self._informed
        sound.on_key = self._pressed
        if self.on_key is not None:
            sound.listen_for_digits(True)
        leg.ended.add_done_callback(self._leg_ended)
        sound.trouble.add_done_callback(self._sound_gone)

    def _let_go(self) -> None:
        self.leg.on_reinvite = self.leg.on_info = self.sound.on_key = None
        self.sound.trouble.remove_done_callback(self._sound_gone)

    def _leg_ended(self, _: asyncio.Future[LegEnded]) -> None:
        # The end of a phone that they talk by no more means nothing.
        if (ending := self.leg.ending) is not None and not self.ended.done():
            self.ended.set_result(ending)

    def _sound_gone(self, trouble: asyncio.Future[Trouble]) -> None:
        if trouble is self.sound.trouble and not self.trouble.done():
            self.trouble.set_result(trouble.result())

    def __repr__(self) -> str:
        return f"<Party {self.side} {self.leg!r}{' holds' if self.holds else ''}>"

    def _informed(self, content_type: str, body: bytes) -> None:
        key = key_of(content_type, body)
        if key is not None:
            self.leg.info_keys.told(content_type)
            self.sound.press(key)

    def _pressed(self, key: str, by_info: bool, again: bool) -> None:
        if self.on_key is not None:
            self.on_key(key, by_info, again)

    def _reoffered(self, reinvite: Reinvite) -> None:
        if not self._reoffers.start(self._answer(reinvite), name=f"re-INVITE of {self.leg.id}"):
            reinvite.reject(491)

    async def _answer(self, reinvite: Reinvite) -> None:
        session = self.sound.session
        try:
            if reinvite.offer is None:
                # The answer comes in the ACK (RFC 3264 5, delayed offer).
                reinvite.accept(await session.offer_again())
                answer = await reinvite.acknowledged
                if answer is not None and self._may_move(answer):
                    await session.set_answer(answer)
            elif not self._may_move(reinvite.offer):
                reinvite.reject(488)
                return
            else:
                reinvite.accept(await session.reoffer(reinvite.offer))
        except NotAcceptable:
            reinvite.reject(488)
        except BadDescription:
            reinvite.reject(400)
        except MediaError:
            reinvite.reject(500)
        else:
            self._tell_hold(session.remote_holds)

    def _may_move(self, description: bytes) -> bool:
        """Whether the sound may go where this wants it: a stranger has it where they are, or where theirs comes from.

        Else whoever is in a call could turn it on anybody, for as long as they like.
        """
        if not self.leg.stranger or self.leg.user:
            return True
        hosts = self.leg.flow.remote.host, self.sound.source.rpartition(":")[0].strip("[]")
        return any(is_at(description, host) for host in hosts if host)

    def _tell_hold(self, holds: bool) -> None:
        if holds != self.phone_holds:
            before, self.phone_holds = self.holds, holds
            self._ask_no_more()
            if holds:
                self._ask_later()
            self._hold_changed(before)

    def _hold_changed(self, before: bool) -> None:
        if self.on_hold is not None:
            self.on_hold(self, before)

    def _ask_later(self) -> None:
        # An agent's is asked where it is registered, which also finds one that has come back by another connection.
        if self.side is not Side.AGENT or self.phone is None:
            self._asking = asyncio.get_running_loop().call_later(ASK_EVERY, self._ask)

    def _ask(self) -> None:
        self.leg.ask()
        self._ask_later()

    def _ask_no_more(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
