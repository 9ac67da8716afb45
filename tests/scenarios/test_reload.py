"""The configuration changes while people talk, wait and ring: who is there keeps what they began with, or is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from callcenter.acd.settings import Plan
from callcenter.calls.settings import Choice, Flow, Hangup, Menu, Number, QueueTreatment, Say, ToQueue
from callcenter.config import ConfigError, Settings
from callcenter.config.problems import Code, Place, Problem, Source
from callcenter.config.secrets import Secrets
from callcenter.config.settings import OwnHashes
from callcenter.control.protocol import CommandError
from callcenter.control.systemd import Notifier
from callcenter.media.plane import Clip
from callcenter.model.facts import ConfigReloaded, OfferEnded, QueueLeft
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Outcome, Side, VisitOutcome, Work
from callcenter.operate.life import Life
from callcenter.operate.reload import Logins, Reloader
from callcenter.publish import topics
from callcenter.publish.mqtt import BrokerError
from callcenter.publish.settings import MqttLogin
from callcenter.simulation import floor
from callcenter.simulation.world import World, story
from callcenter.sip.digest import Credentials


async def here(work: Callable[[], Any]) -> Any:
    """In virtual time there are no threads."""
    return work()


def reloader(world: World, load: Callable[[], Settings], broker: Logins | None = None) -> Reloader:
    """What reloads this floor, with the passwords that its phones know."""

    def accounts(settings: Settings) -> Secrets:
        for name in settings.plan.agents:
            known = Credentials.of(name, settings.sip.realm, f"secret of {name}")
            world.credentials.setdefault(name, known)
        kept = {name: world.credentials[name] for name in settings.plan.agents}
        return Secrets(kept, (), b"simulated key of the nonces")

    return Reloader(world.house, Life(), load, broker, accounts=accounts, aside=here)


async def reload(world: World, settings: Settings) -> dict[str, Any]:
    """Put these settings in force."""
    told = await reloader(world, lambda: settings).reload("olga")
    world.plan = settings.plan
    return told


def present(world: World, plan: Plan | None = None, written: dict[str, Any] | None = None, **calls: Any) -> Settings:
    """What is in force now, but for what is given."""
    settings = world.house.settings
    return replace(
        settings,
        plan=plan or world.plan,
        calls=replace(settings.calls, **calls),
        written=written or settings.written,
        revision=f"{settings.revision}+",
    )


def without_agents(plan: Plan, *names: str) -> Plan:
    return replace(plan, agents={name: agent for name, agent in plan.agents.items() if name not in names})


def without_queue(plan: Plan, name: str) -> Plan:
    return replace(plan, queues={each.id: each for each in plan.queues.values() if each.id != name})


@story()
async def test_a_new_number_with_its_queue_and_agent_takes_the_next_call(world: World) -> None:
    caller = await world.phone("+14155550100")
    with pytest.raises(AssertionError):
        await caller.dial("+18005550111")
    await world.settled()
    eva = await world.phone("eva")
    assert await eva.is_refused_registration("eva", "secret of eva") == 403

    queues = {**world.plan.queues, "vip": floor.queue("vip", french=3)}
    agents = {**world.plan.agents, "eva": floor.agent("eva", {"french": 5})}
    calls = world.house.settings.calls
    new = present(
        world,
        replace(world.plan, queues=queues, agents=agents),
        numbers={**calls.numbers, "+18005550111": Number("+18005550111", "tech", "vip")},
        flows={**calls.flows, "vip": Flow("vip", (Say("greeting"), ToQueue("vip")))},
        treatments={**calls.treatments, "vip": QueueTreatment("vip", "default")},
    )
    new = replace(new, hashes={"eva": OwnHashes()})
    await reload(world, new)
    await eva.register("eva", "secret of eva")
    call = await caller.dial("+18005550111")
    await eva.rings(within=20)
    await eva.answers()
    await caller.hears(eva)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert (saved.outcome, saved.queue, saved.agent) == (Outcome.HANDLED, "vip", "eva")
    assert world.publisher.retained[topics.queue_state("vip")]["signed_in"] == 1


@story()
async def test_a_call_under_way_goes_on_as_it_began_and_the_next_one_is_new(world: World) -> None:
    amy = await world.agent("amy", english=5)
    before, after = await world.phone("+14155550100"), await world.phone("+14155550101")
    old_call = await before.dial("1000")
    await before.hears("menu", within=10)

    menu = Menu("other", "menu", {"1": Choice("spanish", "es", (Hangup("goodbye"),))})
    await reload(world, present(world, flows={"main": Flow("main", (menu,))}))
    new_call = await after.dial("1000")
    await after.press("1")
    await after.is_hung_up(within=20)
    await before.press("1")
    await amy.rings()
    await amy.answers()
    await before.hears(amy)
    await before.hangs_up()
    assert (await world.interaction(old_call)).intent == "sales"
    saved = await world.interaction(new_call)
    assert (saved.intent, saved.language, saved.outcome) == ("spanish", "es", Outcome.SELF_SERVED)


@story()
async def test_callers_of_a_queue_that_is_gone_leave_it_at_once(world: World) -> None:
    first, second = await world.phone("+14155550100"), await world.phone("+14155550101")
    calls = [await phone.dial("1000") for phone in (first, second)]
    for phone in (first, second):
        await phone.press("1")
        await phone.hears("music", within=20)
    old = {"queues": {"sales-english": {"client": "tech"}, "sales-spanish": {"client": "tech"}}}
    world.house.settings = replace(world.house.settings, written=old)
    gone = present(world, without_queue(world.plan, "sales-english"), {"queues": {"sales-spanish": {"client": "tech"}}})
    told = await reload(world, gone)
    assert [(each["sign"], each["path"], each["note"]) for each in told["changes"]] == [
        ("-", "queues.sales-english", "2 callers waiting now: go on behind the queue at once")
    ]
    for phone in (first, second):
        await phone.is_hung_up(within=10)
    for call in calls:
        saved = await world.interaction(call)
        assert (saved.visits[0].outcome, saved.visits[0].reason) == (VisitOutcome.FLOWED_OUT, "queue_removed")
    assert topics.queue_state("sales-english") not in world.publisher.retained


@story()
async def test_a_caller_still_in_the_old_menu_finds_the_queue_gone_and_goes_on_behind_it(world: World) -> None:
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.hears("menu", within=10)
    await reload(world, present(world, without_queue(world.plan, "sales-english")))
    await caller.press("1")
    await caller.is_hung_up(within=20)
    saved = await world.interaction(call)
    assert (saved.visits[0].outcome, saved.visits[0].reason) == (VisitOutcome.REFUSED, "unknown_queue")


@story()
async def test_a_shorter_longest_wait_holds_for_those_who_wait_and_says_whom_it_moves(world: World) -> None:
    patient, late = await world.phone("+14155550100"), await world.phone("+14155550101")
    old_call = await patient.dial("1000")
    await patient.press("1")
    await world.sleep(120)
    await late.dial("1000")
    await late.press("1")
    await late.hears("music", within=20)
    queue = replace(world.plan.queues["sales-english"], max_wait=60.0)
    world.house.settings = replace(world.house.settings, written={"queues": {"sales-english": {"max_wait": "5m"}}})
    new = present(
        world,
        replace(world.plan, queues={**world.plan.queues, "sales-english": queue}),
        {"queues": {"sales-english": {"max_wait": "60s"}}},
    )
    seen = await reloader(world, lambda: new).look()
    [change] = seen["changes"]
    assert (change["sign"], change["path"], change["before"], change["after"]) == (
        *("~", "queues.sales-english.max_wait"),
        *("5m", "60s"),
    )
    assert change["note"] == "2 callers waiting now: 1 has waited longer and overflows at once"
    await world.sleep(1)
    assert world.house.acd.plan.queues["sales-english"].max_wait == 300.0, "a look changes nothing"
    await reload(world, new)
    await patient.hears("nobody")
    await patient.is_hung_up(within=10)
    await late.hears("music")
    await late.hangs_up()
    assert (await world.interaction(old_call)).outcome is Outcome.UNSERVED


@story()
async def test_who_waited_too_long_hears_the_flow_that_a_reload_put_there_meanwhile(world: World) -> None:
    """In a storm the overflow gets a flow and a prompt of its own: also who waits already is not let go without a word.

    One of them was served in a language that the company has no more.
    """
    first, second = await world.phone("+14155550100"), await world.phone("+14155550101")
    for phone, key in ((first, "1"), (second, "2")):
        await phone.dial("1000")
        await phone.press(key)
        await phone.hears("music", within=20)
    queues = {name: replace(queue, on_max_wait="storm") for name, queue in world.plan.queues.items()}
    calls = world.house.settings.calls
    texts = {key: clips for key, clips in calls.prompts.texts.items() if key[1] == "en"}
    texts["storm", "en"] = (Clip("storm.en", 2.0),)
    new = present(
        world,
        replace(world.plan, queues=queues),
        clients={"tech": replace(calls.clients["tech"], languages=("en",))},
        flows={**calls.flows, "storm": Flow("storm", (Hangup("storm"),))},
        prompts=replace(calls.prompts, texts=texts),
    )
    await reload(world, new)
    await first.hears("storm.en", after=300)
    await second.hears("storm.en")
    for phone in (first, second):
        await phone.is_hung_up()


@story()
async def test_an_agent_who_is_removed_in_a_talk_talks_on_also_with_the_caller_on_hold(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    old = {"agents": {"amy": {"name": "Amy"}}}
    world.house.settings = replace(world.house.settings, plan=world.plan, written=old)
    told = await reload(world, present(world, without_agents(world.plan, "amy"), {"agents": {}}))
    [change] = told["changes"]
    assert (change["path"], change["note"]) == ("agents.amy", "talks now: the call goes on, then signed out")
    await amy.hold()
    # A phone that holds is asked whether it is there; it must still be known where.
    await world.sleep(120)
    await amy.resume()
    await caller.hears(amy)
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    await world.sleep(31)  # the wrap-up
    saved = await world.interaction(call)
    assert saved.offers == (("amy", OfferResult.ACCEPTED),)
    assert saved.ending is not None
    assert saved.ending.by is Side.CALLER
    assert world.house.acd.agent("amy") is None
    assert world.house.registrar.bindings("amy") == ()
    assert topics.agent_state("amy") not in world.publisher.retained
    assert await amy.is_refused_registration("amy", "secret of amy") == 403


@story()
async def test_an_agent_who_is_removed_while_it_rings_loses_the_call_to_the_next(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await reload(world, present(world, without_agents(world.plan, "amy")))
    await amy.stops_ringing()
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.offers == (("amy", OfferResult.UNREACHABLE), ("bob", OfferResult.ACCEPTED))
    ended = next(fact.body for fact in world.facts if isinstance(fact.body, OfferEnded))
    assert ended.detail == "removed from the configuration"


@story()
async def test_an_agent_who_comes_back_registers_again_and_takes_calls(world: World) -> None:
    amy = await world.agent("amy", english=5)
    full = world.plan
    await reload(world, present(world, without_agents(world.plan, "amy")))
    await world.settled()
    assert world.house.registrar.bindings("amy") == ()
    assert topics.agent_state("amy") not in world.publisher.retained
    amy.registers_no_more()
    await reload(world, present(world, full))
    await world.settled()
    state = world.publisher.retained[topics.agent_state("amy")]
    assert (state["chosen"], state["device"]) == (Intent.SIGNED_OUT, Device.UNREACHABLE)
    await amy.register("amy", "secret of amy")
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await caller.hangs_up()


@story()
async def test_a_reload_is_a_fact_and_retained_for_the_floor(world: World) -> None:
    await reload(world, present(world))
    assert [fact.body for fact in world.facts if isinstance(fact.body, ConfigReloaded)] == [
        ConfigReloaded("simulation+", "olga")
    ]
    await world.settled()
    state = world.publisher.retained[topics.CONFIG]
    assert (state["revision"], state["by"]) == ("simulation+", "olga")
    assert world.house.at_next_start == ()


@story()
async def test_what_is_gone_is_cleared_also_by_the_next_run_when_the_broker_was_away(world: World) -> None:
    await world.agent("amy", english=5)
    await reload(world, present(world))  # the floor's agents come without one
    await world.settled()
    gone = {topics.agent_state("amy"), topics.queue_state("sales-english")}
    assert gone <= world.publisher.retained.keys()
    world.publisher.die()
    await reload(world, present(world, without_queue(without_agents(world.plan, "amy"), "sales-english")))
    await world.restart()
    await world.restart(crash=True)
    world.publisher.revive()
    await world.sleep(30)
    assert not gone & world.publisher.retained.keys()
    # And what was cleared is not cleared again by every run.
    before = len(world.publisher.messages)
    await world.restart()
    await world.sleep(30)
    assert not gone & {message.topic for message in world.publisher.messages[before:]}


MISTAKE = Problem(
    Code.NAMES_NOTHING,
    Place(Source("queues.yaml", ("queues:", "  sales: {client: acme}")), 2, 19, 23),
    "queues.sales.client",
    "no client is named `acme`",
)


class Refusing:
    """A broker whose files cannot be written."""

    async def set_logins(self, logins: Iterable[MqttLogin]) -> None:
        """Raises BrokerError."""
        raise BrokerError("the broker's folder cannot be used: No space left on device")


@story()
async def test_mistakes_change_nothing_and_every_one_is_told(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    house = world.house
    before = (house.settings, house.services.settings, house.acd.plan, house.secrets, house.stream.seq)

    def broken() -> Settings:
        raise ConfigError([MISTAKE, MISTAKE])

    with pytest.raises(CommandError, match="2 problems in 1 file, the running configuration is untouched") as caught:
        await reloader(world, broken).reload("olga")
    assert caught.value.details["problems"][0].startswith("queues.yaml:2:19: REF101 queues.sales.client: no client")

    # A recording that cannot be read.
    world.plane.unreadable.add("new.wav")
    clips = {**house.settings.calls.prompts.texts, ("new", "en"): (Clip("new.wav", 1.0),)}
    prompts = replace(house.settings.calls.prompts, texts=clips)
    unreadable = present(world, without_agents(world.plan, "amy"), prompts=prompts)
    with pytest.raises(CommandError, match=r"new\.wav: cannot be read.*; the running configuration is untouched"):
        await reloader(world, lambda: unreadable).reload("olga")

    gone = present(world, without_agents(world.plan, "amy"))
    with pytest.raises(CommandError, match="No space left on device; the running configuration is untouched"):
        await reloader(world, lambda: gone, Refusing()).reload("olga")
    with pytest.raises(CommandError, match="the files have changed since they were looked at"):
        await reloader(world, lambda: gone).reload("olga", revision="simulation")

    assert (house.settings, house.services.settings, house.acd.plan, house.secrets, house.stream.seq) == before
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_two_reloads_at_once_are_one(world: World) -> None:
    waiting = world.loop.create_future()

    async def slowly(work: Callable[[], Any]) -> Any:
        await waiting
        return work()

    slow = Reloader(world.house, Life(), lambda: present(world), accounts=lambda _: world.secrets, aside=slowly)
    first = world.loop.create_task(slow.reload("olga"))
    await world.settled()
    with pytest.raises(CommandError, match="a reload is under way"):
        await slow.reload("pavel")
    waiting.set_result(None)
    assert (await first)["revision"] == "simulation+"


@story()
async def test_a_reload_that_is_overtaken_by_the_end_changes_nothing(world: World) -> None:
    waiting, life = world.loop.create_future(), Life()

    async def slowly(work: Callable[[], Any]) -> Any:
        await waiting
        return work()

    slow = Reloader(world.house, life, lambda: present(world), accounts=lambda _: world.secrets, aside=slowly)
    reloading = world.loop.create_task(slow.reload("olga"))
    await world.settled()
    life.end("SIGTERM")
    waiting.set_result(None)
    with pytest.raises(CommandError, match="the switch goes down: nothing is loaded"):
        await reloading
    assert not [fact for fact in world.facts if isinstance(fact.body, ConfigReloaded)]


@story()
async def test_the_service_manager_hears_the_end_of_a_reload_also_when_a_drain_begins_meanwhile(world: World) -> None:
    waiting, manager = world.loop.create_future(), Manager()
    life = Life(manager)
    life.begin(world.house)

    async def slowly(work: Callable[[], Any]) -> Any:
        await waiting
        return work()

    slow = Reloader(world.house, life, lambda: present(world), accounts=lambda _: world.secrets, aside=slowly)
    reloading = world.loop.create_task(slow.reload("olga"))
    await world.settled()
    life.begin_drain("olga", 600.0)
    waiting.set_result(None)
    await reloading
    assert [name for name in manager.told if name != "STATUS"][-3:] == ["RELOADING", "MONOTONIC_USEC", "READY"]
    life.cancel_drain("olga")
    life.close()


class Manager(Notifier):
    """A service manager that notes what it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def tell(self, **state: str | int) -> None:
        """Note it."""
        self.told += state


