"""Sessions with phones that are not ours: progress that is acknowledged, offers that come late, peers that vanish."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from callcenter.runtime.clock import SystemClock
from callcenter.signaling.leg import Leg
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.reply import Reply
from callcenter.signaling.settings import Listen
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.endpoint import Endpoint
from tests.wire import sipp
from tests.wire.floor import TECH, caller_phone
from tests.wire.stub import Message, Stub
from tests.wire.switch import Switch
from tests.wire.wait import until

EARLY = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


class EarlyPhone(Stub):
    """Describes its sound in a 183 that wants a PRACK, and takes the call when that has come; the 200 says nothing."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A PRACK is answered, and the call taken."""
        super().datagram_received(data, addr)
        message = self.received[-1]
        if message.method == "PRACK":
            self.reply(message, 200)
            invite = self.find(method="INVITE", call_id=message.call_id)
            assert invite is not None
            self.reply(invite, 200)

    def _invited(self, invite: Message) -> None:
        self.reply(invite, 183, self.sdp(), ("Require: 100rel", "RSeq: 4711"))


async def test_caller_who_insists_acknowledges_our_early_media_before_we_answer(tmp_path: Path) -> None:
    """Sipp against the signalling alone: the switch itself answers at once, and has nothing to say before."""

    def invited(leg: Leg) -> None:
        leg.ring(status=183, sdp=EARLY)
        leg.answer(EARLY)

    network = SipNetwork((Listen("udp", "127.0.0.1", 0),), SystemClock())
    endpoint = Endpoint(random=random.Random(1))
    agent = UserAgent(network, endpoint, SystemClock(), invited, lambda _: Reply(405))
    await agent.open()
    try:
        (listen,) = network.listeners
        tally = await sipp.call(tmp_path / "sipp", "prack", f"127.0.0.1:{listen.port}", "1000", seconds=20)
        assert tally.clean, tally
        assert tally.succeeded == 1
    finally:
        await agent.close()


async def test_agent_whose_phone_describes_its_sound_while_it_rings_is_put_through(
    switch: Switch, tmp_path: Path
) -> None:
    async with EarlyPhone(switch.where) as phone, caller_phone(switch, tmp_path) as caller:
        line = switch.agent(TECH.agent)
        assert (await phone.register(line["user"], line["password"])).status == 200
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        prack = await phone.request("PRACK", seconds=20)
        invite = await phone.request("INVITE")
        assert prack.header("RAck") == f"4711 {invite.header('CSeq')}"
        assert "100rel" in invite.header("Supported")
        await until(lambda: len(phone.media) > 50, "the caller's voice comes to where the 183 said")
        await caller.hangup()
        await phone.request("BYE")
        assert len([m for m in phone.received if m.method == "PRACK"]) == 1
        assert (await switch.interaction())["outcome"] == "handled"


@pytest.mark.skipif(not sipp.can_press_keys(), reason="sipp sends captured digits by a raw socket: root alone may")
async def test_caller_without_an_offer_is_offered_the_sound_presses_a_key_and_changes_by_update(
    switch: Switch, tmp_path: Path
) -> None:
    tally = await sipp.call(tmp_path / "sipp", "delayed", switch.address(), TECH.alias, keys=TECH.keys, talk=1.5)
    assert tally.clean, tally
    saved = await switch.interaction()
    assert (saved["ended_by"], saved["intent"]) == ("caller", TECH.intent)


async def test_session_is_refreshed_and_ends_by_itself_when_the_phone_is_gone(tmp_path: Path) -> None:
    """A phone that knows no session timers gets the same description again; then its socket is closed."""
    options = ("--set", "sip.session_timer={expires: 4s, min: 2s}")
    async with Switch(tmp_path / "switch", options=options) as switch:
        async with Stub(switch.where) as phone:
            invite = phone.invite(TECH.alias)
            answer = await phone.final(invite)
            assert answer.status == 200
            assert answer.header("Session-Expires") == "4;refresher=uas"
            again = await phone.request("INVITE")
            assert again.body == answer.body, "nothing changes"
            await until(lambda: phone.find(method="ACK"), "the switch takes the answer")
        saved = await switch.interaction()
        assert (saved["ended_by"], saved["cause"]) == ("system", "network")
