"""Talks by chance: entries, questions, recordings, supervisors, holds, pulls and ends, in any order, at once or not."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from callcenter.calls.circle import Circle
from callcenter.calls.record_policy import NEVER
from callcenter.model.facts import (
    CallEnded,
    ConferenceJoined,
    ConferenceLeft,
    EntryBegan,
    EntryEnded,
    RecordingEnded,
    RecordingPaused,
    RecordingStarted,
    SupervisionEnded,
    SupervisionStarted,
)
from callcenter.simulation.media import SimMediaSession
from callcenter.simulation.phone import Phone, PhoneFailure
from callcenter.simulation.world import World, tell
from tests.scenarios.test_conference import order
from tests.scenarios.test_entry_in_a_talk import allow
from tests.scenarios.test_pulling import desk_phone
from tests.scenarios.test_recording import AT_WILL, EVERYBODY, records
from tests.scenarios.test_supervision import has_supervisor

CALLER = "+14155550100"
# What is done, by weight. What there is no command for is below.
ACTS = {
    "consult": 6,
    "consult_join": 4,
    "consult_swap": 4,
    "consult_drop": 2,
    "consult_transfer": 1,
    "entry_start": 5,
    "entry_cancel": 2,
    "presses": 3,
    "record_start": 3,
    "record_stop": 2,
    "record_pause": 2,
    "record_resume": 2,
    "supervises": 5,
    "supervises no more": 2,
    "amy holds": 2,
    "amy resumes": 2,
    "caller holds": 1,
    "caller resumes": 1,
    "pulls": 1,
    "database away": 0.5,
    "bob leaves": 1,
    "amy leaves": 0.3,
    "caller leaves": 0.3,
    "bob unplugged": 0.2,
    "worker dies": 0.1,
}
# Seconds after what was done before.
GAPS = (0.0, 0.0, 0.0, 0.001, 0.04, 0.3, 1.2)
STEPS = 25


class Floor:
    """A caller who talks to Amy, who has a desk phone too; Bob whom she asks; and Eve who supervises both."""

    def __init__(self, world: World, chance: Random) -> None:
        self.world = world
        self.chance = chance
        self.done: list[str] = []
        self._doing: set[asyncio.Task[None]] = set()
        self._offering: set[Phone] = set()

    async def open(self) -> None:
        world, rules = self.world, self.chance.choice((AT_WILL, AT_WILL, EVERYBODY))
        records(world, replace(rules, agents={"bob": NEVER}) if self.chance.random() < 0.3 else rules)
        self.eve = await has_supervisor(world)
        self.amy = await world.agent("amy", english=5)
        self.desk = await desk_phone(world, "amy")
        self.bob = await world.agent("bob", spanish=5)
        allow(world)
        self.caller = await world.phone(CALLER)
        await world.connect(self.caller, self.amy)

    def act(self, what: str) -> None:
        """Do it now, if it can be done; nobody waits for what comes of it."""
        self.done.append(f"{self.world.loop.time():.3f} {what}")
        match what.split():
            case ["consult"]:
                order(self.world, "consult", to="bob")
                self.world.loop.call_later(self.chance.choice((0.05, 0.4)), self._bob_answers)
            case ["entry_start"]:
                order(self.world, "entry_start", entry="take-card")
            case ["presses"]:
                self._do(self.caller, self.caller.press(self.chance.choice(("4111111111111111#", "123", "4*"))))
            case ["supervises"] if self.eve.is_free:
                self.eve.starts_dialling(self.chance.choice(("*71amy", "*72amy", "*73amy", "*73bob")))
            case ["supervises"]:
                self._do(self.eve, self.eve.press(self.chance.choice("456")))
            case ["supervises", *_]:
                self.eve.drops()
            case [who, "holds" | "resumes" as does]:
                phone = self._phone(who)
                # A phone waits for the answer to one before it makes the next.
                if phone not in self._offering:
                    self._do(phone, self._offers(phone, does))
            case ["pulls"]:
                if talks(self.amy) and self.desk.is_free:
                    self.desk.starts_pulling(self.amy)
            case ["database", "away"]:
                self.world.database.away = "the disk is full"
                self.world.loop.call_later(1.0, setattr, self.world.database, "away", "")
            case ["worker", "dies"]:
                self.world.plane.kill_worker()
            case [who, "leaves"]:
                self._phone(who).drops()
            case [who, "unplugged"]:
                self.world.unplug(self._phone(who))
            case _:
                order(self.world, what)

    async def ends(self) -> None:
        """All leave, in some order."""
        people = [self.caller, self.amy, self.desk, self.bob, self.eve]
        self.chance.shuffle(people)
        for phone in people:
            phone.drops()
            await self.world.sleep(self.chance.choice(GAPS))
        # Long enough for the sound of who is unplugged to be missed.
        await self.world.sleep(130)
        for phone in people:
            phone.drops()
        await asyncio.gather(*self._doing)
        await self.world.sleep(1)

    def _phone(self, who: str) -> Phone:
        return {"amy": self.amy, "bob": self.bob, "caller": self.caller}[who]

    def _do(self, phone: Phone, what: Coroutine[Any, Any, None]) -> None:
        if talks(phone):
            self._doing.add(self.world.loop.create_task(if_it_can_be(what)))
        else:
            what.close()

    async def _offers(self, phone: Phone, does: str) -> None:
        self._offering.add(phone)
        try:
            await (phone.hold() if does == "holds" else phone.resume())
        finally:
            self._offering.discard(phone)

    def _bob_answers(self) -> None:
        call = self.bob.call
        if call is not None and call.leg.incoming and not call.leg.answered and not call.over:
            self.bob.picks_up()


async def if_it_can_be(what: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(PhoneFailure):
        await what


def talks(phone: Phone) -> bool:
    return phone.call is not None and phone.call.leg.answered and not phone.call.over


def look(floor: Floor) -> None:
    """Each hears whom they should, who waits hears music, and nobody hears or records a secret."""
    world = floor.world
    for circle in world.house.services.circles:
        look_at_ears(world, circle)
        if not circle.call.agent and circle.call.entry is None:
            look_at_music(floor, circle)
    for call in world.house.supervisor.calls.values():
        secret = call.entry is not None and call.caller.sound.masking
        if secret:
            for phone in (floor.amy, floor.desk, floor.bob, floor.eve):
                assert not talks(phone) or CALLER not in phone.heard_now(), f"{phone} hears a secret"
        talk = call.recorded
        if talk is not None and talk.recording is not None:
            (made,) = (each for each in world.plane.recordings if each.id == talk.recording.id)
            apart = talk.who.circle.seats[0].apart
            assert made.paused is talk.paused
            assert made.paused or not secret, "a secret is recorded"
            assert set(made.right) == (set() if apart else set(talk.right_channel()))


def look_at_ears(world: World, circle: Circle) -> None:
    for session, wanted in circle.wanted().items():
        assert isinstance(session, SimMediaSession)
        if session in world.plane.sessions:
            heard = {source.id for source in session.sources}
            assert heard == {source.id for source in wanted}, f"{session} in {circle}"


def look_at_music(floor: Floor, circle: Circle) -> None:
    """By whichever phone: who waits hears music, and nobody else does."""
    customer, agent = circle.seats[:2]
    if agent.agent != "amy":
        return
    plain = not circle.is_conference
    if talks(floor.caller) and not customer.holds():
        assert ("music" in floor.caller.heard_now()) is (plain and (customer.apart or agent.holds()))
    own = [phone for phone in (floor.amy, floor.desk) if talks(phone)]
    if len(own) == 1 and not agent.holds():
        assert ("music" in own[0].heard_now()) is (plain and not customer.apart and customer.holds())


async def by_chance(world: World, chance: Random, floors: list[Floor]) -> None:
    floor = Floor(world, chance)
    floors.append(floor)
    await floor.open()
    for _ in range(STEPS):
        floor.act(chance.choices(list(ACTS), list(ACTS.values()))[0])
        await world.sleep(chance.choice(GAPS))
        if chance.random() < 0.3:
            await world.sleep(0.5)
            look(floor)
    await floor.ends()


def told(seed: int) -> Counter[type]:
    """Tell the story of a seed; whatever began in it has ended once. Returns how often each kind of fact was told."""
    floors: list[Floor] = []
    try:
        world = tell(functools.partial(by_chance, chance=Random(f"talks {seed}"), floors=floors), seed=seed)
        kinds = Counter(type(fact.body) for fact in world.facts)
        for began, ended in (
            (RecordingStarted, RecordingEnded),
            (SupervisionStarted, SupervisionEnded),
            (ConferenceJoined, ConferenceLeft),
            (EntryBegan, EntryEnded),
        ):
            assert kinds[began] == kinds[ended], f"{kinds[began]} {began.__name__}, {kinds[ended]} {ended.__name__}"
        assert kinds[CallEnded]
        assert not world.house.books.open_calls
    except BaseException as error:
        error.add_note(f"seed {seed}: {floors[0].done if floors else 'not begun'}")
        raise
    return kinds


def test_a_few_talks() -> None:
    """In which all of it happens."""
    kinds: Counter[type] = Counter()
    for seed in range(6):
        kinds += told(seed)
    for kind in (RecordingPaused, RecordingEnded, SupervisionEnded, ConferenceLeft, EntryEnded):
        assert kinds[kind], f"no {kind.__name__}"


@pytest.mark.long
@pytest.mark.parametrize("seeds", [range(start, start + 25) for start in range(100, 200, 25)])
def test_many_talks(seeds: range) -> None:
    for seed in seeds:
        told(seed)
