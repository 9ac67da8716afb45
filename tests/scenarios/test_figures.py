"""What a monitoring system is told of the floor: counts that agree with what people do."""

from __future__ import annotations

from callcenter.calls.orders import Choose
from callcenter.model.states import Direction, Intent
from callcenter.operate.figures import figures
from callcenter.operate.status import health
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
    # What there is none of is told as 0: an alarm on what is not there would never ring.
    assert told["calls"] == {**dict.fromkeys(map(str, Direction), 0), "inbound": 2}
    assert (told["agents"]["ready"], told["agents"]["wrap_up"]) == (0, 0)
    assert (told["ready"], told["draining"]) == (True, False)
    assert "+1415" not in str(told)
    assert "amy" not in str(told)
    await second.hangs_up()
    await first.hangs_up()
    await world.sleep(1)
    assert (await figures(world.house, life))["calls"] == dict.fromkeys(map(str, Direction), 0)
    life.close()


@story()
async def test_whoever_watches_is_told_the_same_as_whoever_sends_calls(world: World) -> None:
    life = life_of(world)
    log = world.house.edges.storage.log
    log.healthy, log.detail = False, "disk full"
    assert (await figures(world.house, life))["ready"] is health(world.house, life)["ready"] is False
    log.healthy, log.detail = True, ""
    assert (await figures(world.house, life))["ready"] is True
    assert (await figures(world.house, life))["database"]["waiting_s"] == 0
    life.close()
