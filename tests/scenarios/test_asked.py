"""What a call asks beyond its queue, by step, language, intent and customer, and whom it prefers; and who says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.acd.requirements import parse
from callcenter.calls.settings import CUSTOMERS_AGENT, LAST_AGENT, DialRules, Flow, Menu, Routing, Step, ToQueue
from callcenter.model.facts import CallQueued
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import AgentPhone, World, story
from callcenter.storage.customer_csv import CustomerFiles
from callcenter.storage.interactions import WHO_ANSWERED_LAST

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
    await CustomerFiles(world.storage.database).import_csv(CUSTOMERS, world.clock.now())


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


# Whom a call prefers


async def answered_by(world: World, caller: Phone, agent: AgentPhone) -> None:
    """A call of a while ago, with this agent alone on the floor."""
    await caller.dial("1000")
    await agent.rings(within=40)
    await agent.answers()
    await caller.hears(agent)
    await caller.hangs_up()
    await agent.is_hung_up()
    await world.sleep(40)  # the wrap-up


@story()
async def test_who_calls_again_does_not_explain_everything_to_somebody_new(world: World) -> None:
    """Amy is the better match; Bob spoke to the caller an hour ago. Another caller is Amy's."""
    furnish(world, ToQueue(SALES, prefer=(LAST_AGENT,)))
    bob = await world.agent("bob", english=2)
    caller = await world.phone(NOBODY)
    await answered_by(world, caller, bob)
    amy = await world.agent("amy", english=5)
    await answered_by(world, await world.phone("+14155550111"), amy)
    await world.sleep(3600)
    assert queued(world).prefer == ""
    await caller.dial("1000")
    await bob.rings()
    assert queued(world).prefer == "bob"
    assert ("last agent", "prefer bob for 20 s") in queued(world).origins
    assert amy.is_free
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()


@story()
async def test_the_last_agent_is_waited_for_a_while_and_then_anybody_may_help(world: World) -> None:
    """Bob talks to somebody; the caller waits twenty seconds for him, not longer, although Amy is free."""
    furnish(world, ToQueue(SALES, prefer=(LAST_AGENT,), prefer_for=15.0))
    bob = await world.agent("bob", english=2)
    caller = await world.phone(NOBODY)
    await answered_by(world, caller, bob)
    other = await world.phone("+14155550111")
    await other.dial("1000")
    await bob.rings()
    await bob.answers()
    amy = await world.agent("amy", english=5)
    await caller.dial("1000")
    await amy.rings_not(during=14)
    await amy.rings(within=2)
    await amy.answers()
    assert world.hear_each_other(caller, amy)
    await all_hang_up(world)


@story()
async def test_a_last_agent_who_has_gone_home_keeps_nobody_waiting(world: World) -> None:
    furnish(world, ToQueue(SALES), routing=Routing(prefer=(LAST_AGENT,), prefer_for=60.0))
    bob = await world.agent("bob", english=2)
    caller = await world.phone(NOBODY)
    await answered_by(world, caller, bob)
    await bob.unregister()
    amy = await world.agent("amy", english=5)
    await caller.dial("1000")
    await amy.rings(within=1)
    await amy.answers()
    assert queued(world).prefer == "bob"
    await all_hang_up(world)


@story()
async def test_who_has_waited_on_a_kept_place_is_not_made_to_wait_for_the_last_agent_again(world: World) -> None:
    """Cut off after a minute, and back: whoever is free takes them, who have waited long enough for Bob."""
    furnish(world, ToQueue(SALES), routing=Routing(prefer=(LAST_AGENT,), prefer_for=30.0))
    bob = await world.agent("bob", english=2)
    caller = await world.phone(NOBODY)
    await answered_by(world, caller, bob)
    other = await world.phone("+14155550111")
    await other.dial("1000")
    await bob.rings()
    await bob.answers()
    await caller.dial("1000")
    await world.sleep(60)
    await caller.hangs_up()
    amy = await world.agent("amy", english=5)
    await caller.dial("1000")
    await amy.rings(within=1)
    assert ("last agent", "prefer bob among equals") in queued(world).origins
    await amy.answers()
    await all_hang_up(world)


