"""A company's own CRM is asked who calls: whatever it does, no phone rings a millisecond later for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from dataclasses import replace
from typing import Any

import httpx
import pytest

from callcenter.calls.settings import Collect, Flow, Routing, ToQueue
from callcenter.config.crm import CrmSettings, CrmUse
from callcenter.control.protocol import Asked, CommandError
from callcenter.desk.integrations.lookup import LookUps
from callcenter.desk.integrations.store import Store
from callcenter.desk.integrations.web import Server, Web
from callcenter.model.access import Actor
from callcenter.model.customer import Match
from callcenter.model.facts import AgentRang, CallQueued, CustomerFound, Fact, ScreenPopSent, ScreenPopUpdated
from callcenter.operate.crm import crm_commands
from callcenter.simulation.world import World, story, tell
from callcenter.storage.customer_csv import CustomerFiles
from callcenter.storage.database import InlineDatabase
from callcenter.storage.migrate import migrate, shipped

Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]
JO = {"id": "c-1", "name": "Jo Doe", "tier": "gold", "notes": "late again", "contract": "xl"}
CRM = CrmSettings("tech", "http://crm/?n={number}&a={account}", fields={"contract": "contract"}, cache=60.0)


class SimWeb(Web):
    """Other people's servers, which are a function here."""

    def __init__(self, answer: Handler) -> None:
        super().__init__()
        self._answer = answer

    def server(self, *, private: bool) -> Server:
        return Server(httpx.MockTransport(self._answer))


class SimSwitch:
    """The switch as the desk sees it: facts when they are committed, commands beside the calls."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def ask(
        self, do: str, actor: Actor | None, *, id: str | None = None, timeout: float = 10.0, **fields: Any
    ) -> dict[str, Any]:
        command = crm_commands(self._world.house)[do]
        return dict(await command.run(Asked(do, "the desk", id, json.loads(json.dumps(fields)), actor)))

    async def facts(self, after: int | None = None, kinds: Collection[str] | None = None) -> AsyncIterator[Fact]:
        log = self._world.storage.log
        after = log.last_seq if after is None else after
        while True:
            last = await log.beyond(after)
            for fact in await log.read(after, 100):
                if kinds is None or fact.kind in kinds:
                    yield fact
            after = last


@contextlib.asynccontextmanager
async def crm(world: World, answer: Handler, settings: CrmSettings = CRM) -> AsyncIterator[LookUps]:
    """A CRM that is asked while the block lasts."""
    own = InlineDatabase()
    await migrate(own, world.clock.now(), shipped("callcenter.desk"))
    configured = replace(world.settings, crm={"tech": settings})
    web = SimWeb(answer)
    look_ups = LookUps(lambda: configured, SimSwitch(world), world.database, Store(own), world.clock, web)
    task = asyncio.create_task(look_ups.run())
    await world.settled()
    try:
        yield look_ups
    finally:
        if task.done():
            task.result()
        task.cancel()
        await asyncio.wait({task})
        web.close()
        await own.close()


def answers(body: object = JO, *, after: float = 0.0, status: int = 200) -> Handler:
    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(after)
        return reply(body, status)

    return answer


def reply(body: object = JO, status: int = 200) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, stream=httpx.ByteStream(content))


async def dead(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


async def a_call(world: World) -> None:
    """Jo calls, Amy's phone rings for five seconds, they talk for ten."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await world.sleep(5)
    await amy.answers()
    await caller.hears(amy)
    await world.sleep(10)
    await caller.hangs_up()
    await world.settled()


def moments(answer: Handler | None) -> list[tuple[str, int]]:
    """When what happened to the agent's phone and the caller, in milliseconds, with such a CRM, or without any."""

    async def told(world: World) -> None:
        if answer is None:
            await world.settled()
            await a_call(world)
        else:
            async with crm(world, answer):
                await a_call(world)

    world = tell(told, seed=7)
    kinds = ("CallArrived", "CallAnswered", "CallQueued", "OfferMade", "ScreenPopSent", "AgentRang", "CallConnected")
    return [(fact.kind, fact.ms) for fact in world.facts if fact.kind in kinds]


@pytest.mark.parametrize(
    "answer",
    [
        answers(),
        answers(after=0.5),
        answers(after=30.0),
        dead,
        answers(b"<html>", after=0.1),
        answers(b"x" * 1_000_000),
        answers(status=302),
        answers({"name": "nobody in particular"}),
    ],
    ids=["quick", "slow", "too slow", "dead", "no JSON", "huge", "redirect", "lying"],
)
def test_whatever_a_crm_does_no_phone_rings_a_millisecond_later(answer: Handler) -> None:
    with_crm, without = moments(answer), moments(None)
    assert [each for each in with_crm if each[0] == "AgentRang"]
    assert with_crm == without


