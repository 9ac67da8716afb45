"""The hub of events: every reader is told every fact that is theirs once, in order, whatever restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.control.server import ControlServer
from callcenter.desk.events import Cut, Hub, Page, TooMany, Unwritten, encoded
from callcenter.desk.switch import Switch
from callcenter.desk.whose import Whose
from callcenter.model.access import Actor
from callcenter.model.facts import CallAnswered, CustomerErased, DigitsEntered
from tests.unit.desk.two_companies import ADMIN, SUPERVISOR, Floor, a_floor, call_of

ACME, GLOBEX = "cc1-acme", "cc1-globex"


@asynccontextmanager
async def following(floor: Floor) -> AsyncIterator[None]:
    """The hub follows the facts while the block lasts."""
    task = asyncio.create_task(floor.hub.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def told(floor: Floor, actor: Actor, after: int, until: int) -> list[int]:
    """The numbers that a reader is told, until the position is ``until``."""
    found: list[int] = []
    async with asyncio.timeout(10):
        async for page in floor.hub.read(actor, await floor.hub.position_of(actor, after)):
            found += [fact.seq for fact in page.facts]
            if page.position >= until:
                return found
    raise AssertionError


async def test_a_reader_is_told_what_comes_and_what_was_before_in_order() -> None:
    async with a_floor(ring=3, page=2, heartbeat=0.02) as floor:
        for _ in range(10):
            floor.add(DigitsEntered("main", "1", True))
        await floor.written()
        async with following(floor):
            reading = asyncio.create_task(told(floor, ADMIN, 0, 15))
            await floor.hub.position_of(ADMIN, 10)
            for _ in range(5):
                floor.add(DigitsEntered("main", "2", True))
            assert await reading == list(range(1, 16))
            assert await told(floor, ADMIN, 13, 15) == [14, 15], "out of the ring"
            assert floor.followed == 1, "one follows for all"


async def test_who_is_erased_is_not_in_the_ring_any_more() -> None:
    async with a_floor(ring=100, page=50, heartbeat=0.02) as floor, following(floor):
        await floor.hub.position_of(ADMIN, None)
        floor.add(call_of("acme"), ACME)
        floor.add(CustomerErased("acme", ("c-1",), "admin ada"))
        floor.add(CallAnswered(), ACME)
        await floor.written()
        await floor.hub.position_of(ADMIN, 3)
        assert [fact.seq for fact in floor.hub._ring] == [2, 3]
        assert await told(floor, ADMIN, 0, 3) == [1, 2, 3], "the first one as the database has it now"
        assert await told(floor, ADMIN, 1, 3) == [2, 3]


async def test_what_is_anothers_is_left_out_and_the_position_goes_on_all_the_same() -> None:
    async with a_floor(page=2, heartbeat=0.02) as floor:
        floor.add(call_of("acme"), ACME)
        floor.add(call_of("globex"), GLOBEX)
        for call in (GLOBEX, GLOBEX, ACME, GLOBEX, GLOBEX, GLOBEX):
            floor.add(CallAnswered(), call)
        await floor.written()
        async with following(floor):
            assert await told(floor, SUPERVISOR, 0, 8) == [1, 5]
            assert await told(floor, ADMIN, 0, 8) == list(range(1, 9))


async def test_calls_that_began_before_the_desk_are_known_for_whose_they_are() -> None:
    async with a_floor(ring=2, heartbeat=0.02) as floor:
        floor.add(call_of("acme"), ACME)
        floor.add(call_of("globex"), GLOBEX)
        await floor.written()
        async with following(floor):
            await told(floor, ADMIN, 0, 2)
            for call in (GLOBEX, ACME):
                floor.add(CallAnswered(), call)
            assert await told(floor, SUPERVISOR, 2, 4) == [4]


async def test_silence_is_broken_by_the_position_alone() -> None:
    async with a_floor(heartbeat=0.01) as floor:
        floor.add(CallAnswered(), GLOBEX)
        await floor.written()
        async with following(floor):
            pages = floor.hub.read(SUPERVISOR, 0)
            page = await anext(pages)
            assert (list(page.facts), page.position) == ([], 1)
            assert encoded(page) == b"id: 1\n\n", "an event without data is no event: who comes back asks from there"
            await pages.aclose()


async def test_a_restart_of_the_desk_neither_loses_nor_doubles_anything() -> None:
    async with a_floor(ring=3, heartbeat=0.02) as floor:
        found: list[int] = []
        for number in range(5):
            async with following(floor):
                for _ in range(4):
                    floor.add(DigitsEntered("main", str(number), True))
                await floor.written()
                found += await told(floor, ADMIN, found[-1] if found else 0, floor.stream.seq - 1)
            floor.add(DigitsEntered("while", "away", True))
            await floor.written()
            floor.another_hub()
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= 23


async def test_a_restart_of_the_switch_neither_loses_nor_doubles_anything(tmp_path: Path) -> None:
    """Over the switch's own socket, which goes and comes back, with facts before, between and after."""
    async with a_floor(ring=3, page=2, heartbeat=0.02) as floor:
        socket = tmp_path / "control.sock"
        floor.hub = Hub(Switch(socket).facts, floor.storage.database, Whose(lambda: floor.settings), floor.limits)
        async with following(floor):
            reading = asyncio.create_task(told(floor, ADMIN, 0, 12))
            for _ in range(3):
                server = ControlServer(socket, {}, floor.storage.log)
                floor.add(DigitsEntered("while", "away", True))
                await server.open()
                for _ in range(3):
                    floor.add(DigitsEntered("while", "there", True))
                await floor.hub.position_of(ADMIN, floor.stream.seq)
                await server.close()
            assert await reading == list(range(1, 13))


