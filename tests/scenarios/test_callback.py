"""Whoever waits may be called back: the place is kept, the number is theirs, and nobody is dialled twice."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

from callcenter.acd.events import IntentChosen, Reconfigured
from callcenter.acd.settings import Strategy
from callcenter.calls.overflow import ToCallback
from callcenter.calls.settings import AskCallback, CallbackRules, Collect, Hangup, ToQueue
from callcenter.cli.status import lines as status_lines
from callcenter.cli.status import masked
from callcenter.media.plane import Clip
from callcenter.model.facts import AgentStateChanged, CallbackEnded, CallQueued, QueueLeft
from callcenter.model.states import CallbackOutcome, Intent, Outcome, VisitOutcome, Work
from callcenter.observe import mask_number
from callcenter.operate.life import Life
from callcenter.operate.status import status
from callcenter.simulation.phone import Phone
from callcenter.simulation.trunk import Manners
from callcenter.simulation.world import World, story
from tests.scenarios.callbacks import (
    ANN,
    BEN,
    CLEO,
    HELP,
    SALES,
    TO_SALES,
    asks,
    calls_out,
    customer_at,
    furnish,
    hang_up,
    has_asked,
    has_talked,
    is_to_be_called_back,
    served,
    talk,
    talks_to,
    told,
    visits,
    waits,
)
from tests.scenarios.test_flow_steps import know_customers
from tests.scenarios.trunks import trunk

RULES = CallbackRules(outside=("+1",), tries=3, spacing=300.0, ring_for=40.0)


@story()
async def test_a_caller_who_asks_is_called_back_and_the_agent_hears_it_ring(world: World) -> None:
    ann = await customer_at(world)
    asked = await ann.dial("1000")
    await ann.hears("music")
    await asks(ann)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    pop = await amy.screen_pop()
    assert (pop["from"], pop["queue"], pop["callback"]["attempt"]) == (ANN, "sales-english", 1)
    await amy.answers()
    await ann.rings()
    await amy.hears("ringback")
    await ann.answers()
    await ann.hears(amy)
    assert world.hear_each_other(ann, amy)
    await world.sleep(60)
    await hang_up(ann, amy)
    await world.settled()
    assert told(world) == ["requested 101", "attempt 1 of 101 by amy", "reached"]
    assert visits(world) == [(False, "flowed_out", "callback"), (True, "answered", "")]
    saved = await world.interaction(asked)
    assert saved.outcome is Outcome.CALLBACK


# The place


@story()
async def test_who_is_called_back_keeps_the_place_before_those_who_came_later_and_behind_those_who_came_first(
    world: World,
) -> None:
    """Ben came before Ann, Cleo behind her. All want Amy, who comes in late."""
    furnish(world)
    ben = await waits(world, BEN)
    ann = await customer_at(world)
    await ann.dial("1000")
    await ann.hears("music")
    await world.sleep(5)
    cleo = await waits(world, CLEO)
    await asks(ann)
    await world.sleep(100)
    amy = await world.agent("amy", english=5)
    for customer in (ben, ann, cleo):
        await amy.rings(within=60)
        await amy.answers()
        if customer is ann:
            await ann.rings()
            await ann.answers()
        await customer.hears(amy)
        await customer.hangs_up()
        await amy.is_hung_up()
        await world.sleep(31)
    assert served(world) == [BEN, ANN, CLEO]


@story()
async def test_a_callback_is_not_sent_away_by_the_longest_wait_nor_does_it_fill_the_queue(world: World) -> None:
    ann = await customer_at(world)
    world.plan = replace(
        world.plan, queues={name: replace(each, max_waiting=1) for name, each in world.plan.queues.items()}
    )
    furnish(world)
    await ann.dial("1000")
    await ann.hears("music")
    await asks(ann)
    ben = await waits(world, BEN)
    await world.sleep(900)
    assert ben.is_free, "the longest wait is ten minutes"
    state = world.house.queue_board.status(SALES)
    assert (state.waiting, state.callbacks) == (1, 1)
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)


@story()
async def test_who_asks_twice_has_one_callback_on_the_first_place(world: World) -> None:
    ann = await is_to_be_called_back(world)
    ben = await waits(world, BEN)
    await world.sleep(60)
    await ann.dial("1000")
    await ann.hears("music")
    await asks(ann)
    await world.settled()
    assert len(world.house.callbacks) == 1
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)
    await amy.rings(within=60)
    await amy.answers()
    await ben.hears(amy)
    await hang_up(ben, amy)


# Agents


@story()
async def test_nobody_is_dialled_before_an_agent_has_picked_up(world: World) -> None:
    """Amy declines; Bob takes it. Ann's phone rings once."""
    carrier = await calls_out(world)
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    for phone in (amy, bob):
        world.house.dispatcher.tell(IntentChosen(phone.name, Intent.NOT_READY, "lunch"))
    await has_asked(world, ANN)
    world.house.dispatcher.tell(IntentChosen("amy", Intent.READY))
    await amy.rings()
    assert not carrier.seen.invites
    await amy.declines()
    world.house.dispatcher.tell(IntentChosen("bob", Intent.READY))
    await bob.rings()
    assert not carrier.seen.invites
    await bob.answers()
    await world.sleep(2)
    assert len(carrier.seen.invites) == 1
    await bob.hangs_up()
    await world.settled()
    assert told(world) == ["requested 101", "attempt 1 of 101 by bob", "reached"]


