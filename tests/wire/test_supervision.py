"""Who hears whom, by the tones that phones send which are not ours: listen, whisper, barge, a talk of three."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.wire import tone
from tests.wire.baresip import Baresip
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.wait import until

COLLEAGUE, SUPERVISOR = replace(TECH, agent="bruno"), replace(TECH, agent="felipe")
COLLEAGUE_HZ, SUPERVISOR_HZ = 1320.0, 1900.0
CODES = {"*71": "listen", "*80": "consult", "*81": "consult_swap", "*82": "consult_join", "*83": "consult_drop"}
OPTIONS = (
    *("--set", f"feature_codes={json.dumps(CODES)}"),
    *("--set", 'supervisors={"eva": {"name": "Eva", "agent": "felipe"}}'),
    *("--set", 'agents.bruno.extension="206"', "--set", 'agents.ana.extension="205"'),
    # The supervisor's sound is opened before there is a call: on the other core.
    *("--set", "media.workers=2"),
)
ALL = (440.0, 880.0, COLLEAGUE_HZ, SUPERVISOR_HZ)


async def hear(**expected: tuple[Baresip, set[float]]) -> None:
    """Each of these phones hears these tones, and no other."""

    def found() -> dict[str, set[float]]:
        told = {}
        for name, (phone, _) in expected.items():
            path = phone.recording
            told[name] = tone.tones_in(tone.tail_of_wav(path, 0.4), ALL) if path is not None else set()
        return told

    wanted = {name: tones for name, (_, tones) in expected.items()}
    await until(lambda: found() == wanted, lambda: f"{wanted} are heard, not {found()}")


async def test_supervisor_agent_colleague_and_caller_hear_whom_they_should(tmp_path: Path) -> None:
    async with (
        Switch(tmp_path / "switch", OPTIONS) as switch,
        agent_phone(switch, tmp_path, TECH) as agent,
        agent_phone(switch, tmp_path, COLLEAGUE, hz=COLLEAGUE_HZ) as colleague,
        agent_phone(switch, tmp_path, SUPERVISOR, hz=SUPERVISOR_HZ) as supervisor,
        caller_phone(switch, tmp_path) as caller,
    ):
        her, ours, theirs, other = SUPERVISOR_HZ, agent.hz, caller.hz, COLLEAGUE_HZ
        for phone in (supervisor, colleague):
            await phone.registered()
        await supervisor.dial("*71205")
        await supervisor.event("CALL_ESTABLISHED")
        await talk(caller, agent, TECH)
        await hear(supervisor=(supervisor, {ours, theirs}), agent=(agent, {theirs}), caller=(caller, {ours}))
        await supervisor.press("5")
        await hear(supervisor=(supervisor, {ours, theirs}), agent=(agent, {theirs, her}), caller=(caller, {ours}))
        await supervisor.press("6")
        await hear(supervisor=(supervisor, {ours, theirs}), agent=(agent, {theirs, her}), caller=(caller, {ours, her}))
        await supervisor.hangup()
        await hear(agent=(agent, {theirs}), caller=(caller, {ours}))

        await agent.press("*80206#")
        await colleague.event("CALL_INCOMING")
        await colleague.accept()
        await hear(agent=(agent, {other}), colleague=(colleague, {ours}))
        await agent.press("*82")
        await hear(
            agent=(agent, {theirs, other}), colleague=(colleague, {ours, theirs}), caller=(caller, {ours, other})
        )
        await agent.hangup()
        await hear(colleague=(colleague, {theirs}), caller=(caller, {other}))
        await caller.hangup()
        await colleague.event("CALL_CLOSED")
        rows = {row["direction"]: row for row in await switch.interactions(2)}
        assert (rows["inbound"]["outcome"], rows["inbound"]["agent"]) == ("handled", COLLEAGUE.agent)
        kinds = [row["kind"] for row in switch.query("SELECT kind FROM facts ORDER BY seq")]
        wanted = ("SupervisionStarted", "SupervisionChanged", "SupervisionEnded", "ConferenceJoined", "ConferenceLeft")
        assert [kinds.count(kind) for kind in wanted] == [1, 2, 1, 1, 1]
