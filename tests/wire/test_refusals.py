"""What cannot be: the right status, at once, and nothing left of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.wire import process
from tests.wire.floor import TECH
from tests.wire.stub import Message, Stub
from tests.wire.switch import Switch
from tests.wire.wait import LOOK_EVERY, PATIENCE, until


async def test_unknown_number_is_not_found(switch: Switch) -> None:
    async with Stub(switch.where) as phone:
        answer = await phone.final(phone.invite("+19995550000"))
        assert answer.status == 404
        assert not switch.query("SELECT 1 FROM interactions")


async def test_one_call_too_many_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with (
        Switch(tmp_path / "switch", options=("--set", "sip.max_calls=1")) as switch,
        Stub(switch.where) as phone,
    ):
        first = phone.invite(TECH.alias)
        answer = await phone.final(first)
        assert answer.status == 200
        _assert_comes_back_later(await phone.final(phone.invite(TECH.alias)))
        assert (await phone.final(phone.in_dialog("BYE", first, answer))).status == 200
        await switch.interaction()
        again = phone.invite(TECH.alias)
        answer = await phone.final(again)
        assert answer.status == 200, "there is room again"
        await phone.final(phone.in_dialog("BYE", again, answer))


async def test_no_free_port_is_told_when_to_come_back(tmp_path: Path) -> None:
    """So is whoever comes while the ports of calls that have ended rest."""
    low, high = process.free_range(8)
    ports = f"media.ports={low}-{high}"
    options = ("--set", ports, "--set", "media.workers=1", "--set", "media.port_rest=2s")
    async with (
        Switch(tmp_path / "switch", options=options) as switch,
        Stub(switch.where) as phone,
    ):
        taken: list[tuple[str, Message]] = []
        while True:
            invite = phone.invite(TECH.alias)
            answer = await phone.final(invite)
            if answer.status != 200:
                break
            taken.append((invite, answer))
            assert len(taken) <= 4, "eight ports carry no five calls"
        assert taken, "the ports that there are carry a call"
        _assert_comes_back_later(answer)
        for invite, accepted in taken:
            assert (await phone.final(phone.in_dialog("BYE", invite, accepted))).status == 200
        await switch.interactions(len(taken))
        # Each call that ends leaves ports at rest, until there are none for two legs.
        began, refused, again = time.monotonic(), False, False
        while not (refused and again):
            assert time.monotonic() - began < PATIENCE, "first too many ports rest, then enough have rested"
            answer = await phone.final(invite := phone.invite(TECH.alias))
            if answer.status != 200:
                _assert_comes_back_later(answer)
                refused = True
                await asyncio.sleep(LOOK_EVERY)
                continue
            again = refused
            assert (await phone.final(phone.in_dialog("BYE", invite, answer))).status == 200


async def test_an_offer_that_we_cannot_speak_is_not_acceptable_here(switch: Switch) -> None:
    async with Stub(switch.where) as phone:
        sdp = phone.sdp(codecs="18")
        refused = await phone.final(phone.invite(TECH.alias, body=sdp))
        assert refused.status == 488
        assert refused.header("Warning").startswith('399 callcenter "'), "it says why"
        assert (await phone.final(phone.invite(TECH.alias, body="this is no description"))).status in {400, 488}


async def test_options_says_that_it_is_well(switch: Switch) -> None:
    async with Stub(switch.where) as phone:
        answer = await phone.final(phone.compose("OPTIONS", f"sip:{switch.address()}"))
        assert answer.status == 200
        assert "INVITE" in answer.header("Allow")


async def test_a_caller_who_never_acknowledges_is_given_up(switch: Switch) -> None:
    """The 200 is repeated; then the caller who went silent is left alone by a BYE when it comes back at last."""
    async with Stub(switch.where) as phone:
        invite = phone.invite(TECH.alias)
        phone.send(invite)
        await until(
            lambda: len([m for m in phone.answers_to(invite) if m.status == 200]) >= 3,
            "the 200 is repeated until its ACK",
        )
        accepted = next(m for m in phone.answers_to(invite) if m.status == 200)
        phone.send(phone.ack(invite, accepted))
        assert (await phone.final(phone.in_dialog("BYE", invite, accepted))).status == 200
        assert (await switch.interaction())["ended_by"] == "caller"


def _assert_comes_back_later(answer: Message) -> None:
    assert answer.status == 503
    assert int(answer.header("Retry-After").split()[0]) >= 1