@story()
async def test_a_quick_crm_is_in_the_pop_and_a_gold_customer_goes_first(world: World) -> None:
    """What the CRM knows comes before the phone rings, and counts in the line."""
    tech = replace(world.settings.calls.clients["tech"], routing=Routing(tiers={"gold": 7}))
    world.furnish(clients={"tech": tech})
    amy = await world.agent("amy", english=5)
    async with crm(world, answers(after=0.05)) as look_ups:
        caller = await world.phone("+14155550100")
        await caller.dial("1000")
        await world.sleep(1)
        await caller.press("1")
        await amy.rings()
        pop = await amy.screen_pop()
        assert pop["update"] is False
        assert (pop["customer"]["match"], pop["customer"]["id"], pop["customer"]["name"]) == ("sure", "c-1", "Jo Doe")
        assert (pop["customer"]["tier"], pop["customer"]["fields"]) == (
            "gold",
            [{"name": "contract", "label": "contract", "value": "xl"}],
        )
        queued = next(fact.body for fact in world.facts if isinstance(fact.body, CallQueued))
        assert queued.priority == 7
        assert [fact.body for fact in world.facts if isinstance(fact.body, CustomerFound)] == [
            CustomerFound("c-1", Match.SURE, "crm")
        ]
        await caller.hangs_up()
        # Within the cache's time the same caller is known without a question.
        call = await caller.dial("1000")
        await world.sleep(1)
        await caller.hangs_up()
        assert (await world.interaction(call)).customer == "c-1"
        tally = look_ups.crms["tech"].tally
        assert (tally.asked, tally.found, tally.remembered, tally.last_ms) == (1, 1, 1, 50)


@story()
async def test_a_slow_crm_updates_the_pop_under_the_same_id(world: World) -> None:
    """The phone rings for somebody unknown; the name comes behind, before or while they talk."""
    amy = await world.agent("amy", english=5)
    async with crm(world, answers(after=2.5)):
        caller = await world.phone("+14155550100")
        await caller.dial("1000")
        await caller.press("1")
        await amy.rings()
        await amy.answers()
        await caller.hears(amy)
        await world.sleep(3)
        first, second = world.pops_of("amy")
        assert (first["customer"], first["update"]) == ({"match": "none"}, False)
        assert (second["id"], second["seq"], second["update"]) == (first["id"], first["seq"] + 1, True)
        assert (second["customer"]["name"], second["offer"], second["call"]) == (
            "Jo Doe",
            first["offer"],
            first["call"],
        )
        sent = next(fact.body for fact in world.facts if isinstance(fact.body, ScreenPopSent))
        updated = next(fact.body for fact in world.facts if isinstance(fact.body, ScreenPopUpdated))
        assert (updated.offer, updated.agent, updated.pop) == (sent.offer, sent.agent, sent.pop)
        assert sum(isinstance(fact.body, AgentRang) for fact in world.facts) == 1
        await caller.hangs_up()
        await world.settled()


@story()
async def test_an_answer_that_comes_late_is_shown_to_the_agent_who_is_rung_by_then_alone(
    world: World,
) -> None:
    """Amy's screen learns nothing of a caller who is not hers any more."""
    amy = await world.agent("amy", english=5)
    async with crm(world, answers(after=25.0), replace(CRM, timeout=30.0)):
        caller = await world.phone("+14155550100")
        await caller.dial("1000")
        await caller.press("1")
        await amy.rings()
        bob = await world.agent("bob", english=3)
        await bob.rings(after=20)
        await world.sleep(8)
        assert [pop["update"] for pop in world.pops_of("amy")] == [False]
        assert [(pop["update"], pop["customer"].get("id")) for pop in world.pops_of("bob")] == [
            (False, None),
            (True, "c-1"),
        ]
        await caller.hangs_up()
        await world.settled()


OWN = "client,id,name,numbers,account\ntech,t-1,Grace Whitfield,+12025550111,TG-48213\n"


