"""What a call asks beyond its queue, by step, language, intent and customer, and whom it prefers; and who says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.acd.requirements import parse
from callcenter.calls.settings import Flow, Menu, Routing, Step, ToQueue
from callcenter.model.facts import CallQueued
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, story

SALES = "sales-english"
CUSTOMERS = """\
client,id,name,numbers,account,tier,language,agent
tech,t-1,Grace Whitfield,+12025550111,TG-48213,gold,en,bob
tech,t-2,Lucia Fernandez,+13055550134,TG-51544,silver,es,
tech,t-3,One of Two,+13055550135,TG-777,gold,en,bob
tech,t-4,Two of Two,+13055550135,TG-778,gold,en,bob
tech,t-5,Old Friend,+12025550155,TG-90000,bronze,en,zoe
other,o-1,Grace Whitfield,+12025550199,OT-1,gold,en,bob
"""
GRACE, TWO, FRIEND, NOBODY = "+12025550111", "+13055550135", "+12025550155", "+14155550100"


def furnish(world: World, *steps: Step, routing: Routing | None = None, **intents: str) -> None:
    """Callers come to these steps at once; without any, to the menu."""
    services = world.house.services
    settings = services.settings
    client = replace(settings.clients["tech"], routing=routing or Routing())
    flows = {**settings.flows, "main": Flow("main", steps)} if steps else settings.flows
    meant = {SALES: {intent: parse(needs) for intent, needs in intents.items()}} if intents else {}
    services.settings = replace(settings, clients={"tech": client}, flows=flows, intents=meant)


async def know_customers(world: World) -> None:
    await world.storage.customers.import_csv(CUSTOMERS, now=world.clock.now())


async def waits(world: World, number: str = NOBODY, *keys: str) -> Phone:
    """A caller who has dialled, pressed these keys, and waits or is being offered."""
    phone = await world.phone(number)
    await phone.dial("1000")
    for key in keys:
        await phone.press(key)
    await phone.hears("music")
    await world.settled()
    return phone


def queued(world: World) -> CallQueued:
    """The last visit that began."""
    return [fact.body for fact in world.facts if isinstance(fact.body, CallQueued)][-1]


async def all_hang_up(world: World) -> None:
    for phone in world.phones:
        if not phone.is_free and phone.call is not None:
            await phone.hangs_up()


@story()
async def test_a_caller_whom_the_flow_sends_for_a_specialist_is_not_given_to_whoever_is_free(world: World) -> None:
    furnish(world, ToQueue(SALES, needs=parse("billing>=2")))
    amy = await world.agent("amy", english=5)
    caller = await waits(world)
    await amy.rings_not()
    bob = await world.agent("bob", english=2, billing=2)
    await bob.rings()
    await bob.answers()
    assert world.hear_each_other(caller, bob)
    assert (await bob.screen_pop())["skills"] == {"english": 2, "billing": 2}
    assert queued(world).origins == (("queue", "english>=2"), ("flow", "billing>=2"))
    await all_hang_up(world)


@story()
async def test_who_chose_spanish_is_not_answered_by_somebody_who_speaks_none(world: World) -> None:
    """One queue for all languages: what is spoken is asked by the call. Alternatives count too."""
    languages = {"es": parse("spanish>=3 or portuguese>=5"), "en": parse("english>=1")}
    furnish(world, routing=Routing(languages=languages))
    services = world.house.services
    menu = services.settings.flows["main"].steps[1]
    assert isinstance(menu, Menu)
    spanish = replace(menu.choices["2"], then=(ToQueue("sales-spanish", needs=parse("sales>=1")),))
    furnish(world, replace(menu, choices={**menu.choices, "2": spanish}), routing=Routing(languages=languages))
    amy = await world.agent("amy", spanish=2, sales=5)
    caller = await waits(world, NOBODY, "2")
    await amy.rings_not()
    bob = await world.agent("bob", spanish=2, portuguese=5, sales=1)
    await bob.rings()
    await bob.answers()
    assert world.hear_each_other(caller, bob)
    assert queued(world).origins == (
        ("queue", "spanish>=2"),
        ("flow", "sales>=1"),
        ("language es", "spanish>=3 or portuguese>=5"),
    )
    await all_hang_up(world)


@story()
async def test_what_a_caller_chose_in_the_menu_decides_who_must_be_able_to_help(world: World) -> None:
    """The company says what it means; a queue's own word stands in its place."""
    furnish(world, routing=Routing(intents={"sales": parse("sales>=4"), "other": parse("nobody>=5")}))
    amy = await world.agent("amy", english=5, sales=3)
    caller = await waits(world, NOBODY, "1")
    await amy.rings_not()
    assert queued(world).origins == (("queue", "english>=2"), ("intent sales", "sales>=4"))
    await caller.hangs_up()
    furnish(world, routing=Routing(intents={"sales": parse("sales>=4")}), sales="sales>=3")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    assert queued(world).origins == (("queue", "english>=2"), ("intent sales", "sales>=3"))
    await amy.answers()
    await caller.hears(amy)
    await all_hang_up(world)


@pytest.mark.parametrize(
    ("number", "priority", "origins"),
    [
        (GRACE, 25, (("flow", "priority 5"), ("customer gold", "priority +20"))),
        (FRIEND, 5, (("flow", "priority 5"),)),  # a tier that means nothing
        (TWO, 5, (("flow", "priority 5"),)),  # two customers of one number: it is not sure who
        (NOBODY, 5, (("flow", "priority 5"),)),
        ("anonymous", 5, (("flow", "priority 5"),)),
    ],
)
def test_a_gold_customer_comes_before_others_and_who_only_may_be_one_does_not(
    number: str, priority: int, origins: tuple[tuple[str, str], ...]
) -> None:
    @story()
    async def told(world: World) -> None:
        await know_customers(world)
        furnish(world, ToQueue(SALES, priority=5), routing=Routing(tiers={"gold": 20}))
        first = await waits(world)
        caller = first if number == NOBODY else await waits(world, number)
        body = queued(world)
        assert (body.priority, body.origins[1:]) == (priority, origins)
        line = [ticket.priority for ticket in world.house.acd.waiting(SALES)]
        assert line == sorted(line, reverse=True)
        assert caller.name == number
        await all_hang_up(world)

    told()


@story()
async def test_no_tier_lifts_anybody_above_who_is_put_through_to_one_agent_alone(world: World) -> None:
    await know_customers(world)
    furnish(world, ToQueue(SALES, priority=95), routing=Routing(tiers={"gold": 50}))
    await waits(world, GRACE)
    assert queued(world).priority == 100
    furnish(world, ToQueue(SALES, priority=-90), routing=Routing(tiers={"bronze": -50}))
    await waits(world, FRIEND)
    assert queued(world).priority == -100
    await all_hang_up(world)


@story()
async def test_the_tier_adds_to_the_priority_of_the_queue_where_the_step_says_nothing(world: World) -> None:
    await know_customers(world)
    furnish(world, ToQueue(SALES), routing=Routing(tiers={"gold": 20}))
    await waits(world, GRACE)
    assert queued(world).priority == 20
    assert ("customer gold", "priority +20") in queued(world).origins
    await all_hang_up(world)
