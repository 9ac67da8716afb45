"""The switch is killed in the middle of it all and started again."""

from __future__ import annotations

from pathlib import Path

from tests.wire import process
from tests.wire.floor import TECH
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until


async def test_killed_and_started_again_it_keeps_registrations_and_closes_the_books(tmp_path: Path) -> None:
    port = process.free_port()
    listen = f"[{{transport: udp, host: 127.0.0.1, port: {port}}}, {{transport: tcp, host: 127.0.0.1, port: {port}}}]"
    options = ("--data", str(tmp_path / "data"), "--set", f"sip.listen={listen}")
    async with Switch(tmp_path / "switch", options=options, keeps_data=True) as switch:
        line = switch.agent(TECH.agent)
        async with Stub(switch.where) as agent, Stub(switch.where) as caller:
            assert (await agent.register(line["user"], line["password"])).status == 200
            cut = caller.invite(TECH.alias)
            answer = await caller.final(cut)
            assert answer.status == 200
            arrived = await until(
                lambda: switch.query("SELECT call_id FROM facts WHERE kind = 'CallAnswered'"), "the call is in the log"
            )
            await switch.kill()

            await switch.start()
            saved = await switch.interaction()
            assert saved["call_id"] == arrived[0]["call_id"]
            assert (saved["outcome"], saved["ended_by"], saved["cause"]) == ("left_in_menu", "system", "restart")
            assert not switch.query("SELECT 1 FROM open_calls")
            numbers = [row["seq"] for row in switch.query("SELECT seq FROM facts ORDER BY seq")]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "facts go on being numbered"

            # The phone has not registered again, and is rung.
            invite = caller.invite(TECH.alias)
            answer = await caller.final(invite)
            assert answer.status == 200
            caller.press(answer, TECH.key)
            await agent.request("INVITE")
            assert (await caller.final(caller.in_dialog("BYE", invite, answer))).status == 200
            assert len(await switch.interactions(2)) == 2
