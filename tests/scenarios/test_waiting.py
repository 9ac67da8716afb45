"""Waiting for an agent: what a caller is told and may do, whose turn it is, and what the floor sees of its queues."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.acd.events import Reconfigured
from callcenter.calls.settings import Announce, Flow, Hangup, QueueTreatment, Say, Step, ToQueue
from callcenter.media.plane import Clip
from callcenter.model.facts import CallQueued, PositionAnnounced
from callcenter.model.states import EndCause, OfferResult, Outcome, Side, VisitOutcome, Work
from callcenter.simulation import floor
from callcenter.simulation.fate import Fate
from callcenter.simulation.phone import Phone
from callcenter.simulation.workload import day
from callcenter.simulation.world import World, story, tell

SALES, HELP = "sales-english", "help"
TOLD = Announce("position", first=15.0, every=30.0, most=5, beyond="beyond", prompts=("patience", "busy"))
MUSIC = (Clip("music-a", 20.0), Clip("music-b", 20.0))
SECONDS = {"patience": 2.0, "busy": 3.0, "beyond": 2.0, "wish": 1.0} | {f"position/{n}": 4.0 for n in range(1, 6)}
QUEUE = f"callcenter/v1/queues/{SALES}/state"


def furnish(
    world: World, *steps: Step, announce: Announce | None = TOLD, max_wait: float = 600.0, language: str = ""
) -> None:
    """A floor with a second queue, where callers come to these steps at once; as a reload would have it."""
    services = world.house.services
    queues = {name: replace(queue, max_wait=max_wait) for name, queue in world.plan.queues.items()}
    queues[HELP] = replace(floor.queue(HELP, support=2), max_wait=600.0)
    world.plan = replace(world.plan, queues=queues)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    settings = services.settings
    texts = {(name, tag): (Clip(f"{name}.{tag}", length),) for name, length in SECONDS.items() for tag in ("en", "es")}
    tech = settings.clients["tech"]
    services.settings = replace(
        settings,
        clients={"tech": replace(tech, languages=(language, "en")) if language else tech},
        flows={**settings.flows, "main": Flow("main", steps or (ToQueue(SALES),))},
        treatments={name: QueueTreatment(name, "default", announce) for name in queues},
        prompts=replace(settings.prompts, texts={**settings.prompts.texts, **texts}, pieces={"default": MUSIC}),
    )


async def caller(world: World, number: int) -> Phone:
    """A caller who has dialled and waits."""
    phone = await world.phone(f"+1415555{number:04d}")
    await phone.dial("1000")
    await phone.hears("music")
    return phone


async def listen(world: World, phone: Phone, seconds: float) -> list[str]:
    """What a phone hears one after the other, music apart."""
    heard: list[str] = []
    before = ""
    for _ in range(round(seconds / 0.1)):
        now = " ".join(phone.heard_now())
        if now != before and "music" not in now:
            heard.append(now)
        before = now
        await world.sleep(0.1)
    return heard


def positions(world: World, phone: Phone) -> list[int]:
    """The places that the facts say a caller was told."""
    assert phone.call is not None
    call = world.call_id(phone.call)
    return [fact.body.position for fact in world.facts
            if fact.call_id == call and isinstance(fact.body, PositionAnnounced)]  # fmt: skip


# What is told


@story()
async def test_the_place_in_line_is_told_and_falls(world: World) -> None:
    """Three wait; one after the other gives up; the last hears: three, two, one."""
    furnish(world)
    first, second, third = [await caller(world, number) for number in range(3)]
    await third.hears("position/3.en", after=15)
    await first.hangs_up()
    await third.hears("position/2.en", after=30)
    await second.hangs_up()
    await third.hears("position/1.en", after=30)
    await third.hangs_up()
    assert positions(world, third) == [3, 2, 1]
    assert third.call is not None
    [visit] = (await world.interaction(third.call)).visits
    assert visit.positions == (3, 2, 1)


@story()
async def test_a_place_is_never_told_worse_than_before(world: World) -> None:
    """Told to be second; then three with priority come in before: they hear of patience, not of a fifth place."""
    furnish(world)
    _, second = [await caller(world, number) for number in range(2)]
    await second.hears("position/2", after=15)
    furnish(world, ToQueue(SALES, priority=50))
    vips = [await caller(world, number) for number in range(2, 5)]
    await second.hears("music")
    heard = await listen(world, second, 130)
    assert heard
    assert not [each for each in heard if "position" in each]
    for vip in vips:
        await vip.hangs_up()
    await second.hears("position/2", after=0, within=61)
    assert positions(world, second) == [2, 2]
    for phone in world.phones:
        await phone.hangs_up()


@story()
async def test_what_is_said_in_which_order(world: World) -> None:
    """The place, then comfort in turn with it; who is first is told so once and hears only comfort then."""
    furnish(world)
    first, second = [await caller(world, number) for number in range(2)]
    assert await listen(world, second, 170) == [
        "position/2.en",
        "patience.en",
        "position/2.en",
        "busy.en",
        "position/2.en",
        "patience.en",
    ]
    await second.hangs_up()
    assert positions(world, first) == [1]
    assert await listen(world, first, 120) == ["busy.en", "patience.en", "busy.en", "patience.en"]
    await first.hangs_up()


@story()
async def test_announcements_come_when_they_are_due(world: World) -> None:
    """After 15 s, and every 30 s from then on, however long each of them is."""
    furnish(world)
    phone = await caller(world, 1)
    began = world.clock.monotonic()
    for due, what in ((15, "position/1"), (45, "patience"), (75, "busy"), (105, "patience")):
        await world.sleep(began + due - 0.5 - world.clock.monotonic())
        assert "music" in phone.heard_now()[0]
        await phone.hears(what, within=1)
    await phone.hangs_up()


@story()
async def test_without_comfort_the_same_place_is_told_again_but_not_the_first(world: World) -> None:
    furnish(world, announce=Announce("position"))
    first, second = [await caller(world, number) for number in range(2)]
    await world.sleep(100)
    assert (positions(world, first), positions(world, second)) == ([1], [2, 2, 2])
    for phone in (first, second):
        await phone.hangs_up()


@story()
async def test_who_stands_too_far_back_is_told_so_without_a_number(world: World) -> None:
    furnish(world)
    *before, last = [await caller(world, number) for number in range(7)]
    await last.hears("beyond.en", after=15)
    for phone in before[:3]:
        await phone.hangs_up()
    await last.hears("position/4.en", after=30)
    assert positions(world, last) == [4]
    for phone in world.phones:
        await phone.hangs_up()


@story()
async def test_who_was_told_a_number_never_hears_that_they_stand_too_far_back(world: World) -> None:
    """Told to be second; then others come in before, and the place is beyond what is counted."""
    furnish(world, announce=Announce("position", most=2, beyond="beyond"))
    _, second = [await caller(world, number) for number in range(2)]
    await second.hears("position/2", after=15)
    await second.hears("music")
    furnish(world, ToQueue(SALES, priority=50))
    await caller(world, 3)
    assert await listen(world, second, 100) == []
    for phone in world.phones:
        await phone.hangs_up()


@story()
async def test_announcements_are_in_the_language_of_the_caller(world: World) -> None:
    furnish(world, language="es")
    phone = await caller(world, 1)
    assert await listen(world, phone, 50) == ["position/1.es", "patience.es"]
    await phone.hangs_up()


@story()
async def test_a_queue_without_announcements_only_plays_music(world: World) -> None:
    furnish(world, announce=None)
    phone = await caller(world, 1)
    assert await listen(world, phone, 200) == []
    await phone.hangs_up()


@story()
async def test_the_music_goes_on_where_it_was(world: World) -> None:
    """The first piece is 20 s long; cut into for 4 s after 15, it goes on for the 5 s that were left."""
    furnish(world)
    phone = await caller(world, 1)
    await phone.hears("position/1", after=15)
    await phone.hears("music-a", after=4, within=0.2)
    await world.sleep(4.5)
    assert phone.heard_now() == ("music-a",)
    await phone.hears("music-b", within=1)
    await phone.hangs_up()


@story()
async def test_the_announcement_stops_when_the_agent_picks_up(world: World) -> None:
    """It is not begun anew for the phone's sake, goes on while it rings, and is cut at once by the voice."""
    furnish(world)
    phone = await caller(world, 1)
    await phone.hears("position/1", after=15)
    amy = await world.agent("amy", english=5)
    await amy.rings(within=1)
    assert phone.heard_now() == ("position/1.en",)
    await amy.answers()
    await phone.hears(amy, within=0.2)
    assert world.hear_each_other(phone, amy)
    assert await listen(world, phone, 60) == ["amy"]
    await phone.hangs_up()