@story()
async def test_an_agent_whose_customer_is_busy_is_back_at_what_he_chose_and_takes_the_next_caller_at_once(
    world: World,
) -> None:
    carrier = await calls_out(world, rules=RULES, manners=Manners(status=486))
    await has_asked(world, ANN)
    ben = await waits(world, BEN)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await amy.is_hung_up()
    await amy.rings(within=2)
    await amy.answers()
    await ben.hears(amy)
    await hang_up(ben, amy)
    assert told(world) == ["requested 101", "attempt 1 of 101 by amy", "failed: busy"]
    assert (True, "flowed_out", "busy") in visits(world)
    states = [fact.body for fact in world.facts if isinstance(fact.body, AgentStateChanged)]
    assert not any(state.intent is Intent.NOT_READY for state in states)
    carrier.manners = Manners()
    await amy.rings(after=0, within=320)
    await amy.answers()
    await world.sleep(5)
    await amy.hangs_up()


@story()
async def test_an_agent_who_went_to_lunch_while_a_customer_was_dialled_is_not_made_ready(world: World) -> None:
    await calls_out(world, rules=RULES, manners=Manners(rings=None))
    await has_asked(world, ANN)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await world.sleep(5)
    world.house.dispatcher.tell(IntentChosen("amy", Intent.NOT_READY, "lunch"))
    await amy.is_hung_up(after=30, within=10)
    await world.settled()
    view = world.house.acd.agent("amy")
    assert view is not None
    assert (view.intent, view.reason, view.work) == (Intent.NOT_READY, "lunch", Work.IDLE)
    assert told(world)[-1] == "failed: no_answer"


@story()
async def test_an_agent_who_hangs_up_on_the_ringing_ends_the_attempt_and_it_counts(world: World) -> None:
    ann = await is_to_be_called_back(world, rules=RULES)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await ann.rings()
    await amy.hangs_up()
    await ann.stops_ringing()
    await world.settled()
    assert told(world)[-2:] == ["attempt 1 of 101 by amy", "failed: agent_gone"]


@story()
async def test_an_agent_is_told_who_it_is_before_the_customer_is_dialled(world: World) -> None:
    """Amy hangs up on the words and nobody was dialled; Bob hears them, then the ringing, and Ann hears Bob at once."""
    ann = await is_to_be_called_back(world)
    world.house.callbacks.suspend(True)
    bob = await world.hire("bob", {"english": 5})
    amy = await world.agent("amy", english=5)
    services = world.house.services
    settings = services.settings
    texts = {**settings.prompts.texts, ("whisper", "en"): (Clip("whisper.en", 2.0),)}
    services.settings = replace(
        settings,
        prompts=replace(settings.prompts, texts=texts),
        treatments={name: replace(each, whisper={"en": ("whisper",)}) for name, each in settings.treatments.items()},
    )
    world.house.callbacks.suspend(False)
    await amy.rings()
    await amy.answers()
    await amy.hears("whisper")
    assert ann.is_free
    await amy.hangs_up()
    await bob.register("bob", "secret of bob")
    await bob.rings()
    await bob.answers()
    await bob.hears("whisper")
    await ann.rings()
    await bob.hears("ringback")
    ann.picks_up()
    await ann.hears(bob)
    await hang_up(ann, bob)
    assert told(world) == ["requested 101", "attempt 1 of 101 by bob", "reached"]