async def test_a_fact_that_the_snapshot_knows_before_the_hub_is_waited_for() -> None:
    async with a_floor(heartbeat=0.02) as floor, following(floor):
        begun = asyncio.create_task(floor.hub.position_of(ADMIN, 1))
        await asyncio.sleep(0)
        assert not begun.done()
        floor.add(CallAnswered(), ACME)
        assert await begun == 1


async def test_a_number_of_another_switch_is_refused() -> None:
    async with a_floor(behind=0.01) as floor:
        floor.add(CallAnswered(), ACME)
        await floor.written()
        async with following(floor):
            with pytest.raises(Unwritten, match="fact 4711 is not written, the last one is 1"):
                await floor.hub.position_of(ADMIN, 4711)


async def test_readers_are_bounded_for_each_and_for_all() -> None:
    async with a_floor(heartbeat=0.01, readers=3, readers_of_one=2) as floor, following(floor):
        held = [floor.hub.read(actor, 0) for actor in (ADMIN, ADMIN, SUPERVISOR)]
        for each in held[:2]:
            await anext(each)
        with pytest.raises(TooMany, match="you follow the events 2 times already"):
            await floor.hub.position_of(ADMIN, None)
        await anext(held[2])
        with pytest.raises(TooMany, match="3 follow the events, and no more are taken"):
            await floor.hub.position_of(SUPERVISOR, None)
        with pytest.raises(Cut):
            await anext(floor.hub.read(SUPERVISOR, 0))
        await held[0].aclose()
        assert await floor.hub.position_of(SUPERVISOR, None) == 0
        for each in held[1:]:
            await each.aclose()


async def test_readers_of_a_log_that_began_anew_are_sent_for_a_snapshot() -> None:
    async with a_floor(heartbeat=0.01) as floor:
        for _ in range(3):
            floor.add(CallAnswered(), ACME)
        await floor.written()
        async with following(floor):
            pages = floor.hub.read(ADMIN, 0)
            await anext(pages)
        await floor.storage.database.execute("DELETE FROM facts WHERE seq > 1")
        async with following(floor):
            with pytest.raises(Cut, match="take a snapshot"):
                await anext(pages)


def test_an_event_has_its_number_and_one_line_of_data() -> None:
    from tests.unit.storage.support import fact

    lines = encoded(Page([fact(7, DigitsEntered("main", "1\n2\ud800", True))], 9)).decode("ascii").split("\n")
    assert (lines[0], lines[1][:16], lines[2:]) == ("id: 7", 'data: {"seq":7,"', ["", "id: 9", "", ""])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["acme", "globex", "restart", "read"]), max_size=30),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_whatever_happens_a_reader_has_every_fact_of_theirs_once(steps: list[str], ring: int, page: int) -> None:
    async def story() -> None:
        async with a_floor(ring=ring, page=page, heartbeat=0.005) as floor:
            floor.add(call_of("acme"), ACME)
            floor.add(call_of("globex"), GLOBEX)
            expected, found, position = [1], list[int](), 0
            task = asyncio.create_task(floor.hub.run())
            for step in [*steps, "read"]:
                if step == "restart":
                    task.cancel()
                    await asyncio.wait({task})
                    floor.another_hub()
                    task = asyncio.create_task(floor.hub.run())
                elif step == "read":
                    await floor.written()
                    if position < floor.stream.seq:
                        found += await told(floor, SUPERVISOR, position, floor.stream.seq)
                        position = floor.stream.seq
                else:
                    seq = floor.add(CallAnswered(), ACME if step == "acme" else GLOBEX)
                    expected += [seq] if step == "acme" else []
            task.cancel()
            await asyncio.wait({task})
            assert found == expected

    asyncio.run(story())