@story()
async def test_no_announcement_begins_while_an_agent_s_phone_rings(world: World) -> None:
    """It rings from before the announcement was due until after; the next one comes in its own time."""
    furnish(world)
    phone = await caller(world, 1)
    await world.sleep(5)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    assert await listen(world, phone, 30) == []
    assert amy.is_free
    await phone.hears("position/1", after=8, within=4)
    await phone.hangs_up()


@story()
async def test_who_holds_is_told_nothing_that_they_could_not_hear(world: World) -> None:
    furnish(world)
    phone = await caller(world, 1)
    await phone.hold()
    await world.sleep(25)
    assert positions(world, phone) == []
    await phone.resume()
    await phone.hears("position/1", within=30)
    await phone.hangs_up()


@story()
async def test_a_caller_whose_agent_is_lost_keeps_what_was_told(world: World) -> None:
    """First in line, connected, given back by a dead phone: still first, and not told so a second time."""
    furnish(world)
    phone = await caller(world, 1)
    await phone.hears("position/1", after=15)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await phone.hears(amy)
    world.unplug(amy)
    await phone.hears("music", within=90)
    assert await listen(world, phone, 100) == ["patience.en", "busy.en", "patience.en"]
    assert positions(world, phone) == [1]
    await phone.hangs_up()