@story()
async def test_where_all_are_rung_at_once_for_a_caller_one_is_for_a_callback_as_nobody_holds_a_phone(
    world: World,
) -> None:
    world.plan = replace(
        world.plan,
        queues={name: replace(each, strategy=Strategy.RING_ALL) for name, each in world.plan.queues.items()},
    )
    ann = await is_to_be_called_back(world)
    amy, bob = await world.hire("amy", {"english": 5}), await world.hire("bob", {"english": 5})
    world.house.callbacks.suspend(True)
    for phone in (amy, bob):
        await phone.register(phone.name, f"secret of {phone.name}")
    await world.settled()
    world.house.callbacks.suspend(False)
    await amy.rings()
    await bob.rings_not(during=2)
    await talks_to(amy, ann)


@story()
async def test_an_agent_may_hand_over_whom_he_called_back(world: World) -> None:
    ann = await is_to_be_called_back(world)
    amy = await world.agent("amy", english=5)
    await talk(world, amy, ann)
    sam = await world.agent("sam", support=5)
    amy.transfers("sip:sam@callcenter")
    await sam.rings()
    await sam.answers()
    await ann.hears(sam)
    await hang_up(ann, sam)
    await amy.is_hung_up()


@story()
async def test_a_customer_whose_agent_is_lost_in_the_talk_waits_again_as_any_caller_does(world: World) -> None:
    ann = await is_to_be_called_back(world)
    amy = await world.agent("amy", english=5)
    await talk(world, amy, ann)
    world.unplug(amy)
    await ann.hears("music", within=130)
    bob = await world.agent("bob", english=5)
    await bob.rings()
    await bob.answers()
    await ann.hears(bob)
    await hang_up(ann, bob)


# Customers


@story()
async def test_a_customer_who_is_never_there_is_dialled_three_times_five_minutes_apart_and_given_up(
    world: World,
) -> None:
    carrier = await calls_out(world, rules=RULES, manners=Manners(rings=None))
    await has_asked(world, ANN)
    amy = await world.agent("amy", english=5)
    began = []
    for _ in range(3):
        await amy.rings(within=330)
        await amy.answers()
        began.append(world.clock.monotonic())
        await amy.is_hung_up(after=30, within=15)
    await world.sleep(1000)
    assert [round(later - earlier) for earlier, later in itertools.pairwise(began)] == [300, 300]
    assert len(carrier.seen.invites) == 3
    assert told(world)[-1] == "given_up: tries"
    assert len(world.house.callbacks) == 0
    assert world.house.edges.storage.log.healthy


@story()
async def test_a_place_is_kept_over_the_attempts(world: World) -> None:
    """Ann was busy. Five minutes later she comes before Ben, who has waited four."""
    carrier = await calls_out(world, rules=RULES, manners=Manners(status=486))
    await has_asked(world, ANN)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await amy.is_hung_up()
    world.house.dispatcher.tell(IntentChosen("amy", Intent.NOT_READY, "lunch"))
    carrier.manners = Manners()
    ben = await waits(world, BEN)
    await world.sleep(310)
    world.house.dispatcher.tell(IntentChosen("amy", Intent.READY))
    await amy.rings()
    await amy.answers()
    await world.sleep(5)
    assert served(world) == [ANN]
    await amy.hangs_up()
    await ben.hangs_up()


@story()
async def test_who_rings_in_first_takes_the_place_and_is_not_called_back(world: World) -> None:
    furnish(world)
    carrier = await calls_out(world)
    ann = await has_asked(world, ANN)
    ben = await waits(world, BEN)
    await world.sleep(30)
    await ann.dial("1000")
    await ann.hears("music")
    await world.settled()
    first, *_, again = [fact for fact in world.facts if isinstance(fact.body, CallQueued) and not fact.body.agent]
    assert isinstance(first.body, CallQueued)
    assert isinstance(again.body, CallQueued)
    assert again.body.place_of == f"{first.call_id}/1", "the record leads from the new visit to the one before"
    assert again.body.first_joined_ms - first.body.first_joined_ms in (-1, 0, 1)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await ann.hears(amy)
    await hang_up(ann, amy)
    await ben.hangs_up()
    await world.sleep(600)
    assert not carrier.seen.invites
    assert told(world) == ["requested 101", "cancelled: rang_in"]


