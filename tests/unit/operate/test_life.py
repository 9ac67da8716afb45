"""What the service manager hears of a loop that turns, and of one that hangs."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from callcenter.control.systemd import Notifier
from callcenter.operate.life import Life, Phase


def house() -> Any:
    """As much of a house as its life looks at."""
    acd = SimpleNamespace(plan=SimpleNamespace(queues={}, agents={}), waiting=lambda queue: (), available=lambda a: 0)
    settings = SimpleNamespace(switch=SimpleNamespace(drain_limit=600.0))
    return SimpleNamespace(acd=acd, supervisor=SimpleNamespace(calls={}, lines=0), settings=settings)


async def test_the_watchdog_is_fed_by_the_loop_and_by_nothing_else(tmp_path: Path) -> None:
    heard: list[float] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(10)

        def listen() -> None:
            while (told := end.recv(500)) != b"END=1":
                if b"WATCHDOG=1" in told:
                    heard.append(time.monotonic())

        thread = threading.Thread(target=listen)
        thread.start()
        notifier = Notifier(str(tmp_path / "notify"), watchdog=0.03)
        life = Life(notifier)
        life.begin(cast("Any", house()))
        async with asyncio.timeout(10):
            while len(heard) < 3:  # noqa: ASYNC110 - what is looked at tells nobody
                await asyncio.sleep(0.005)
        before, began = len(heard), time.monotonic()
        time.sleep(0.3)  # the loop hangs, for ten times as long as a sign of life may take
        assert len(heard) <= before + 1, "but for one that was on its way"
        async with asyncio.timeout(10):
            while heard[-1] < began + 0.3:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        notifier.tell(END=1)
        await asyncio.to_thread(thread.join)
        life.close()


async def test_told_to_end_before_it_is_ready_it_ends_when_it_is() -> None:
    life = Life()
    life.ask_to_end("SIGTERM")
    life.ask_to_end("SIGTERM")
    life.begin(cast("Any", house()))
    assert life.phase is Phase.ENDING
    assert await life.over() == "SIGTERM"
    life.close()