@story()
async def test_who_answered_longer_ago_than_counts_is_not_the_last_agent(world: World) -> None:
    furnish(world, ToQueue(SALES), routing=Routing(prefer=(LAST_AGENT,), last_agent_within=600.0))
    bob = await world.agent("bob", english=2)
    caller = await world.phone(NOBODY)
    await answered_by(world, caller, bob)
    await world.sleep(600)
    await caller.dial("1000")
    await bob.rings()
    assert queued(world).prefer == ""
    await bob.answers()
    await all_hang_up(world)


@story()
async def test_who_withholds_the_number_has_no_last_agent(world: World) -> None:
    furnish(world, ToQueue(SALES), routing=Routing(prefer=(LAST_AGENT,)))
    bob = await world.agent("bob", english=2)
    hidden = await world.phone("anonymous")
    for _ in range(2):
        await answered_by(world, hidden, bob)
        assert queued(world).prefer == ""


@story()
async def test_a_customer_s_own_agent_comes_first_and_then_the_next_who_is_preferred(world: World) -> None:
    """Grace has Bob by the customer base; whose own agent has left the house gets the next in the list."""
    await know_customers(world)
    furnish(world, ToQueue(SALES), routing=Routing(prefer=(CUSTOMERS_AGENT, "cid")))
    amy, bob, cid = [await world.agent(name, english=3) for name in ("amy", "bob", "cid")]
    grace = await world.phone(GRACE)
    await grace.dial("1000")
    await bob.rings()
    assert queued(world).origins[1:] == (("customer", "prefer bob for 20 s"),)
    await bob.answers()
    friend = await world.phone(FRIEND)
    await friend.dial("1000")
    await cid.rings()
    assert queued(world).origins[1:] == (
        ("customer", "would prefer zoe, who is no agent any more"),
        ("client", "prefer cid for 20 s"),
    )
    await cid.answers()
    assert amy.is_free
    await all_hang_up(world)


@story()
async def test_an_agent_who_hands_a_caller_to_a_queue_is_not_offered_the_same_caller_again(world: World) -> None:
    """The last agent is preferred; but who has just said that somebody else must help is not asked first."""
    furnish(world, ToQueue(SALES), routing=Routing(prefer=(LAST_AGENT,), prefer_for=60.0))
    world.permit(bob=DialRules(queues=True))
    bob = await world.agent("bob", english=2, spanish=5)
    caller = await world.phone(NOBODY)
    await answered_by(world, caller, bob)
    await caller.dial("1000")
    await bob.rings()
    assert queued(world).prefer == "bob"
    await bob.answers()
    await caller.hears(bob)
    cid = await world.agent("cid", spanish=2)
    bob.transfers("sales-spanish")
    await cid.rings()
    assert (queued(world).queue, queued(world).prefer) == ("sales-spanish", "")
    await cid.answers()
    await caller.hears(cid)
    await all_hang_up(world)


@story()
async def test_the_record_of_customers_is_found_although_nobody_asks_for_the_last_agent(world: World) -> None:
    """Nobody's database is asked what nobody wants to know."""
    furnish(world, ToQueue(SALES))
    asked: list[str] = []
    world.database.on_read = lambda sql, _: asked.append(sql) if sql == WHO_ANSWERED_LAST else None
    await know_customers(world)
    await waits(world, GRACE)
    assert asked == []
    furnish(world, ToQueue(SALES), routing=Routing(prefer=(LAST_AGENT,)))
    await waits(world, TWO)
    assert asked == [WHO_ANSWERED_LAST]
    await all_hang_up(world)


@story()
async def test_a_database_that_is_slow_delays_nobody_beyond_the_look_up(world: World) -> None:
    """The last agent is asked for with the customer, before the greeting; without an answer the call goes on.

    Who calls is known all the same.
    """
    await know_customers(world)
    furnish(world, ToQueue(SALES), routing=Routing(prefer=(LAST_AGENT,)))

    world.database.stuck = WHO_ANSWERED_LAST
    amy = await world.agent("amy", english=5)
    caller = await world.phone(GRACE)
    await caller.dial("1000")
    await amy.rings(within=1)
    assert (await amy.screen_pop())["customer"]["name"] == "Grace Whitfield"
    await amy.answers()
    await caller.hears(amy)
    await caller.hangs_up()