@story()
async def test_an_agent_who_rings_for_a_callback_stops_when_the_customer_calls_in_and_takes_that_call(
    world: World,
) -> None:
    carrier = await calls_out(world)
    ann = await has_asked(world, ANN)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await ann.dial("1000")
    await amy.stops_ringing()
    await amy.rings()
    await amy.answers()
    await ann.hears(amy)
    await hang_up(ann, amy)
    assert not carrier.seen.invites


@story()
async def test_a_customer_who_calls_in_while_dialled_is_not_dialled_any_more_and_comes_first(world: World) -> None:
    carrier = await calls_out(world, manners=Manners(rings=None))
    ann = await has_asked(world, ANN)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await world.sleep(3)
    assert len(carrier.seen.invites) == 1
    await ann.dial("1000")
    await amy.is_hung_up()
    await amy.rings()
    await amy.answers()
    await ann.hears(amy)
    await hang_up(ann, amy)
    assert told(world) == ["requested 101", "attempt 1 of 101 by amy", "cancelled: rang_in"]
    assert all(call.over for call in carrier.calls)


@story()
async def test_who_is_on_the_phone_with_us_for_something_else_is_not_called_back_meanwhile(world: World) -> None:
    """Ann waits for sales by a callback, and calls again for help. She is called back when that call is over."""
    ann = await is_to_be_called_back(world)
    furnish(world, ToQueue(HELP))
    await ann.dial("1000")
    await ann.hears("music")
    amy = await world.agent("amy", english=5)
    await amy.rings_not(during=60)
    await ann.hangs_up()
    await has_talked(world, amy, ann)


@story()
async def test_a_number_that_two_queues_want_to_call_back_is_dialled_once_at_a_time(world: World) -> None:
    """Ann wants sales and help, and both have an agent in the same moment."""
    carrier = await calls_out(world, rules=replace(RULES, spacing=60.0), manners=Manners(rings=None))
    ann = await has_asked(world, ANN)
    furnish(world, ToQueue(HELP, keys={"1": (AskCallback(HELP),)}), rules=replace(RULES, spacing=60.0))
    await ann.dial("1000")
    await ann.hears("music")
    await asks(ann)
    await world.settled()
    assert len(world.house.callbacks) == 2
    amy, sam = await world.agent("amy", english=5), await world.agent("sam", support=5)
    await amy.rings()
    await amy.answers()
    await sam.stops_ringing()
    await sam.rings_not(during=10)
    assert len(carrier.seen.invites) == 1
    assert [each for each in told(world) if "attempt" in each] == ["attempt 1 of 101 by amy"]
    await amy.hangs_up()
    carrier.manners = Manners()
    await sam.rings()
    await sam.answers()
    await world.sleep(3)
    assert told(world)[-3:] == ["failed: agent_gone", "attempt 1 of 101 by sam", "reached"]
    await sam.hangs_up()
    furnish(world, ToQueue(HELP), queues=(HELP,))


@story()
async def test_a_customer_who_is_known_by_account_is_known_at_another_number_too(world: World) -> None:
    await know_customers(world)
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier))
    account = Collect("account", "account", "menu", longest=8, look_up=True)
    furnish(world, account, TO_SALES)
    ann = await world.phone("anonymous")
    await ann.dial("1000")
    await ann.hears("menu")
    await ann.press("48213#")
    await ann.hears("music")
    await ann.press("1")
    await ann.hears("callback-enter")
    await ann.press("4155550188#")
    await ann.hears("callback-choose")
    await ann.press("1")
    await ann.is_hung_up(within=20)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    pop = await amy.screen_pop()
    assert (pop["customer"]["match"], pop["customer"]["name"]) == ("sure", "Grace Whitfield")
    assert pop["from"] == "+14155550188"
    await amy.answers()
    await world.sleep(2)
    await amy.hangs_up()