@story()
async def test_a_reload_changes_what_those_hear_who_call_after_it(world: World) -> None:
    furnish(world)
    before = await caller(world, 1)
    furnish(world, announce=Announce(prompts=("busy",), first=5.0))
    after = await caller(world, 2)
    await after.hears("busy", after=5, within=1)
    await before.hears("position/1", within=16)
    for phone in (before, after):
        await phone.hangs_up()


@pytest.mark.parametrize("moment", [0.01 + step * 0.7 for step in range(32)])
def test_a_caller_may_hang_up_at_any_moment_of_it(moment: float) -> None:
    """Before, within and between announcements, with a phone that rings or talks: nothing is left over."""

    async def hangs_up(world: World) -> None:
        furnish(world, ToQueue(SALES, keys={"1": (Hangup("wish"),)}), announce=replace(TOLD, first=2.0, every=5.0))
        phone = await world.phone("+14155550001")
        phone.starts_dialling("1000")
        amy = await world.hire("amy", {"english": 5})
        if moment > 12:
            await world.sleep(12)
            await amy.register("amy", "secret of amy")
            await world.sleep(max(0.0, moment - 17))
            if amy.call is not None and not amy.is_free and moment > 19:
                amy.picks_up()
        await world.sleep(moment if moment <= 12 else 0.3)
        phone.drops()

    tell(hangs_up)


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_day_on_which_everybody_is_told_their_place(seed: int) -> None:
    """Much talk, keys that lead elsewhere and back, bad weather: no place is ever told worse, and nothing is left."""

    async def told(world: World) -> None:
        detour = ToQueue("sales-spanish", keep_place=True, on_timeout=(Hangup("nobody"),))
        keys: dict[str, tuple[Step, ...]] = {"1": (Say("wish"), detour), "2": (Hangup("wish"),)}
        furnish(
            world,
            ToQueue(SALES, keys=keys, on_timeout=(detour,)),
            announce=replace(TOLD, first=1.0, every=5.0),
            max_wait=40.0,
        )
        await day(world, fate)

    fate = Fate.of(seed)
    fate = replace(fate, restarts=(), agents=fate.agents[:1], max_calls=400, max_sessions=None)
    world = tell(told, seed=seed, weather=fate.weather)
    # A caller whom an agent hands over to a number begins a new line there.
    lines: dict[str, tuple[str | None, int]] = {}
    told_in: dict[tuple[str | None, int], list[int]] = {}
    for fact in world.facts:
        if isinstance(fact.body, CallQueued):
            lines[fact.body.visit] = fact.call_id, fact.body.first_joined_ms
        elif isinstance(fact.body, PositionAnnounced):
            told_in.setdefault(lines[fact.body.visit], []).append(fact.body.position)
    assert told_in, "nobody was told anything: the day proves nothing"
    for places in told_in.values():
        assert places == sorted(places, reverse=True)
        assert places.count(1) <= 1


# Keys


@story()
async def test_a_key_leads_out_of_the_queue_to_its_steps(world: World) -> None:
    """Pressed to the music: the wish is heard, the call ends as the steps say, and the record tells why."""
    furnish(world, ToQueue(SALES, keys={"1": (Hangup("wish"),)}))
    phone = await caller(world, 1)
    await world.sleep(5)
    await phone.press("1")
    await phone.hears("wish.en")
    await phone.is_hung_up()
    assert phone.call is not None
    saved = await world.interaction(phone.call)
    [visit] = saved.visits
    assert (visit.outcome, visit.reason) == (VisitOutcome.FLOWED_OUT, "key")
    assert visit.wait_ms == pytest.approx(5000, abs=300)
    assert (saved.digits, saved.outcome) == (("1",), Outcome.UNSERVED)


