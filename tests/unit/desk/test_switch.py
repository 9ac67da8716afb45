"""The switch as the desk sees it: commands over connections that may be lost, facts without a gap or a double."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from callcenter.config import Settings, load
from callcenter.control.protocol import CommandError, Reason
from callcenter.control.server import Limits
from callcenter.desk import service
from callcenter.desk.switch import Switch, SwitchAway
from callcenter.model.access import Actor, Role
from callcenter.model.facts import ConfigReloaded, DigitsEntered
from tests.unit.config.floor import write_floor
from tests.unit.control.support import open_desk as open_switch
from tests.unit.desk.support import TWO_COMPANIES, open_floor

ANA = Actor("ana", Role.AGENT, frozenset({"acme"}), agent="ana")


async def test_a_command_is_asked_once_more_when_the_connection_was_lost_and_refusals_come_as_they_are(
    tmp_path: Path,
) -> None:
    switch = Switch(tmp_path / "control.sock")
    with pytest.raises(SwitchAway):
        await switch.ask("do", None)
    async with open_switch(tmp_path):
        assert await switch.ask("do", None) == {"number": 1}
    async with open_switch(tmp_path) as again:
        assert await switch.ask("do", None) == {"number": 1}, "the connection of before is dead"
        assert again.asked[0].do == "do"
        with pytest.raises(CommandError) as refused:
            await switch.ask("do", ANA)
        assert refused.value.reason is Reason.FORBIDDEN
        asks = [asyncio.create_task(switch.ask("wait", None, timeout=0.2)) for _ in range(40)]
        for ended in await asyncio.gather(*asks, return_exceptions=True):
            assert isinstance(ended, SwitchAway)
        again.gate.set()
        assert (await switch.ask("do", None))["number"] > 1, "none of their answers is taken for this one's"
        switch.close()


async def test_facts_come_in_order_once_each_over_a_switch_that_cuts_and_comes_back(tmp_path: Path) -> None:
    switch = Switch(tmp_path / "control.sock")
    seen: list[int] = []

    async def follow() -> None:
        async for fact in switch.facts(0):
            assert isinstance(fact.body, DigitsEntered)
            seen.append(fact.seq)

    async def until(number: int) -> None:
        async with asyncio.timeout(10):
            while not seen or seen[-1] < number:  # noqa: ASYNC110 - a list tells nobody
                await asyncio.sleep(0.005)

    following = asyncio.create_task(follow())
    async with open_switch(tmp_path, Limits(page=2), facts=5) as first:
        await until(5)
        first.add(3)
        await until(8)
    async with open_switch(tmp_path, facts=12):
        await until(12)
    assert seen == list(range(1, 13))
    following.cancel()
    await asyncio.wait({following})


async def test_kinds_that_are_not_asked_for_are_passed_over(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        floor.stream.append(DigitsEntered("main", "1", True), "c")
        floor.stream.append(ConfigReloaded("abc", "test"))
        floor.stream.append(DigitsEntered("main", "2", True), "c")
        await floor.written()
        async for fact in floor.desk.switch.facts(0, kinds=frozenset({"ConfigReloaded"})):
            assert fact.seq == 2
            break


async def test_the_desk_takes_another_configuration_up_when_the_switch_has(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        task = asyncio.create_task(service.follow_configuration(floor.desk))
        ida = await floor.client(Role.ADMIN)
        assert (await ida.get("/api/v1/me")).status_code == 200
        before = floor.desk.settings
        floor.desk.load = lambda: _changed(tmp_path)
        async with asyncio.timeout(10):
            while floor.desk.settings is before:
                # The one that is told before the stream is open is not seen: it is from now on.
                floor.stream.append(ConfigReloaded("x", "test"))
                await floor.written()
                await asyncio.sleep(0.02)
        assert floor.desk.settings.desk.cors == ("https://crm.example.com",)
        assert floor.desk.settings.desk.port == before.desk.port
        task.cancel()
        await asyncio.wait({task})


def _changed(folder: Path) -> Settings:
    where = write_floor(folder / "config", TWO_COMPANIES + "desk: {cors: ['https://crm.example.com'], listen: 9}\n")
    return load(where, data=folder / "data")
