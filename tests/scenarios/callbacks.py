"""What stories of callbacks share: a floor that calls back, who asks for it, and what was told of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from callcenter.acd.events import Reconfigured
from callcenter.calls.settings import (
    AskCallback,
    CallbackPrompts,
    CallbackRules,
    Flow,
    QueueTreatment,
    Step,
    ToQueue,
    position_of,
)
from callcenter.media.plane import Clip
from callcenter.model.facts import (
    CallbackAttempted,
    CallbackEnded,
    CallbackFailed,
    CallbackRequested,
    CallConnected,
    CallQueued,
    QueueLeft,
)
from callcenter.simulation import floor
from callcenter.simulation.phone import Phone
from callcenter.simulation.trunk import Manners, SimTrunk
from callcenter.simulation.world import AgentPhone, World
from tests.scenarios.carrier import reaches
from tests.scenarios.trunks import trunk

SALES, HELP = "sales-english", "help"
ANN, BEN, CLEO = "+14155550101", "+14155550102", "+14155550103"
TO_SALES = ToQueue(SALES, keys={"1": (AskCallback(SALES),)})


def furnish(
    world: World, *steps: Step, queues: Sequence[str] = (SALES, HELP), rules: CallbackRules | None = None
) -> None:
    """A floor where callers come to these steps at once and may press 1 to be called back; as a reload would have it.

    What is known of the company's trunks stays.
    """
    services = world.house.services
    plans = {name: replace(world.plan.queues.get(name) or floor.queue(name, support=2), max_wait=600.0)
             for name in queues}  # fmt: skip
    world.plan = replace(world.plan, queues=plans)
    prompts = CallbackPrompts()
    spoken = dict.fromkeys(prompts.all, 1.0) | {position_of(prompts.digit, digit): 0.2 for digit in range(10)}
    texts = {(name, tag): (Clip(f"{name}.{tag}", length),) for name, length in spoken.items() for tag in ("en", "es")}
    settings = services.settings
    tech = settings.clients["tech"]
    if rules is not None:
        tech = replace(tech, callbacks=rules)
    settings = replace(
        settings,
        clients={"tech": tech},
        flows={**settings.flows, "main": Flow("main", steps or (TO_SALES,))},
        treatments={name: QueueTreatment(name, "default") for name in plans},
        prompts=replace(settings.prompts, texts={**settings.prompts.texts, **texts}, ringback=(Clip("ringback", 6.0),)),
    )
    world.house.dispatcher.tell(Reconfigured(world.plan))
    world.house.dispatcher.decide()
    services.settings = settings
    # So has the next run of the switch.
    world.settings = replace(world.settings, calls=settings)
    world.house.callbacks.reconfigured()


async def waits(world: World, number: str) -> Phone:
    """A caller who has dialled and waits."""
    phone = await world.phone(number)
    await phone.dial("1000")
    await phone.hears("music")
    return phone


async def asks(phone: Phone, *, keys: str = "1") -> None:
    """A caller who waits asks to be called back, at the number that is read out, and is hung up on."""
    await phone.press("1")
    await phone.hears("callback-choose")
    await phone.press(keys)
    await phone.hears("callback-accepted")
    await phone.is_hung_up()


async def has_asked(world: World, number: str) -> Phone:
    """A caller who has asked."""
    phone = await waits(world, number)
    await asks(phone)
    await world.settled()
    return phone


async def is_to_be_called_back(
    world: World, number: str = ANN, *steps: Step, rules: CallbackRules | None = None
) -> Phone:
    """The company calls out to this customer's phone alone, who has asked to be called back."""
    phone = await customer_at(world, number, *steps, rules=rules)
    await phone.dial("1000")
    await phone.hears("music")
    await asks(phone)
    await world.settled()
    return phone


async def customer_at(world: World, number: str = ANN, *steps: Step, rules: CallbackRules | None = None) -> Phone:
    """A customer's phone, which alone is reached by the company that calls back."""
    phone = await world.phone(number)
    reaches(world, phone.host.address)
    furnish(world, *steps, rules=rules)
    return phone


async def calls_out(
    world: World, *steps: Step, rules: CallbackRules | None = None, manners: Manners | None = None
) -> SimTrunk:
    """The company's carrier, by which it calls back whoever asks."""
    carrier = await world.carrier("carrier")
    if manners is not None:
        carrier.manners = manners
    world.trunks(trunk(carrier))
    furnish(world, *steps, rules=rules)
    return carrier


async def has_talked(world: World, agent: AgentPhone, customer: Phone) -> None:
    """The agent was rung, then the customer, and both have talked."""
    await talk(world, agent, customer)
    await hang_up(customer, agent)


async def talks_to(agent: AgentPhone, customer: Phone) -> None:
    """An agent who is rung calls the customer, and both have talked."""
    await agent.answers()
    await customer.rings()
    await customer.answers()
    await customer.hears(agent)
    await hang_up(customer, agent)


async def hang_up(customer: Phone, agent: AgentPhone) -> None:
    """The customer hangs up, and with it the agent is hung up on."""
    await customer.hangs_up()
    await agent.is_hung_up()


async def talk(world: World, agent: AgentPhone, customer: Phone) -> None:
    """The agent's phone rings, then the customer's, and both talk."""
    await agent.rings()
    await agent.answers()
    await customer.rings()
    await customer.answers()
    await customer.hears(agent)
    assert world.hear_each_other(agent, customer)


def told(world: World) -> list[str]:
    """The story of all callbacks, in words."""
    words = []
    for fact in world.facts:
        match fact.body:
            case CallbackRequested(number=number):
                words.append(f"requested {number[-3:]}")
            case CallbackAttempted(attempt=attempt, agent=agent, number=number):
                words.append(f"attempt {attempt} of {number[-3:]} by {agent}")
            case CallbackFailed(cause=cause):
                words.append(f"failed: {cause}")
            case CallbackEnded(outcome=outcome, detail=detail):
                words.append(f"{outcome}: {detail}" if detail else str(outcome))
            case _:
                pass
    return words


def visits(world: World) -> list[tuple[bool, str, str]]:
    """Every visit that has ended, as (whether it was a callback's, outcome, reason)."""
    callbacks = {fact.body.visit: bool(fact.body.callback)
                 for fact in world.facts if isinstance(fact.body, CallQueued)}  # fmt: skip
    return [(callbacks[fact.body.visit], fact.body.outcome.value, fact.body.reason)
            for fact in world.facts if isinstance(fact.body, QueueLeft)]  # fmt: skip


def served(world: World) -> list[str]:
    """Who was answered, by the number, in order."""
    numbers = {}
    for call in world.facts:
        number = getattr(call.body, "to_number" if getattr(call.body, "callback", "") else "from_number", "")
        if number:
            numbers[call.call_id] = number
    return [numbers[fact.call_id] for fact in world.facts if isinstance(fact.body, CallConnected)]