@story()
async def test_new_sounds_are_ready_before_anybody_hears_them(world: World) -> None:
    clips = {**world.house.settings.calls.prompts.texts, ("greeting", "en"): (Clip("good-morning", 2.0),)}
    await reload(world, present(world, prompts=replace(world.house.settings.calls.prompts, texts=clips)))
    assert "good-morning" in world.plane.prepared
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.hears("good-morning")
    await caller.hangs_up()


def visits_of(world: World) -> list[tuple[VisitOutcome, str]]:
    return [(fact.body.outcome, fact.body.reason) for fact in world.facts if isinstance(fact.body, QueueLeft)]


@story()
async def test_no_moment_of_a_call_is_hurt_by_a_reload(world: World) -> None:
    """The same configuration again, twenty times a second, from the dialling to the wrap-up."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")

    async def again() -> None:
        while True:
            await reload(world, present(world))
            await world.sleep(0.05)

    reloading = world.loop.create_task(again())
    call = await world.connect(caller, amy)
    await world.sleep(10)
    await caller.hangs_up()
    await world.sleep(5)
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.work is Work.WRAP_UP
    reloading.cancel()
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert (saved.outcome, saved.ending.cause) == (Outcome.HANDLED, EndCause.HANGUP)
    assert visits_of(world) == [(VisitOutcome.ANSWERED, "")]
