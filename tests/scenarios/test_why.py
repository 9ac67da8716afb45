"""Why this agent, why not that one: an operator asks the running switch, and is answered in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from callcenter.acd.events import IntentChosen, Reconfigured
from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import RoutingStep
from callcenter.control.protocol import Asked, CommandError
from callcenter.model.facts import OfferMade, RoutingRelaxed
from callcenter.model.states import Intent
from callcenter.operate.why import why
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, story

SALES = "sales-english"


async def ask(world: World, **which: Any) -> dict[str, Any]:
    """What the operator is answered."""
    try:
        return await why(world.house, Asked("why", "olga", "1", which))
    except CommandError as error:
        return {"error": str(error)}


async def caller_for_sales(world: World) -> Phone:
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    return caller


def relax(world: World, after: float) -> None:
    """The queue asks for less from a time on; as a reload would have it."""
    queue = replace(
        world.plan.queues[SALES],
        requirements=(Requirement("english", 5),),
        steps=(RoutingStep(after, Requirement("english", 2)),),
    )
    world.plan = replace(world.plan, queues={**world.plan.queues, SALES: queue}, revision="abc123")
    world.house.dispatcher.tell(Reconfigured(world.plan))


@story()
async def test_the_call_went_to_the_trainee_because_the_expert_had_a_break_and_the_step_was_reached(
    world: World,
) -> None:
    relax(world, 30.0)
    await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    world.house.dispatcher.tell(IntentChosen("amy", Intent.NOT_READY, "lunch"))
    relax(world, 30.0)
    caller = await caller_for_sales(world)
    await caller.hears("music")
    await world.sleep(10)
    [call] = world.house.supervisor.calls
    waiting = await ask(world, call=call)
    assert "now: amy may take the caller, but is not ready: lunch" in waiting["lines"]
    assert any(line.startswith("now: asks for less in ") for line in waiting["lines"])

    await bob.rings(after=19)
    await bob.answers()
    await caller.hears(bob)
    await world.sleep(1)
    answer = await ask(world, call=call[-6:])
    told = "\n".join(answer["lines"])
    assert "routing step 1 asks for english>=2: time" in told
    assert "offered to bob" in told
    assert "bob was the only one who could take the caller: skills 3" in told
    assert "1 was not ready" in told
    assert "configuration abc123" in told
    assert "bob: accepted" in told
    [decision] = answer["decisions"]
    assert (decision["agent"], decision["step"], decision["excluded"]) == ("bob", 1, {"not_ready": 1})
    await caller.hangs_up()
    await world.settled()
    assert (await ask(world, call=call))["decisions"] == [decision], "it is kept when the call is over"
    assert sum(isinstance(fact.body, RoutingRelaxed | OfferMade) for fact in world.facts) == 2


@story()
async def test_why_is_bob_idle_while_a_caller_waits(world: World) -> None:
    relax(world, 3000.0)
    await world.agent("amy", english=5)
    await world.agent("bob", english=3)
    world.house.dispatcher.tell(IntentChosen("amy", Intent.NOT_READY, "lunch"))
    relax(world, 3000.0)
    caller = await caller_for_sales(world)
    await caller.hears("music")
    await world.sleep(1)
    assert (await ask(world, agent="bob"))["lines"] == [
        "bob is ready for a call",
        f"1 in {SALES} waits for english>=5: english 3 of 5 needed",
    ]
    queue = await ask(world, queue=SALES)
    assert queue["lines"][0] == f"{SALES}: 1 waiting, 0 of them being offered (best_skill)"
    assert queue["queue"]["first"]["excluded"] == {"skill": 1, "not_ready": 1}
    await caller.hangs_up()


@story()
async def test_who_asks_for_what_there_is_not_is_told_so(world: World) -> None:
    assert await ask(world, agent="nobody") == {"error": "no agent is named `nobody`"}
    await world.agent("amy", english=5)
    assert await ask(world, agent="ammy") == {"error": "no agent is named `ammy` (did you mean `amy`?)"}
    assert await ask(world, queue="nowhere") == {"error": "no queue is named `nowhere`"}
    assert await ask(world, call="nothing") == {"error": "no call `nothing` is in the log"}
    assert await ask(world) == {"error": "say one of `call`, `agent` and `queue`"}
    assert await ask(world, agent="amy", queue=SALES) == {"error": "say one of `call`, `agent` and `queue`"}
    assert await ask(world, agent=7) == {"error": "`agent` is a text"}