@story()
async def test_our_own_base_has_the_say_where_it_is_sure(world: World) -> None:
    """Beside our base a CRM fills in for who is not there."""
    await CustomerFiles(world.storage.database).import_csv(OWN, world.clock.now())
    async with crm(world, answers(after=0.6)) as look_ups:
        for number, customer in (("+12025550111", "t-1"), ("+12025550112", "c-1")):
            caller = await world.phone(number)
            call = await caller.dial("1000")
            await world.sleep(2)
            await caller.hangs_up()
            assert (await world.interaction(call)).customer == customer
        assert look_ups.crms["tech"].tally.found == 2


@story()
async def test_in_place_of_our_base_the_crm_alone_knows_callers_by_number_and_by_the_account_they_enter(
    world: World,
) -> None:
    """An entered account is another question, and its answer counts for more than the number's."""
    await CustomerFiles(world.storage.database).import_csv(OWN, world.clock.now())
    tech = replace(world.settings.calls.clients["tech"], own_base=False)
    account = Collect("account", "account", "menu", 1, 8, look_up=True)
    world.furnish(
        clients={"tech": tech},
        flows={**world.settings.calls.flows, "main": Flow("main", (account, ToQueue("sales-english")))},
    )
    asked: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url.query, "ascii"))
        return reply({"id": f"c-{request.url.params['a'] or 'number'}"})

    async with crm(world, answer, replace(CRM, use=CrmUse.INSTEAD_OF)):
        caller = await world.phone("+12025550111")
        call = await caller.dial("1000")
        await world.sleep(1)
        await caller.press("77#")
        await world.sleep(1)
        await caller.hangs_up()
        assert (await world.interaction(call)).customer == "c-77"
    assert asked == ["n=%2B12025550111&a=", "n=%2B12025550111&a=77"]
    found = [fact.body for fact in world.facts if isinstance(fact.body, CustomerFound)]
    assert [(each.customer, each.by) for each in found] == [("c-number", "crm"), ("c-77", "crm_account")]


@story()
async def test_a_dead_crm_is_left_alone_until_a_probe_is_answered(world: World) -> None:
    """Five callers wait for nothing; the sixth is not asked for at all."""
    down = True

    async def answer(request: httpx.Request) -> httpx.Response:
        if down:
            raise httpx.ConnectError("refused")
        return reply()

    async with crm(world, answer, replace(CRM, failures=2, pause=30.0)) as look_ups:
        state = look_ups.crms["tech"]
        for number in range(3):
            caller = await world.phone(f"+1415555010{number}")
            await caller.dial("1000")
            await world.sleep(1)
            await caller.hangs_up()
        assert (state.breaker.state.value, state.tally.failed, state.tally.left_out) == ("open", 2, 1)
        down = False
        await world.sleep(30)
        caller = await world.phone("+14155550109")
        call = await caller.dial("1000")
        await world.sleep(1)
        await caller.hangs_up()
        assert (await world.interaction(call)).customer == "c-1"
        assert state.breaker.state.value == "closed"


@story()
async def test_who_withholds_the_number_is_not_asked_for(world: World) -> None:
    """Nor is a number that the company never asks for."""
    async with crm(world, answers(), replace(CRM, never=("+1900",))) as look_ups:
        for number in ("anonymous", "+19005550100"):
            caller = await world.phone(number)
            await caller.dial("1000")
            await world.sleep(1)
            await caller.hangs_up()
            await world.settled()
        assert look_ups.crms["tech"].tally.asked == 0


@story()
async def test_the_switch_takes_no_word_for_a_call_that_is_over_and_none_that_is_no_customer(world: World) -> None:
    """The desk may be late, and a program may be wrong."""
    switch = SimSwitch(world)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    name = world.call_id(call)
    for customer, field in (
        ("Jo", "customer"),
        ({}, "customer.id"),
        ({"id": "c", "phone": "1"}, "customer"),
        ({"id": "c" * 101}, "customer.id"),
        ({"id": "c", "agent": "Ana B."}, "customer.agent"),
        ({"id": "c", "fields": {"a": 1}}, "customer.fields"),
    ):
        with pytest.raises(CommandError) as error:
            await switch.ask("customer_known", None, call=name, customer=customer)
        assert error.value.field == field
    assert (await switch.ask("customer_known", None, call=name, customer=JO_TOLD))["known"] == "taken"
    assert (await switch.ask("customer_known", None, call=name, customer=JO_TOLD))["known"] == "known"
    await caller.hangs_up()
    await world.settled()
    with pytest.raises(CommandError, match="no such call any more"):
        await switch.ask("customer_known", None, call=name, customer=JO_TOLD)


JO_TOLD = {"id": "c-1", "name": "Jo Doe", "fields": {"contract": "xl"}}
