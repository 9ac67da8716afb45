"""The waiting room: what a caller hears and may press while waiting for an agent. No task: timers and events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager

from callcenter.acd.estimate import MINUTE, Range
from callcenter.calls.call import Call
from callcenter.calls.record_notice import notice_of
from callcenter.calls.settings import Announce
from callcenter.media.plane import Clip
from callcenter.model.facts import PositionAnnounced, WaitAnnounced

SILENCE = Announce()


class WaitingRoom:
    """Music, and from time to time an announcement, after which the music goes on where it was.

    What is said is kind: a position is never worse than the one told before, nor a wait longer, the first in line is
    told so once, and nothing is begun while an agent's phone rings. ``on_key`` is told a key of ``keys``, once; others
    are ignored.
    """

    def __init__(
        self,
        call: Call,
        visit: str,
        music: Sequence[Clip],
        announce: Announce | None,
        keys: Container[str],
        on_key: Callable[[str], None],
    ) -> None:
        self._call = call
        self._visit = visit
        self._music = music
        self._announce = announce or SILENCE
        self._keys = keys
        self._on_key = on_key
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.time() + self._announce.first
        self._ringing = False
        self._timer: asyncio.TimerHandle | None = None
        # Where the music is: when it would have begun, had it never been interrupted; None while it does not play.
        self._music_began: float | None = None
        self._music_at = 0.0
        self._speech: int | None = None
        self._position_was_last = False
        self._comforts = 0

    def enter(self, notice: Sequence[Clip] = (), welcome: Sequence[Clip] = ()) -> None:
        """The music plays, and keys count from now on. After :meth:`leave` again, for a caller who was given back.

        The ``notice`` that the caller is recorded comes before the music; else the ``welcome`` does.
        """
        sound = self._call.caller.sound
        sound.forget_keys()
        sound.listen_for_digits(bool(self._keys))
        sound.on_change = self._look
        if notice:
            self._speech = notice_of(self._call.caller).begin(sound, notice)
        elif welcome:
            self._speech = sound.start(welcome)
        else:
            self._play_music()
        self._arm()

    def leave(self) -> None:
        """Silence, at once; keys pressed to the music are meant for nobody. May be called twice."""
        sound = self._call.caller.sound
        sound.on_change = None
        sound.listen_for_digits(False)
        sound.forget_keys()
        self._pause_music()
        self._speech = None
        if (notice := self._call.caller.notice) is not None:
            notice.leave()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sound.stop()

    @contextmanager
    def offered(self) -> Iterator[None]:
        """While the block lasts an agent's phone rings: what is being said is said to its end, nothing new begins."""
        self._ringing = True
        try:
            yield
        finally:
            self._ringing = False

    def _arm(self) -> None:
        """The next announcement: ``first`` after coming in, then ``every`` so long, whether or not one was made."""
        if self._announce.silent:
            return
        while self._next <= self._loop.time():
            self._next += self._announce.every
        self._timer = self._loop.call_at(self._next, self._due)

    def _due(self) -> None:
        call = self._call
        self._next += self._announce.every
        # Who holds does not hear it: it would count as told.
        if not self._ringing and self._speech is None and not call.caller.holds:
            clips = self._next_words()
            if clips:
                self._pause_music()
                self._speech = call.caller.sound.start(clips)
        self._arm()

    def _next_words(self) -> tuple[Clip, ...]:
        """What is said now: news of place or wait; else in turn the same once more and a comfort; else nothing."""
        call, announce = self._call, self._announce
        line = call.line
        assert line is not None, "who waits has a place in line"
        told, position = line.told, call.services.dispatcher.acd.position(self._visit)
        wait = self._wait()
        better = position is not None and (told is None or position < told)
        place, time = self._words_for(position, told), self._words_for_wait(wait)
        news = (better and bool(place)) or (wait is not None and wait != line.told_wait)
        if (place or time) and (news or not self._position_was_last or not announce.prompts):
            self._position_was_last = True
            if place and position is not None and position <= announce.most:
                line.told = position
                call.add(PositionAnnounced(self._visit, position))
            if wait is not None:
                line.told_wait = wait
                call.add(WaitAnnounced(self._visit, wait.low * MINUTE, wait.high * MINUTE))
            return place + time
        self._position_was_last = False
        if not announce.prompts:
            return ()
        comfort = announce.prompts[self._comforts % len(announce.prompts)]
        self._comforts += 1
        return call.prompt(comfort)

    def _wait(self) -> Range | None:
        """How long it may still take; None when it is better left unsaid, also because it would be longer than told."""
        call = self._call
        if self._announce.wait is None or call.line is None:
            return None
        services = call.services
        outlook = services.dispatcher.acd.outlook(self._visit)
        if outlook is None:
            return None
        found = services.pace.range(outlook, round(services.clock.monotonic() * 1000))
        return found if found is not None and found.no_longer_than(call.line.told_wait) else None

    def _words_for_wait(self, wait: Range | None) -> tuple[Clip, ...]:
        """How long it may still take, in words."""
        call, prompts = self._call, self._announce.wait
        if wait is None or prompts is None:
            return ()
        name = prompts.between if wait.low else prompts.under
        return call.settings.prompts.wait(name, call.captured.language, wait.low, wait.high)

    def _words_for(self, position: int | None, told: int | None) -> tuple[Clip, ...]:
        """The place in line in words; nothing when it is better left unsaid."""
        call, announce = self._call, self._announce
        if position is None or announce.position is None:
            return ()
        if position > announce.most:
            # Once a number was told, "more than so many" would be a step back.
            return call.prompt(announce.beyond) if announce.beyond is not None and told is None else ()
        if told is not None and (position > told or position == told == 1):
            return ()
        return call.settings.prompts.position(announce.position, call.captured.language, position)

    def _look(self) -> None:
        """Something happened to the sound: a key, or the end of what was said."""
        sound = self._call.caller.sound
        while (key := sound.take_key()) is not None:
            if key in self._keys:
                self._keys = ()
                self._on_key(key)
                return
        if self._speech is not None and not sound.is_playing(self._speech):
            self._speech = None
            if (notice := self._call.caller.notice) is not None:
                notice.leave()
            self._play_music()

    def _play_music(self) -> None:
        self._music_began = self._loop.time() - self._music_at
        self._call.caller.sound.start(self._music, loop=True, at=self._music_at)

    def _pause_music(self) -> None:
        if self._music_began is not None:
            self._music_at = self._loop.time() - self._music_began
            self._music_began = None