@story()
async def test_a_key_that_means_nothing_is_ignored(world: World) -> None:
    furnish(world, ToQueue(SALES, keys={"1": (Hangup("wish"),)}))
    phone = await caller(world, 1)
    await phone.press("23#")
    assert await listen(world, phone, 10) == []
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await phone.hears(amy)
    await phone.hangs_up()
    assert phone.call is not None
    assert (await world.interaction(phone.call)).digits == ()


@story()
async def test_of_two_keys_pressed_at_once_the_first_one_counts(world: World) -> None:
    furnish(world, ToQueue(SALES, keys={"1": (Hangup("wish"),), "2": (Hangup("busy"),)}))
    phone = await caller(world, 1)
    assert phone.call is not None
    for key in "12":
        phone.call.sound.press(key)
    await phone.hears("wish")
    await phone.is_hung_up()
    assert (await world.interaction(phone.call)).digits == ("1",)


@story()
async def test_a_key_pressed_in_an_announcement_counts(world: World) -> None:
    furnish(world, ToQueue(SALES, keys={"*": (Hangup("wish"),)}))
    phone = await caller(world, 1)
    await phone.hears("position/1", after=15)
    await phone.press("*")
    await phone.hears("wish.en", within=0.3)
    await phone.is_hung_up()


@story()
async def test_a_key_pressed_before_the_queue_is_not_for_it(world: World) -> None:
    """Whoever presses into the greeting does not know yet what the key means here."""
    furnish(world, Say("greeting"), ToQueue(SALES, keys={"1": (Hangup("wish"),)}))
    phone = await world.phone("+14155550001")
    await phone.dial("1000")
    await phone.hears("greeting")
    await phone.press("1")
    await phone.hears("music")
    assert await listen(world, phone, 10) == []
    await phone.hangs_up()


@story()
async def test_a_key_stops_the_phone_that_rings(world: World) -> None:
    """The caller has it otherwise: the agent's phone falls silent, and it is not the agent's fault."""
    furnish(world, ToQueue(SALES, keys={"1": (Say("wish"), ToQueue(HELP))}))
    phone = await caller(world, 1)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await phone.press("1")
    await amy.stops_ringing()
    await phone.hears("wish")
    assert world.house.acd.available("amy")
    bob = await world.agent("bob", support=4)
    await bob.rings()
    await bob.answers()
    await phone.hears(bob)
    await phone.hangs_up()
    assert phone.call is not None
    saved = await world.interaction(phone.call)
    assert [(visit.queue, visit.outcome) for visit in saved.visits] == [
        (SALES, VisitOutcome.FLOWED_OUT),
        (HELP, VisitOutcome.ANSWERED),
    ]
    assert saved.offers == (("amy", OfferResult.CALLER_GONE), ("bob", OfferResult.ACCEPTED))


@pytest.mark.parametrize("after", [step * 0.0025 for step in range(48)])
def test_a_key_and_a_pick_up_at_the_same_moment_are_one_or_the_other(after: float) -> None:
    """Whatever comes first: the caller talks, or hears the wish; never neither, and the agent is free in the end."""

    async def both(world: World) -> None:
        furnish(world, ToQueue(SALES, keys={"1": (Hangup("wish"),)}))
        phone = await caller(world, 1)
        amy = await world.agent("amy", english=5)
        await amy.rings()
        amy.picks_up()
        await world.sleep(after)
        await phone.press("1")
        await world.sleep(3)
        assert phone.call is not None
        if phone.is_free:
            assert amy.is_free
            await world.settled()
            assert (await world.interaction(phone.call)).visits[-1].reason == "key"
        else:
            assert world.hear_each_other(phone, amy)
            await phone.hangs_up()
        await world.sleep(40)
        assert world.house.acd.available("amy")

    tell(both)


# Who is not there any more


@story()
async def test_a_caller_whose_phone_dies_while_waiting_is_missed_by_the_silence(world: World) -> None:
    """A phone that sends sound and ceases to is missed after a minute, long before the longest wait."""
    furnish(world)
    phone = await caller(world, 1)
    world.unplug(phone)
    await world.sleep(62)
    assert not world.house.acd.waiting(SALES)
    assert phone.call is not None
    saved = await world.interaction(phone.call)
    assert saved.ending is not None
    assert (saved.ending.by, saved.ending.cause) == (Side.SYSTEM, EndCause.MEDIA_TIMEOUT)


