"""The tools of the wire tests, tried against each other: a tool that cannot hear would pass anything."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.wire import mosquitto, process, sipp, tone
from tests.wire.baresip import Baresip
from tests.wire.mosquitto import Subscriber
from tests.wire.stub import Message, Stub, Where
from tests.wire.wait import until


def test_a_tone_is_measured_and_told_from_another_and_from_silence() -> None:
    made = tone.tone(440, 0.5)
    assert tone.frequency(made) == pytest.approx(440, abs=2)
    assert tone.is_tone(made, 440)
    assert not tone.is_tone(made, 880)
    assert tone.frequency(made * 0) is None
    assert not tone.is_tone(tone.tone(440, 0.5) + tone.tone(880, 0.5), 440)
    assert tone.is_tone(tone.from_mu_law(tone.mu_law(made)), 440)


async def test_two_baresips_hear_each_other(tmp_path: Path) -> None:
    port = process.free_port()
    async with (
        Baresip(tmp_path / "a", "a", f"127.0.0.1:{port}", hz=440) as caller,
        Baresip(tmp_path / "b", "b", f"127.0.0.1:{port}", hz=880, listen=port) as callee,
    ):
        await caller.dial("b")
        await callee.event("CALL_INCOMING")
        await caller.event("CALL_RINGING")
        await callee.accept()
        await caller.event("CALL_ESTABLISHED")
        await caller.heard(880)
        await callee.heard(440)
        await caller.press("4")
        await callee.hangup()
        await caller.event("CALL_CLOSED")


async def test_sipp_calls_a_stub_presses_its_key_and_hangs_up(tmp_path: Path) -> None:
    if not sipp.can_press_keys():
        pytest.skip("sipp sends captured digits by a raw socket, which needs root")
    async with Stub(("127.0.0.1", 9)) as phone:
        tally = await sipp.call(tmp_path, "caller", f"127.0.0.1:{phone.port}", "1000", calls=3, talk=0.5, keys="7*")
        assert tally.clean, tally
        came = Counter(message.text for message in phone.received)
        assert (tally.succeeded, tally.retransmissions) == (3, came.total() - len(came)), "a slow stub is asked twice"
        events = [packet[12:16] for packet in phone.media if packet[1] & 0x7F == 101]
        ends = [event for event in events if event[1] & 0x80]
        assert Counter(event[0] for event in ends) == {7: 9, 10: 9}, "each key's end is sent three times"
        assert {event[0] for event in events} == {7, 10}


async def test_sipp_that_is_refused_says_so(tmp_path: Path) -> None:
    async with Stub(("127.0.0.1", 9), answers=lambda _: 486) as phone:
        tally = await sipp.call(tmp_path, "caller", f"127.0.0.1:{phone.port}", "1000", talk=0.1)
        assert not tally.clean
        assert tally.failed == 1


class Inattentive(Stub):
    """Does not hear the first ACK and the first BYE of a call."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 9))
        self.missed: set[tuple[str, str]] = set()

    def datagram_received(self, data: bytes, addr: Where) -> None:
        message = Message(0.0, data.decode(), addr)
        missed = message.method or "", message.call_id
        if message.method not in {"ACK", "BYE"} or missed in self.missed:
            super().datagram_received(data, addr)
        else:
            self.missed.add(missed)


async def test_sipp_whose_ack_and_bye_are_lost_hangs_up_all_the_same(tmp_path: Path) -> None:
    """The 200 of the INVITE that comes again ends no BYE: the other side would talk on to nobody."""
    async with Inattentive() as phone:
        tally = await sipp.call(tmp_path, "leaver", f"127.0.0.1:{phone.port}", "1000", calls=3, talk=0.2)
        assert (tally.clean, tally.succeeded) == (True, 3), tally
        assert (phone.talked(), phone.dialogs(), len(phone.missed)) == (3, 0, 6)


async def test_stub_calls_stub() -> None:
    async with Stub(("127.0.0.1", 9)) as callee, Stub(("127.0.0.1", callee.port)) as caller:
        invite = caller.invite("b")
        answer = await caller.final(invite)
        assert answer.status == 200
        await callee.request("ACK")
        caller.press(answer, "5")
        await until(lambda: any(packet[12] == 5 for packet in callee.media), "the key is heard")
        assert callee.dialogs() == 1
        assert (await caller.final(caller.in_dialog("BYE", invite, answer))).status == 200
        assert callee.dialogs() == 0


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_subscriber_reads_what_it_may_and_tells_what_it_may_not(tmp_path: Path, version: str) -> None:
    port = process.free_port()
    rules = tmp_path / "acl"
    rules.write_text("pattern read mine/%u\nuser ana\ntopic write mine/#\n")
    rules.chmod(0o644)
    tmp_path.chmod(0o755)
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nacl_file {rules}\n")
    broker = await process.start(["mosquitto", "-c", str(config)], folder=tmp_path)
    try:

        async def publishes() -> bool:
            return await mosquitto.publish(tmp_path, "127.0.0.1", port, "ana", "x", "mine/ana", '{"a": 1}') == 0

        while not await publishes():
            assert broker.returncode is None, (tmp_path / "stderr.log").read_text()
        ana = Subscriber(tmp_path / "s1", "127.0.0.1", port, "ana", "x", ("mine/ana",), version)
        bruno = Subscriber(tmp_path / "s2", "127.0.0.1", port, "bruno", "x", ("mine/ana", "mine/bruno"), version)
        async with ana, bruno:
            assert ana.granted
            assert bruno.granted
            assert await publishes()
            assert (await ana.message("mine/ana")).json == {"a": 1}
            assert not (await ana.message("mine/ana")).retained
            topic = "mine/bruno"
            assert await mosquitto.publish(tmp_path, "127.0.0.1", port, "ana", "x", topic, "for bruno") == 0
            assert (await bruno.message(topic)).payload == b"for bruno"
            assert not bruno.on("mine/ana")
    finally:
        await process.end(broker)


async def test_waiting_in_vain_fails() -> None:
    with pytest.raises(AssertionError, match="the moon"):
        await until(lambda: None, "the moon", 0.05)
