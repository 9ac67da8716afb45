"""The switch goes down, in good order or as if its power failed, and the next one tells what became of the calls."""

from __future__ import annotations

from callcenter.model.facts import AgentStateChanged
from callcenter.model.states import Device, EndCause, Intent, Outcome
from callcenter.simulation.world import World, story


@story()
async def test_a_switch_that_goes_down_in_good_order_hangs_up_and_books_every_call(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550101")
    waiting = await world.phone("+14155550102")
    talk = await world.connect(caller, amy)
    wait = await waiting.dial("1000")
    await waiting.press("1")
    await waiting.hears("music")
    await world.restart()
    await amy.is_hung_up()
    assert caller.is_free
    assert waiting.is_free
    for call, outcome in ((talk, Outcome.HANDLED), (wait, Outcome.LOST)):
        saved = await world.interaction(call)
        assert saved.outcome is outcome
        assert saved.ending is not None
        assert saved.ending.cause is EndCause.SHUTDOWN
    await world.connect(caller, amy)
    await caller.hangs_up()
    await amy.is_hung_up()


@story()
async def test_a_switch_whose_power_fails_closes_the_books_when_it_is_back(world: World) -> None:
    """Nobody is told: the phones find out when they hang up. Who registered is known, and takes the next call."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550101")
    call = await world.connect(caller, amy)
    await world.sleep(30)
    await world.restart(crash=True)
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.HANDLED
    assert saved.ending is not None
    assert saved.ending.cause is EndCause.RESTART
    assert not caller.is_free
    await caller.hangs_up()
    await amy.hangs_up()
    told = [fact.body for fact in world.facts if isinstance(fact.body, AgentStateChanged)]
    assert (told[-1].intent, told[-1].device) == (Intent.READY, Device.REGISTERED)
    await world.connect(caller, amy)
    await caller.hangs_up()
    await amy.is_hung_up()
