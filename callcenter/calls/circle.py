"""Circle: whoever talks with each other, and who listens in: who hears whom, brought about as it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from callcenter.media.plane import MediaError
from callcenter.model.states import SupervisionMode
from callcenter.runtime.scopes import Background

if TYPE_CHECKING:
    from callcenter.calls.call import Call
    from callcenter.calls.party import Party
    from callcenter.calls.sound import Sound
    from callcenter.media.plane import MediaSession

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Seat:
    """One who takes part in a talk, ``agent`` if it is one of ours. Who is ``apart``, because somebody asks somebody
    else, or ``waits`` by an order, hears none of the others, and is heard by none. ``colleague`` is the agent who was
    asked, whose own talk is another.
    """

    sound: Callable[[], Sound]
    holds: Callable[[], bool]
    agent: str = ""
    apart: bool = False
    waits: bool = False
    colleague: Callable[[], str] = str

    @property
    def aside(self) -> bool:
        """Whether the others go on without them."""
        return self.apart or self.waits

    @classmethod
    def of(cls, party: Party, agent: str = "") -> Seat:
        """The seat of a party, by whichever phone it goes on."""
        return cls(lambda: party.sound, lambda: party.phone_holds, agent)


@dataclass(eq=False, slots=True)
class Guest:
    """A supervisor in a circle: heard by nobody, by the ``agent`` alone, or by all; ``mute``: by nobody for now.
    ``on_end`` is told when the talk is over.
    """

    session: MediaSession
    agent: str
    mode: SupervisionMode
    on_end: Callable[[], None]
    mute: bool = False


class Circle:
    """The talk of two, or of three, in ``call``. Two are bridged when it begins; :meth:`changed` brings about whatever
    else follows from who is there, who is apart and who holds. Held open by :meth:`Circles.open`.

    Whoever holds sends music, if anything: of three the other two do not hear it, nor does a supervisor. She hears
    nothing at all while it is the agent who holds: whoever waits for the agent talks to somebody else, if to anybody.
    """

    def __init__(self, call: Call, *seats: Seat) -> None:
        self.call = call
        self.seats = list(seats)
        self.guests: list[Guest] = []
        self.on_change: Callable[[Circle], None] | None = None
        self.on_voices: Callable[[], None] | None = None
        """Told with every change too: who records the talk follows who is heard in it."""
        self._work = Background(limit=2)
        self._arranging = False
        self._heard: dict[MediaSession, tuple[MediaSession, ...]] = {}
        self._dirty = False
        self.anew()

    @property
    def together(self) -> list[Seat]:
        """Those who hear each other."""
        return [seat for seat in self.seats if not seat.aside]

    @property
    def is_conference(self) -> bool:
        """Whether more than two hear each other."""
        return len(self.together) > 2

    def lets_hear(self, session: MediaSession) -> bool:
        """Whether whoever has this session is to hear anybody now."""
        return bool(self.wanted().get(session))

    def mixes_for(self, session: MediaSession) -> bool:
        """Whether several are heard at once by whoever has this session."""
        return len(self._heard.get(session, ())) > 1

    def seat_of(self, agent: str) -> Seat | None:
        """Where an agent sits."""
        return next((seat for seat in self.seats if seat.agent == agent), None)

    def changed(self) -> None:
        """Somebody came, went, was put apart, or holds. Never waits."""
        self._dirty = True
        if not self._arranging:
            self._arranging = self._work.start(self._arrange(), name=f"who hears whom in {self.call.id}")
        if self.on_voices is not None:
            self.on_voices()
        if self.on_change is not None:
            self.on_change(self)

    def anew(self) -> None:
        """The first two have just been bridged, and hear nobody else."""
        one, other = (seat.sound().session for seat in self.seats[:2])
        self._heard |= {one: (other,), other: (one,)}

    def close(self) -> None:
        """The talk is over. Never waits; may be called twice."""
        self._work.cancel()
        guests, self.guests = self.guests, []
        for guest in guests:
            guest.on_end()

    def wanted(self) -> dict[MediaSession, tuple[MediaSession, ...]]:
        """Who is to hear whom."""
        together, three = self.together, self.is_conference
        wanted: dict[MediaSession, tuple[MediaSession, ...]] = {}
        for seat in self.seats:
            heard: list[MediaSession] = []
            if not seat.aside:
                others = (each for each in together if each is not seat and not (three and each.holds()))
                heard += (each.sound().session for each in others)
                heard += (guest.session for guest in self.guests if _speaks_to(guest, seat))
            wanted[seat.sound().session] = tuple(heard)
        voices = tuple(seat.sound().session for seat in together if not seat.holds())
        for guest in self.guests:
            whose = self.seat_of(guest.agent)
            aside = whose is None or whose.aside or whose.holds()
            speak = (each for each in self.guests if each is not guest and each.mode is SupervisionMode.BARGE)
            barging = (each.session for each in speak if not each.mute)
            wanted[guest.session] = () if aside else (*voices, *barging)
        return wanted

    async def _arrange(self) -> None:
        try:
            while self._dirty:
                self._dirty = False
                for session, heard in self.wanted().items():
                    await self._let_hear(session, heard)
        finally:
            self._arranging = False

    async def _let_hear(self, session: MediaSession, heard: tuple[MediaSession, ...]) -> None:
        if self._heard.get(session) == heard:
            return
        self._heard[session] = heard
        try:
            await session.hear(heard)
        except MediaError as error:
            # Somebody has just gone, whose end is told elsewhere.
            log.debug("not heard", call=self.call.id, session=session.id, why=str(error))

    def __repr__(self) -> str:
        return f"<Circle of {len(self.together)} in {self.call.id}, {len(self.guests)} listen>"


def _speaks_to(guest: Guest, seat: Seat) -> bool:
    whispers = guest.mode is SupervisionMode.WHISPER and seat.agent == guest.agent
    return not guest.mute and (whispers or guest.mode is SupervisionMode.BARGE)


class Circles:
    """The talks that there are; whoever follows an agent is told when another one counts, or the same has changed."""

    def __init__(self) -> None:
        self._circles: list[Circle] = []
        self._watchers: dict[str, list[Callable[[], None]]] = {}

    def __iter__(self) -> Iterator[Circle]:
        return iter(tuple(self._circles))

    @contextmanager
    def open(self, circle: Circle) -> Iterator[Circle]:
        """A talk, while the block lasts."""
        self._circles.append(circle)
        circle.on_change = self._tell
        self._tell(circle)
        try:
            yield circle
        finally:
            self._circles.remove(circle)
            circle.on_change = None
            circle.close()
            self._tell(circle)

    def of(self, agent: str) -> Circle | None:
        """Where an agent talks: of several the latest in which nobody is on hold by the agent."""
        found = [(circle, seat) for circle in self._circles if (seat := circle.seat_of(agent)) is not None]
        talks = [circle for circle, seat in found if not seat.holds()]
        return talks[-1] if talks else found[-1][0] if found else None

    def in_call(self, call: Call) -> Circle | None:
        """The talk in a call."""
        return next((circle for circle in self._circles if circle.call is call), None)

    @contextmanager
    def watch(self, agent: str, changed: Callable[[], None]) -> Iterator[None]:
        """Be told of changes around an agent while the block lasts. What is told may not wait."""
        watchers = self._watchers.setdefault(agent, [])
        watchers.append(changed)
        try:
            yield
        finally:
            watchers.remove(changed)
            if not watchers:
                self._watchers.pop(agent, None)

    @contextmanager
    def watch_those_in(self, circle: Circle, changed: Callable[[], None]) -> Iterator[None]:
        """Be told of changes around the agents who sit in a circle now, while the block lasts."""
        with ExitStack() as watched:
            for agent in {seat.agent for seat in circle.seats if seat.agent}:
                watched.enter_context(self.watch(agent, changed))
            yield

    def _tell(self, circle: Circle) -> None:
        for seat in circle.seats:
            for changed in tuple(self._watchers.get(seat.agent, ())):
                changed()
