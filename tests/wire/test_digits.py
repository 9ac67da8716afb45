"""Keys however a phone tells them: by RFC 4733, by SIP INFO of both kinds, by tones in its voice; each press once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest

from tests.wire import sipp, tone
from tests.wire.floor import TECH
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import stays, until


def digits(switch: Switch) -> list[str]:
    """The keys that were taken, in order."""
    rows = switch.query("SELECT body FROM facts WHERE kind = 'DigitsEntered' ORDER BY seq")
    return [json.loads(row["body"])["digits"] for row in rows]


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/dtmf-relay", f"Signal={TECH.key}\n      Duration=160"), ("application/dtmf", TECH.key)],
)
async def test_a_key_told_by_info_leads_on(switch: Switch, tmp_path: Path, kind: str, body: str) -> None:
    tally = await sipp.call(
        tmp_path / "sipp", "info", switch.address(), TECH.alias, calls=3, talk=1.0, info=(kind, body)
    )
    assert tally.clean, tally
    assert tally.succeeded == 3
    saved = await switch.interactions(3)
    assert [row["intent"] for row in saved] == [TECH.intent] * 3
    assert digits(switch) == [TECH.key] * 3


async def test_a_key_in_the_voice_of_a_phone_without_telephone_events_leads_on(switch: Switch) -> None:
    """The phone speaks before and after; its voice is no key."""
    async with Stub(switch.where) as phone:
        invite = phone.invite(TECH.alias, body=phone.sdp(codecs="0"))
        answer = await phone.final(invite)
        assert "telephone-event" not in answer.body
        said = (
            *(tone.silence(0.2), tone.tone(440, 0.5), tone.silence(0.1)),
            *(tone.key_tone(TECH.key, 0.12), tone.silence(0.1), tone.tone(880, 0.5)),
        )
        await phone.speak(answer, numpy.concatenate(said))
        await until(lambda: digits(switch), "the key is heard")
        await stays(lambda: digits(switch) == [TECH.key], f"one key: {digits(switch)}", 0.5)
        assert (await phone.final(phone.in_dialog("BYE", invite, answer))).status == 200
        assert (await switch.interaction())["intent"] == TECH.intent


async def test_a_press_that_a_phone_tells_twice_counts_once(switch: Switch) -> None:
    """Some phones send an INFO beside the RFC 4733 event."""
    async with Stub(switch.where) as phone:
        invite = phone.invite(TECH.alias)
        answer = await phone.final(invite)
        info = phone.in_dialog("INFO", invite, answer, body=f"Signal={TECH.key}\r\nDuration=160\r\n")
        phone.press(answer, TECH.key)
        info = info.replace("Content-Type: application/sdp", "Content-Type: application/dtmf-relay")
        assert (await phone.final(info)).status == 200
        await until(lambda: digits(switch), "the key is heard")
        await stays(lambda: digits(switch) == [TECH.key], f"one key: {digits(switch)}", 0.5)
        assert (await phone.final(phone.in_dialog("BYE", invite, answer, cseq=3))).status == 200