@story()
async def test_a_caller_who_holds_while_waiting_and_dies_is_missed_too(world: World) -> None:
    """Who holds need not send sound: the phone is asked every 15 s, and is gone when it owes an answer for 32 s."""
    furnish(world)
    phone = await caller(world, 1)
    await phone.hold()
    await world.sleep(120)
    assert len(world.house.acd.waiting(SALES)) == 1
    world.unplug(phone)
    await world.sleep(49)
    assert not world.house.acd.waiting(SALES)
    assert phone.call is not None
    saved = await world.interaction(phone.call)
    assert saved.ending is not None
    assert (saved.ending.by, saved.ending.cause) == (Side.SYSTEM, EndCause.NETWORK)
    assert saved.visits[-1].outcome is VisitOutcome.LOST


@story()
async def test_a_caller_who_holds_in_a_talk_and_dies_is_missed_too(world: World) -> None:
    furnish(world)
    phone = await caller(world, 1)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await phone.hears(amy)
    await phone.hold()
    world.unplug(phone)
    await amy.is_hung_up(within=50)
    await world.sleep(40)
    assert world.house.acd.available("amy")


# Another queue


@story()
async def test_a_transfer_keeps_the_place_before_those_who_joined_in_between(world: World) -> None:
    """A minute in one queue, then in another: before who came there half a minute ago, for it is the same line."""
    furnish(world, ToQueue(SALES, on_timeout=(ToQueue(HELP, keep_place=True),)), max_wait=60.0)
    early = await caller(world, 1)
    await world.sleep(30)
    furnish(world, ToQueue(HELP), max_wait=60.0)
    late = await caller(world, 2)
    await world.sleep(35)
    assert [ticket.call_id for ticket in world.house.acd.waiting(HELP)] == [
        world.call_id(phone.call) for phone in (early, late) if phone.call is not None
    ]
    bob = await world.agent("bob", support=4)
    await bob.rings()
    await bob.answers()
    await early.hears(bob)
    await early.hangs_up()
    await late.hangs_up()
    assert early.call is not None
    saved = await world.interaction(early.call)
    assert [(visit.queue, visit.outcome, visit.reason) for visit in saved.visits] == [
        (SALES, VisitOutcome.FLOWED_OUT, "timeout"),
        (HELP, VisitOutcome.ANSWERED, ""),
    ]
    assert [visit.wait_ms for visit in saved.visits] == pytest.approx([60_000, 5_500], abs=600)


@story()
async def test_another_queue_without_a_transfer_is_another_line(world: World) -> None:
    furnish(world, ToQueue(SALES, on_timeout=(ToQueue(HELP),)), max_wait=60.0)
    early = await caller(world, 1)
    await world.sleep(30)
    furnish(world, ToQueue(HELP), max_wait=60.0)
    late = await caller(world, 2)
    await world.sleep(35)
    bob = await world.agent("bob", support=4)
    await bob.rings()
    await bob.answers()
    await late.hears(bob)
    await late.hangs_up()
    await early.hangs_up()


@story()
async def test_a_detour_by_a_key_keeps_the_place_in_the_same_queue(world: World) -> None:
    """Who asks for the opening hours while waiting comes back to where they stood."""
    furnish(world, ToQueue(SALES, keys={"1": (Say("wish"), ToQueue(SALES, keep_place=True))}))
    first, second = [await caller(world, number) for number in range(2)]
    await world.sleep(10)
    await first.press("1")
    await first.hears("wish")
    await first.hears("music")
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await first.hears(amy)
    await first.hangs_up()
    await second.hangs_up()


@story()
async def test_what_was_told_is_kept_with_the_place(world: World) -> None:
    """First in one queue, third in the other: that would be bad news, and is not told; a better place is."""
    furnish(world, ToQueue(HELP))
    before = [await caller(world, number) for number in range(2)]
    furnish(world, ToQueue(SALES, on_timeout=(ToQueue(HELP, priority=-1, keep_place=True),)), max_wait=60.0)
    phone = await caller(world, 3)
    await phone.hears("position/1", after=15)
    await world.sleep(50)
    assert world.house.acd.waiting(HELP)[2].call_id == world.call_id(phone.call) if phone.call else False
    heard = await listen(world, phone, 100)
    assert heard
    assert not [each for each in heard if "position" in each]
    for each in (*before, phone):
        await each.hangs_up()


