"""A flood from one address, while callers and phones at others go on; wrong passwords until the door is shut; and
no time by which whom we know is told from others.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.wire.control import ask
from tests.wire.floor import TECH
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until

# All but our own address is as if it were out there.
OUTSIDE = ("--set", "sip.guard.exempt=[127.0.0.1]")
SCANNER = "127.0.0.3"


async def test_a_flood_from_one_address_is_throttled_and_calls_of_others_go_on(tmp_path: Path) -> None:
    limits = ("--set", "sip.guard.requests_per_second=20", "--set", "sip.guard.burst=50")
    async with (
        Switch(tmp_path / "switch", options=(*OUTSIDE, *limits)) as switch,
        Stub(switch.where, at=SCANNER) as scanner,
        Stub(switch.where) as caller,
    ):
        host, port = switch.where
        flood = [scanner.compose("OPTIONS", f"sip:{host}:{port}") for _ in range(2_000)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, each in enumerate(flood):
            scanner.send(each)
            if not number % 50:
                await asyncio.sleep(0.005)
        invite = caller.invite(TECH.alias)
        answer = await caller.final(invite)
        assert answer.status == 200
        caller.send(caller.ack(invite, answer))
        await until(lambda: len(caller.media) > 10, "the greeting is heard")
        assert (await caller.final(caller.in_dialog("BYE", invite, answer))).status == 200
        took = loop.time() - began
        answered = len(scanner.received)
        assert 50 <= answered <= 50 + 20 * (took + 1), "the burst and the rate"
        sip = (await ask(switch, "status"))["sip"]
        assert sip["guard"]["over_rate"] >= 2_000 - answered
        assert sip["guard"]["bans"] == [], "volume bans nobody"


async def test_who_keeps_guessing_is_shut_out_and_the_log_says_so_once(tmp_path: Path) -> None:
    rules = ("--set", "sip.guard.failures=3", "--set", "sip.guard.ban=2s")
    async with (
        Switch(tmp_path / "switch", options=(*OUTSIDE, *rules)) as switch,
        Stub(switch.where, at=SCANNER) as guesser,
        Stub(switch.where) as phone,
    ):
        line = switch.agent(TECH.agent)
        for _ in range(3):
            assert (await guesser.register(line["user"], "guessed")).status == 403
        assert (await ask(switch, "status"))["sip"]["guard"]["bans"] == [SCANNER]
        assert (await phone.register(line["user"], line["password"])).status == 200, "elsewhere"
        before = len(guesser.received)
        guesser.send(guesser.compose("OPTIONS", f"sip:{SCANNER}"))
        await until(lambda: "ban over" in switch.log(), "the ban ends")
        assert len(guesser.received) == before, "not a word meanwhile"
        assert switch.log().count("source banned") == 1
        assert (await guesser.register(line["user"], line["password"])).status == 200


async def test_the_answer_takes_as_long_for_an_unknown_agent(switch: Switch) -> None:
    async with Stub(switch.where) as phone:
        took: dict[str, list[float]] = {TECH.agent: [], "nobody-here": []}
        for _ in range(30):
            for user, times in took.items():
                began = time.perf_counter()
                await phone.register(user, "not-it")
                times.append(time.perf_counter() - began)
        # The shortest: what holds a program up at times, holds it up longer.
        known, unknown = (min(times) for times in took.values())
        assert abs(known - unknown) < max(known, unknown) * 0.5
