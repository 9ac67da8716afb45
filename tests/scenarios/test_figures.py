"""What a monitoring system is told of the floor: counts that agree with what people do."""

from __future__ import annotations

from callcenter.calls.orders import Choose
from callcenter.model.states import Intent
from callcenter.operate.figures import figures
from callcenter.simulation.world import World, story
from tests.scenarios.test_drain import life_of


@story()
async def test_who_waits_talks_and_rests_is_counted_and_nobody_is_named(world: World) -> None:
    life = life_of(world)
    amy, _ = await world.agent("amy", english=5), await world.agent("bob", english=5)
    first, second = await world.phone("+14155550100"), await world.phone("+14155550101")
    await world.connect(first, amy)
    world.house.desk.obey("bob", Choose(Intent.NOT_READY, "lunch"), by="bob")
    await second.dial("1000")
    await second.press("1")
    await second.hears("music")
    await world.sleep(7)
    told = await figures(world.house, life)
    [queue] = [each for each in told["queues"] if each["waiting"]]
    assert (queue["waiting"], queue["callbacks"]) == (1, 0)
    assert 7 <= queue["longest_s"] < 9
    assert (told["agents"]["talking"], told["agents"]["not_ready"]) == (1, 1)
    assert told["calls"] == {"inbound": 2}
    assert (told["ready"], told["draining"]) == (True, False)
    assert "+1415" not in str(told)
    assert "amy" not in str(told)
    await second.hangs_up()
    await first.hangs_up()
    await world.sleep(1)
    assert (await figures(world.house, life))["calls"] == {}
    life.close()