# Numbers


@story()
async def test_who_hides_the_number_must_enter_one_and_hears_it_read_out(world: World) -> None:
    carrier = await calls_out(world)
    ann = await waits(world, "anonymous")
    await ann.press("1")
    await ann.hears("callback-enter")
    await ann.press("4155550188#")
    await ann.hears("callback-confirm")
    await ann.hears("callback-digit/8")
    await ann.hears("callback-choose")
    await ann.press("1")
    await ann.hears("callback-accepted")
    await ann.is_hung_up()
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await world.sleep(2)
    assert [str(invite.uri.user) for invite in carrier.seen.invites] == ["+14155550188"]
    await amy.hangs_up()


@story()
async def test_numbers_that_cost_or_help_in_need_or_are_our_own_are_not_called_back(world: World) -> None:
    """Premium rate, emergency, abroad, an island that looks like home, ourselves; then a good one."""
    await calls_out(world, ToQueue(SALES, keys={"1": (AskCallback(SALES, retries=9),)}))
    ann = await waits(world, ANN)
    await ann.press("1")
    await ann.hears("callback-choose")
    await ann.press("2")
    for wrong in ("9005550188#", "911#", "9115550188#", "01144207946000#", "8765550188#", "8005550100#"):
        await ann.hears("callback-enter")
        await ann.press(wrong)
        await ann.hears("callback-invalid")
    await ann.hears("callback-enter")
    await ann.press("4155550177#")
    await ann.hears("callback-choose")
    await ann.press("1")
    await ann.is_hung_up(within=20)
    assert told(world) == ["requested 177"]
    await world.restart()  # so that the pending one is seen to be kept, and can be let go
    furnish(world, queues=(HELP,))
    await world.settled()
    assert told(world)[-1] == "removed: queue_removed"


async def asks_for(world: World, caller: Phone, number: str) -> bool:
    """A caller asks to be called back at this number; whether that was promised."""
    asked = len([word for word in told(world) if word.startswith("requested")])
    await caller.dial("1000")
    await caller.hears("music")
    await caller.press("1")
    await caller.hears("callback-choose")
    await caller.press("2")
    await caller.hears("callback-enter")
    await caller.press(f"{number.removeprefix('+1')}#")
    await caller.hears("callback-choose", within=10)
    await caller.press("1")
    await world.sleep(3)
    if not caller.is_free:
        await caller.hangs_up()
    await world.settled()
    return len([word for word in told(world) if word.startswith("requested")]) > asked


@story()
async def test_one_caller_does_not_have_a_town_rung_up(world: World) -> None:
    """Three at other numbers wait to be called back at once; the own number is one's own at any time."""
    caller = await customer_at(world, rules=RULES)
    promised = [await asks_for(world, caller, f"+1415555020{each}") for each in range(4)]
    assert promised == [True, True, True, False]
    await asks(await waits(world, BEN))
    await caller.dial("1000")
    await caller.hears("music")
    await asks(caller)
    await world.settled()
    assert len(world.house.callbacks) == 5
    furnish(world, ToQueue(HELP), queues=(HELP,))
    await world.settled()


@story()
async def test_a_caller_who_enters_somebody_elses_number_moves_nothing_that_was_promised_there(world: World) -> None:
    """Whoever knows the number could put off what was promised there. They are not told that there is anything."""
    caller = await world.phone(ANN)
    await is_to_be_called_back(world, BEN, rules=RULES)
    promised = [each.value for each in world.house.callbacks]
    assert await asks_for(world, caller, BEN)
    assert [each.value for each in world.house.callbacks] == promised
    furnish(world, ToQueue(HELP), queues=(HELP,))
    await world.settled()


@story()
async def test_one_number_is_called_back_so_often_a_day(world: World) -> None:
    """Whoever it is that asks, also for the own number: it may be pretended. A day later it is as before."""
    ann = await customer_at(world, rules=replace(RULES, per_day=2))
    promised = []
    for _ in range(3):
        await ann.dial("1000")
        await ann.hears("music")
        await ann.press("1")
        await ann.hears("callback-choose")
        await ann.press("1")
        await world.sleep(3)
        promised.append(ann.is_free)
        if not ann.is_free:
            await ann.hangs_up()
        await world.settled()
        # Who rings in takes the place, and is not called back.
    assert promised == [True, True, False]
    await world.sleep(24 * 3600)
    assert len(world.house.callbacks) == 0
    await ann.dial("1000")
    await ann.hears("music")
    await asks(ann)
    furnish(world, ToQueue(HELP), queues=(HELP,))
    await world.settled()


