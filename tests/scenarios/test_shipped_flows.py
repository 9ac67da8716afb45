"""What callers of the shipped configuration meet, at night and by day."""

from __future__ import annotations

import pytest

from callcenter.acd.events import Reconfigured
from callcenter.config import Settings, load
from callcenter.model.customer import Match
from callcenter.model.facts import CallQueued
from callcenter.simulation.world import AgentPhone, World, tell
from callcenter.storage.customer_csv import CustomerFiles

GRACE, STRANGER = "+12025550111", "+14155550199"
# The world begins on a Monday at 09:00 UTC: 04:00 in New York.
MORNING_IN_NEW_YORK = 4 * 3600.0


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load(None, data=tmp_path_factory.mktemp("data"))


async def move_in(world: World, shipped: Settings) -> AgentPhone:
    """The shipped companies, queues and customers, and Diego at his phone."""
    diego = await world.agent("diego", spanish=5)
    world.house.services.settings = shipped.calls
    world.house.dispatcher.tell(Reconfigured(shipped.plan))
    assert shipped.customers is not None
    await CustomerFiles(world.storage.database).import_csv(shipped.customers, world.clock.now())
    await world.settled()
    return diego


def test_the_first_call_reaches_an_agent_at_any_hour(shipped: Settings) -> None:
    """What the README promises: dial 1000, press 2."""

    async def at_night(world: World) -> None:
        diego = await move_in(world, shipped)
        caller = await world.phone(STRANGER)
        await caller.dial("1000")
        await caller.hears("tech-giant-welcome")
        await caller.press("2")
        await diego.rings(within=8)
        await caller.hangs_up()

    tell(at_night)


def test_the_support_line_is_closed_at_night_and_says_so(shipped: Settings) -> None:
    async def at_night(world: World) -> None:
        await move_in(world, shipped)
        caller = await world.phone(STRANGER)
        await caller.dial("1001")
        await caller.hears("tech-giant-welcome")
        await caller.hears("support-closed")
        await caller.is_hung_up(after=12)

    tell(at_night)


@pytest.mark.parametrize(("number", "keys"), [(STRANGER, "48213#1"), (GRACE, "1")])
def test_a_gold_customer_is_known_by_number_or_account_and_goes_first(
    number: str, keys: str, shipped: Settings
) -> None:
    async def by_day(world: World) -> None:
        diego = await move_in(world, shipped)
        await world.sleep(MORNING_IN_NEW_YORK)
        caller = await world.phone(number)
        call = await caller.dial("1001")
        await caller.hears("ask-account" if number == STRANGER else "support-line-menu", after=3)
        await caller.press(keys)
        await diego.rings(within=8)
        pop = await diego.screen_pop()
        assert (pop["customer"]["name"], pop["customer"]["tier"]) == ("Grace Whitfield", "gold")
        await caller.hangs_up()
        assert (await world.interaction(call)).match is Match.SURE
        queued = [fact.body for fact in world.facts if isinstance(fact.body, CallQueued)]
        assert [(each.queue, each.priority) for each in queued] == [("tech-giant-support-en", 20)]

    tell(by_day)


def test_lucia_is_spoken_to_in_spanish(shipped: Settings) -> None:
    async def by_day(world: World) -> None:
        diego = await move_in(world, shipped)
        await world.sleep(MORNING_IN_NEW_YORK)
        caller = await world.phone("+13055550134")
        await caller.dial("1001")
        await caller.hears("/es/")
        await caller.press("1")
        await diego.rings(within=10)
        assert (await diego.screen_pop())["queue"] == "tech-giant-support-es"
        await caller.hangs_up()

    tell(by_day)


@pytest.mark.parametrize("keys", ["#", "", "99999#*#"])
def test_who_has_no_account_number_is_served_all_the_same(keys: str, shipped: Settings) -> None:
    """Skipped, waited out, and wrong before it is skipped."""

    async def by_day(world: World) -> None:
        diego = await move_in(world, shipped)
        await world.sleep(MORNING_IN_NEW_YORK)
        caller = await world.phone(STRANGER)
        await caller.dial("1001")
        await caller.hears("ask-account", after=3)
        await caller.press(keys)
        await caller.hears("support-line-menu", after=12)
        await caller.press("1")
        await diego.rings(within=8)
        assert (await diego.screen_pop())["customer"] == {"match": "none"}
        await caller.hangs_up()

    tell(by_day)


def test_who_presses_nothing_at_all_gets_somebody(shipped: Settings) -> None:
    async def by_day(world: World) -> None:
        diego = await move_in(world, shipped)
        await world.sleep(MORNING_IN_NEW_YORK)
        caller = await world.phone(STRANGER)
        await caller.dial("1001")
        await diego.rings(after=30, within=60)
        await caller.hangs_up()

    tell(by_day)
