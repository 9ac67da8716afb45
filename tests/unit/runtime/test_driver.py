"""The driver of a core: order, one timer, and mistakes that stay small."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from callcenter.runtime.driver import Driver
from callcenter.simulation.clock import SimClock, VirtualLoop, run


class Egg:
    """A core that rings at the times it was set to."""

    def __init__(self) -> None:
        self.due: list[float] = []
        self.expired_at: list[float] = []

    @property
    def deadline(self) -> float | None:
        return min(self.due, default=None)

    def set(self, at: float, *effects: str) -> list[str]:
        self.due.append(at)
        return list(effects)

    def expire(self, now: float) -> list[str]:
        self.expired_at.append(now)
        ripe = sorted(at for at in self.due if at <= now)
        self.due = [at for at in self.due if at > now]
        return [f"rang {at}" for at in ripe]


def driver_of(core: Egg, perform: Callable[[str], None]) -> Driver[str]:
    loop = asyncio.get_running_loop()
    return Driver(core, perform, SimClock(loop), loop)


def test_effects_are_performed_in_order_also_those_that_performing_brought() -> None:
    async def main() -> list[str]:
        core = Egg()
        done: list[str] = []

        def perform(effect: str) -> None:
            if effect == "a":
                driver.feed(lambda now: core.set(now + 1, "c", "d"))
            done.append(effect)  # a is done before b begins, whatever it brought

        driver = driver_of(core, perform)
        driver.feed(lambda now: core.set(now + 2, "a", "b"))
        driver.close()
        return done

    assert run(main()) == ["a", "b", "c", "d"]


def test_deadline_is_kept_to_the_moment() -> None:
    async def main() -> tuple[list[str], list[float]]:
        core = Egg()
        done: list[str] = []
        driver = driver_of(core, done.append)
        for at in (3.0, 1.0, 0.1 + 0.2, 2.0):
            driver.feed(lambda now, at=at: core.set(at))  # type: ignore[misc]
        await asyncio.sleep(10)
        return done, core.expired_at

    done, expired_at = run(main())
    assert done == ["rang 0.30000000000000004", "rang 1.0", "rang 2.0", "rang 3.0"]
    assert expired_at == [0.1 + 0.2, 1.0, 2.0, 3.0]


def test_one_timer_is_armed_however_often_the_core_is_fed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        core = Egg()
        driver = driver_of(core, lambda effect: None)
        for turn in range(100):
            driver.feed(lambda now, turn=turn: core.set(100.0 - turn))  # type: ignore[misc]
        assert len([timer for timer in loop._scheduled if not timer.cancelled()]) == 1  # type: ignore[attr-defined]
        core.due.clear()
        driver.run(())
        assert not [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    run(main())


def test_deadline_that_moves_away_is_not_served_early() -> None:
    async def main() -> list[float]:
        core = Egg()
        done: list[str] = []
        driver = driver_of(core, done.append)
        driver.feed(lambda now: core.set(1.0))
        core.due.clear()
        driver.feed(lambda now: core.set(5.0))
        await asyncio.sleep(4)
        assert done == []
        await asyncio.sleep(2)
        assert done == ["rang 5.0"]
        return core.expired_at

    assert run(main())[-1] == 5.0


def test_a_failing_effect_is_told_and_the_others_are_performed() -> None:
    async def main() -> tuple[list[str], list[Any]]:
        core, done, told = Egg(), [], []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

        def perform(effect: str) -> None:
            if effect == "bad":
                raise ValueError("mine")
            done.append(effect)

        driver = driver_of(core, perform)
        driver.feed(lambda now: core.set(1.0, "bad", "good"))
        await asyncio.sleep(2)
        return done, told

    done, told = run(main())
    assert done == ["good", "rang 1.0"]
    assert isinstance(told[0]["exception"], ValueError)


def test_closed_driver_never_calls_the_core_again() -> None:
    async def main() -> list[float]:
        core = Egg()
        driver = driver_of(core, lambda effect: None)
        driver.feed(lambda now: core.set(1.0))
        driver.close()
        driver.close()
        driver.run(())
        await asyncio.sleep(2)
        return core.expired_at

    assert run(main()) == []


def test_a_timer_that_comes_early_shows_the_core_the_time_it_was_armed_for() -> None:
    """The timers of uvloop count whole milliseconds: a core must not see a time before its own deadline."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        core = Egg()

        class Late(SimClock):
            def monotonic(self) -> float:
                return super().monotonic() - 0.0005

        driver = Driver(core, lambda effect: None, Late(loop), loop)
        driver.feed(lambda now: core.set(1.0))
        await asyncio.sleep(1.0)
        await asyncio.sleep(0)
        assert driver.now() >= 1.0
        return core.expired_at

    assert run(main()) == [1.0]