@story()
async def test_who_does_not_confirm_waits_on_on_the_old_place(world: World) -> None:
    ann = await customer_at(world)
    await ann.dial("1000")
    await ann.hears("music")
    await world.sleep(20)
    ben = await waits(world, BEN)
    await ann.press("1")
    await ann.hears("callback-choose")
    await ann.press("*")
    await ann.hears("music")
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await ann.hears(amy)
    await hang_up(ann, amy)
    await ben.hangs_up()
    assert told(world) == []


@story()
async def test_who_says_nothing_waits_on_and_a_company_without_a_trunk_promises_nothing(world: World) -> None:
    furnish(world)
    ann = await waits(world, ANN)
    await ann.press("1")
    await ann.hears("callback-unavailable")
    await ann.hears("music")
    await ann.hangs_up()
    await calls_out(world)
    await ann.dial("1000")
    await ann.hears("music")
    await ann.press("1")
    await ann.hears("music", within=60)
    await ann.hangs_up()
    assert told(world) == []


@story()
async def test_nothing_is_promised_that_is_not_written(world: World) -> None:
    await calls_out(world)
    ann = await waits(world, ANN)
    await ann.press("1")
    await ann.hears("callback-choose")
    world.database.away = "the disk is full"
    await ann.press("1")
    await ann.hears("callback-unavailable")
    world.database.away = ""
    await ann.hears("music")
    await ann.hangs_up()
    await world.sleep(10)
    assert len(world.house.callbacks) == 0
    assert await world.storage.callbacks.load_all() == []


# What the operator sees


@story()
async def test_the_operator_sees_who_is_to_be_called_back_and_when(world: World) -> None:
    await calls_out(world, rules=RULES, manners=Manners(status=486))
    await has_asked(world, ANN)
    state = await status(world.house, Life())
    assert (state["calls_up"], state["calls"], state["callbacks_pending"]) == (0, [], 1)
    assert [(row["waiting"], row["callbacks"]) for row in state["queues"]] == [(1, 1), (0, 0)]
    assert masked(state, numbers=False)["callbacks"][0]["number"] == mask_number(ANN) != ANN
    shown = "\n".join(status_lines(state))
    assert "CALLBACKS 1\n" in shown
    assert re.search(rf"\{ANN} +{SALES} +in line to be called back +0:\d\d +0", shown)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await amy.is_hung_up()
    state = await status(world.house, Life())
    assert re.search(rf"\{ANN} +{SALES} +again in 5:00 +0:\d\d +1", "\n".join(status_lines(state)))
    await world.sleep(1.5)  # a queue is told once a second at most
    retained = [message.payload for message in world.publisher.messages if message.topic.endswith(f"{SALES}/state")]
    assert [state["callbacks"] for state in retained][-1] == 0
    assert 1 in [state["callbacks"] for state in retained]
    furnish(world, queues=(HELP,))


# Overflow


@story()
async def test_a_caller_who_has_waited_too_long_is_offered_a_callback_and_goes_on_behind_the_queue_without(
    world: World,
) -> None:
    """Ann takes it, Ben does not; Cleo comes to a full queue, and her place counts from there."""
    await calls_out(world, ToQueue(SALES), Hangup("nobody"))
    queues = {name: replace(each, max_wait=60.0, max_waiting=2, on_max_wait=ToCallback().word)
              for name, each in world.plan.queues.items()}  # fmt: skip
    world.plan = replace(world.plan, queues=queues)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    ann, ben = await waits(world, ANN), await waits(world, BEN)
    cleo = await world.phone(CLEO)
    await cleo.dial("1000")
    await cleo.hears("callback-choose")
    await cleo.press("1")
    await cleo.is_hung_up(within=20)
    await ann.hears("callback-choose", within=70)
    await ann.press("1")
    await ben.press("*")
    await ben.hears("nobody")
    await ben.is_hung_up()
    await ann.is_hung_up()
    amy = await world.agent("amy", english=5)
    for _ in range(2):
        await amy.rings(within=60)
        await amy.answers()
        await world.sleep(3)
        await amy.hangs_up()
        await world.sleep(31)
    assert served(world) == [ANN, CLEO]
    assert (False, "refused", "full") in visits(world)
    assert (False, "flowed_out", "timeout") in visits(world)