@story()
async def test_a_full_queue_overflows_into_another(world: World) -> None:
    """Refused by the first, taken by the second; the record tells both."""
    furnish(world, ToQueue(SALES, on_timeout=(ToQueue(HELP, keep_place=True),)))
    world.plan = replace(
        world.plan, queues={**world.plan.queues, SALES: replace(world.plan.queues[SALES], max_waiting=1)}
    )
    world.house.dispatcher.tell(Reconfigured(world.plan))
    first, second = [await caller(world, number) for number in range(2)]
    bob = await world.agent("bob", support=4)
    await bob.rings()
    await bob.answers()
    await second.hears(bob)
    for phone in (first, second):
        await phone.hangs_up()
    assert second.call is not None
    saved = await world.interaction(second.call)
    assert [(visit.queue, visit.outcome, visit.reason) for visit in saved.visits] == [
        (SALES, VisitOutcome.REFUSED, "full"),
        (HELP, VisitOutcome.ANSWERED, ""),
    ]


# What the floor sees


@story()
async def test_the_floor_sees_its_queues(world: World) -> None:
    """Retained from the start, and right within a second of everything that happens."""
    seen = world.publisher.retained

    def state() -> tuple[int, int, int, int, float | None]:
        now = seen[QUEUE]
        return now["waiting"], now["ready"], now["signed_in"], now["talking"], now["service_level_20s"]

    await world.settled()
    assert seen[QUEUE]["schema"] == "queue.v1"
    assert (seen[QUEUE]["queue"], seen[QUEUE]["client"], seen[QUEUE]["longest_since"]) == (SALES, "tech", None)
    assert state() == (0, 0, 0, 0, None)
    furnish(world)
    await world.sleep(2)
    phone = await caller(world, 1)
    joined = world.clock.now()
    await world.sleep(1)
    assert state() == (1, 0, 0, 0, None)
    since = seen[QUEUE]["longest_since"]
    assert since[:19] == joined.isoformat()[:19]
    other = await caller(world, 2)
    await world.sleep(1)
    assert (state()[0], seen[QUEUE]["longest_since"]) == (2, since)
    await other.hangs_up()
    amy = await world.agent("amy", english=5)
    bea = await world.agent("bea", english=3)
    await amy.rings()
    await world.sleep(1)
    assert state() == (1, 1, 2, 0, None)
    await amy.answers()
    await world.sleep(1)
    assert state() == (0, 1, 2, 1, 1.0)
    await amy.hold()
    await world.sleep(1)
    assert state() == (0, 1, 2, 1, 1.0)
    await amy.resume()
    await phone.hangs_up()
    await world.sleep(1.1)
    assert state() == (0, 1, 2, 0, 1.0)
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.work is Work.WRAP_UP
    await world.sleep(30)
    assert state() == (0, 2, 2, 0, 1.0)
    await bea.unregister()
    await world.sleep(1)
    assert state() == (0, 1, 2, 0, 1.0)


@story()
async def test_a_busy_second_is_told_once_or_twice(world: World) -> None:
    furnish(world)
    await world.sleep(5)
    before = len(world.publisher.of_topic(QUEUE))
    phones = [await world.phone(f"+1415555{number:04d}") for number in range(20)]
    for phone in phones:
        phone.starts_dialling("1000")
    await world.sleep(0.9)
    for phone in phones:
        phone.drops()
    await world.sleep(1.5)
    assert 2 <= len(world.publisher.of_topic(QUEUE)) - before <= 3
    assert world.publisher.retained[QUEUE]["waiting"] == 0


@story()
async def test_a_queue_that_a_reload_takes_away_is_cleared(world: World) -> None:
    topic = f"callcenter/v1/queues/{HELP}/state"
    furnish(world)
    world.house.queue_board.refresh()
    await world.settled()
    world.house.queue_board.refresh()
    await world.settled()
    assert world.publisher.retained[topic]["waiting"] == 0
    world.plan = replace(world.plan, queues={SALES: world.plan.queues[SALES]})
    world.house.dispatcher.tell(Reconfigured(world.plan))
    await world.settled()
    world.house.queue_board.refresh()
    await world.settled()
    assert topic not in world.publisher.retained
    assert QUEUE in world.publisher.retained


@story()
async def test_the_configuration_in_force_is_retained(world: World) -> None:
    await world.settled()
    config = world.publisher.retained["callcenter/v1/system/config"]
    assert (config["schema"], config["revision"], config["by"]) == ("config.v1", "simulation", "start")