# Restart, crash, drain, reload


@story()
async def test_a_callback_outlasts_a_restart_with_its_place(world: World) -> None:
    ann = await is_to_be_called_back(world)
    await world.sleep(200)
    await world.restart()
    await world.settled()
    ben = await waits(world, BEN)
    queued = [fact for fact in world.facts if isinstance(fact.body, CallQueued) and fact.body.callback]
    body = queued[-1].body
    assert isinstance(body, CallQueued)
    assert queued[-1].ms - body.first_joined_ms > 200_000
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)
    await ben.hangs_up()
    assert (True, "flowed_out", "suspended") in visits(world)


@story()
async def test_a_callback_outlasts_a_crash(world: World) -> None:
    ann = await is_to_be_called_back(world)
    await world.restart(crash=True)
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)
    await world.settled()
    ends = [fact.body for fact in await world.logged() if isinstance(fact.body, QueueLeft)]
    assert [(end.outcome, end.reason) for end in ends][1] == (VisitOutcome.FLOWED_OUT, "restart")
    assert told(world)[-1] == "reached"
    assert await world.storage.callbacks.load_all() == []


@story()
async def test_a_customer_who_was_being_dialled_at_a_crash_is_not_dialled_again_at_once(world: World) -> None:
    carrier = await calls_out(world, rules=RULES, manners=Manners(rings=None))
    await has_asked(world, ANN)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await world.sleep(5)
    assert len(carrier.seen.invites) == 1
    await world.restart(crash=True)
    amy.drops()
    await world.sleep(200)
    assert len(carrier.seen.invites) == 1
    assert told(world)[-1] == "failed: interrupted"
    for call in carrier.calls:
        call.leg.reject(480)
    carrier.manners = Manners()
    await amy.rings(within=150)
    await amy.answers()
    await world.sleep(2)
    assert len(carrier.seen.invites) == 2
    assert told(world)[-2:] == ["attempt 2 of 101 by amy", "reached"]
    await amy.hangs_up()


@story()
async def test_a_queue_that_has_another_name_behind_a_restart_or_a_reload_keeps_its_callbacks(world: World) -> None:
    ann = await is_to_be_called_back(world)
    for old, new in ((SALES, "selling"), ("selling", "sold")):
        queues = {new: replace(world.plan.queues[old], id=new)}
        world.plan = replace(world.plan, queues=queues, renamed={old: new})
        if new == "sold":
            furnish(world, ToQueue(new), queues=(new,))
        else:
            treatments = {new: replace(world.settings.calls.treatments[old], queue=new)}
            world.settings = replace(world.settings, calls=replace(world.settings.calls, treatments=treatments))
            await world.restart()
        await world.settled()
        assert [each.value.queue for each in world.house.callbacks] == [new]
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)
    assert told(world)[-1] == "reached"


@story()
async def test_a_drain_calls_nobody_back_until_it_is_cancelled(world: World) -> None:
    ann = await is_to_be_called_back(world)
    house = world.house
    assert (house.supervisor.lines, len(house.supervisor.calls)) == (0, 1)
    house.take_calls(False)
    await house.supervisor.empty()
    amy = await world.agent("amy", english=5)
    await amy.rings_not(during=20)
    house.take_calls(True)
    await has_talked(world, amy, ann)


@story()
async def test_a_queue_that_a_reload_takes_away_ends_its_callbacks_and_says_so(world: World) -> None:
    await is_to_be_called_back(world)
    await world.sleep(10)
    furnish(world, ToQueue(HELP), queues=(HELP,))
    await world.settled()
    ends = [fact.body for fact in world.facts if isinstance(fact.body, CallbackEnded)]
    assert [(end.outcome, end.detail) for end in ends] == [(CallbackOutcome.REMOVED, "queue_removed")]
    assert await world.storage.callbacks.load_all() == []
    assert not world.house.supervisor.calls
