"""What breaks the rules gets the right status or silence: never a trace, never a transaction that stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.wire.floor import TECH
from tests.wire.stub import Message, Stub
from tests.wire.switch import Switch
from tests.wire.wait import PATIENCE, until

# One switch serves all of this module: what one case has spoilt, the next would show.
pytestmark = pytest.mark.asyncio(loop_scope="module")

SILENCE = None
QUIET_FOR = 0.3  # s: what is not answered on loopback by then is not answered at all
READ_WITHIN = 0.03  # s: what has come already is read by then


@dataclass(frozen=True, slots=True)
class Case:
    """A good request that is then spoilt; ``wants`` are the statuses that are right."""

    name: str
    spoil: Callable[[str], str | bytes]
    wants: tuple[int, ...] | None
    method: str = "INVITE"


def swap(old: str, new: str) -> Callable[[str], str]:
    """Replaces a part that must be there."""

    def spoil(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, 1)

    return spoil


def header(name: str, value: str | None) -> Callable[[str], str]:
    """Gives a header another value, or takes it away."""

    def spoil(text: str) -> str:
        head, empty, body = text.partition("\r\n\r\n")
        lines = [line for line in head.split("\r\n") if not line.lower().startswith(name.lower() + ":")]
        if value is not None:
            lines.append(f"{name}: {value}")
        return "\r\n".join(lines) + empty + body

    return spoil


def more(headers: str) -> Callable[[str], str]:
    """Puts more headers behind the others."""
    return lambda text: text.replace("\r\n\r\n", "\r\n" + headers + "\r\n", 1)


def in_brackets(text: str) -> str:
    """The request's URI in the angle brackets that only headers have."""
    return text.replace("INVITE sip:", "INVITE <sip:", 1).replace(" SIP/2.0", "> SIP/2.0", 1)


CASES = [
    Case("no Call-ID", header("Call-ID", None), (400,)),
    Case("no CSeq", header("CSeq", None), (400,)),
    Case("no From", header("From", None), (400,)),
    Case("no To", header("To", None), (400,)),
    Case("no Via: nobody to answer", header("Via", None), SILENCE),
    Case("CSeq of another method", header("CSeq", "1 BYE"), (400,)),
    Case("CSeq that is no number", header("CSeq", "one INVITE"), (400,)),
    Case("CSeq beyond 2**31", header("CSeq", "4294967296 INVITE"), (400,)),
    Case("unclosed quote in From", header("From", '"Joe <sip:joe@example.com>;tag=1'), (400,)),
    Case("unclosed bracket in To", header("To", "<sip:1000@example.com"), (400,)),
    Case("Content-Length that is no number", header("Content-Length", "many"), (400,)),
    Case("Content-Length below nothing", header("Content-Length", "-5"), (400,)),
    Case("body shorter than its length", header("Content-Length", "9999"), (400,)),
    Case("version 7.0", swap(" SIP/2.0\r\n", " SIP/7.0\r\n"), (505,)),
    Case("URI of an unknown scheme", swap("INVITE sip:", "INVITE nobodyKnowsThisScheme:"), (416, 400)),
    Case("URI in brackets", in_brackets, (400,)),
    Case("no URI", lambda text: "INVITE SIP/2.0" + text[text.index("\r\n") :], (400,)),
    Case("spent Max-Forwards", header("Max-Forwards", "0"), (483,)),
    Case("Max-Forwards that is no number", header("Max-Forwards", "lots"), (400,)),
    Case("extension that we do not have", header("Require", "nothing-we-know"), (420,)),
    Case("body that we cannot read", header("Content-Type", "application/unknown"), (415,)),
    Case("dialog that we do not have", swap("\r\nTo: ", "\r\nTo: <sip:x@y>;tag=77\r\nX-To: "), (481,)),
    Case("BYE without a dialog", lambda text: text, (481,), "BYE"),
    Case("CANCEL without an INVITE", lambda text: text, (481,), "CANCEL"),
    Case("ACK without an INVITE", lambda text: text, SILENCE, "ACK"),
    Case("unknown method", lambda text: text, (405, 501), "DANCE"),
    Case("PUBLISH", lambda text: text, (405, 501, 489), "PUBLISH"),
    Case("response that nobody waits for", lambda text: "SIP/2.0 200 OK" + text[text.index("\r\n") :], SILENCE),
    Case("response with status 99999", lambda text: "SIP/2.0 99999 Much" + text[text.index("\r\n") :], SILENCE),
    Case("only an empty line", lambda _: "\r\n\r\n", SILENCE),
    Case("noise", lambda _: bytes(range(256)) * 4, SILENCE),
    Case("nul bytes", lambda _: b"\0" * 700, SILENCE),
    Case("half a start line", lambda _: "INVITE", SILENCE),
    Case("bytes that are no UTF-8", lambda text: text.encode().replace(b"From: <", b'From: "\xff\xfe" <'), (200, 400)),
    Case("five thousand headers", more("X: 1\r\n" * 5000), (400, 413, 513)),
    Case("a header of 30 kB", more("X: " + "x" * 30_000 + "\r\n"), (400, 413, 431, 513)),
    Case("a hundred Vias", more("Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\n" * 100), (200, 400, 482, 513)),
    Case("a hundred Routes elsewhere", more("Route: <sip:10.9.9.9;lr>\r\n" * 100), (200, 400, 403, 404, 483, 513)),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def floor_switch(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Switch]:
    """The switch that has to bear it all."""
    async with Switch(tmp_path_factory.mktemp("malformed")) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_udp(floor_switch: Switch, case: Case) -> None:
    async with Stub(floor_switch.where) as phone:
        text = phone.compose(case.method, f"sip:{TECH.alias}@{floor_switch.address()}", body=phone.sdp())
        phone.send(case.spoil(text))
        if case.wants is SILENCE:
            # What is answered at all is answered before what comes after it.
            well = await _is_well(phone)
            others = [message.first for message in phone.received if message.call_id != well.call_id]
            assert not others, f"silence, not {others}"
        else:
            answer = await _final(phone)
            assert answer.status in case.wants, answer.first
            _acknowledge(phone, text, answer)
            await _is_well(phone)
    floor_switch.assert_log_clean()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_tcp(floor_switch: Switch, case: Case) -> None:
    """Over a stream the switch may also close the connection, where it can no longer tell where a message ends."""
    async with Stub(floor_switch.where) as phone:
        host, _, port = floor_switch.address("tcp").rpartition(":")
        text = phone.compose(case.method, f"sip:{TECH.alias}@{floor_switch.address('tcp')}", body=phone.sdp())
        text = text.replace("SIP/2.0/UDP", "SIP/2.0/TCP")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            spoilt = case.spoil(text)
            writer.write(spoilt if isinstance(spoilt, bytes) else spoilt.encode())
            # What is refused is refused before what comes after it; what may be a call takes its time.
            for _ in range(2):
                await _is_well(phone)
            statuses = await _statuses(reader, within=QUIET_FOR if 200 in (case.wants or ()) else READ_WITHIN)
        finally:
            writer.close()
        finals = [status for status in statuses if status >= 200]
        assert all(status in (case.wants or ()) for status in finals), statuses
        await _is_well(phone)
    floor_switch.assert_log_clean()


async def test_repeated_invite_rings_once_and_gets_the_same_answer(floor_switch: Switch) -> None:
    async with Stub(floor_switch.where) as phone:
        invite = phone.invite(TECH.alias)
        for _ in range(5):
            phone.send(invite)
        answer = await phone.final(invite)
        assert answer.status == 200
        tags = {message.header("To") for message in phone.answers_to(invite) if message.status == 200}
        assert len(tags) == 1, "one dialog, however often it was asked"
        assert (await phone.final(phone.in_dialog("BYE", invite, answer))).status == 200


async def test_merged_request_is_a_loop(floor_switch: Switch) -> None:
    """The same request by two ways (RFC 3261 8.2.2.2)."""
    async with Stub(floor_switch.where) as phone:
        invite = phone.invite(TECH.alias)
        other_way = invite.replace("branch=z9hG4bK", "branch=z9hG4bKtheotherway", 1)
        phone.send(invite)
        phone.send(other_way)
        await until(lambda: {200, 482} <= {m.status for m in phone.answers_to(invite)}, "one 200 and one 482")
        accepted = next(m for m in phone.answers_to(invite) if m.status == 200)
        refused = next(m for m in phone.answers_to(invite) if m.status == 482)
        phone.send(phone.ack(invite, accepted))
        phone.send(phone.ack(other_way, refused))
        assert (await phone.final(phone.in_dialog("BYE", invite, accepted))).status == 200


async def test_two_messages_in_one_segment_and_one_in_many_are_framed(floor_switch: Switch) -> None:
    async with Stub(floor_switch.where) as phone:
        host, _, port = floor_switch.address("tcp").rpartition(":")
        uri = f"sip:{floor_switch.address('tcp')}"
        both = [phone.compose("OPTIONS", uri).replace("/UDP", "/TCP").encode() for _ in range(2)]
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(b"\r\n\r\n" + both[0] + both[1])
            assert await _statuses(reader, 2) == [200, 200]
            third = phone.compose("OPTIONS", uri).replace("/UDP", "/TCP").encode()
            for at in range(0, len(third), 40):
                writer.write(third[at : at + 40])
                await writer.drain()
            assert await _statuses(reader, 1) == [200]
        finally:
            writer.close()


async def _final(phone: Stub) -> Message:
    return await until(
        lambda: next((m for m in phone.received if (m.status or 0) >= 200), None),
        lambda: f"a final answer; there came {[m.first for m in phone.received]}",
    )


def _acknowledge(phone: Stub, invite: str, answer: Message) -> None:
    if not invite.startswith("INVITE"):
        return
    phone.send(phone.ack(invite, answer))
    if answer.status == 200:
        phone.send(phone.in_dialog("BYE", invite, answer))


async def _statuses(reader: asyncio.StreamReader, count: int | None = None, within: float = PATIENCE) -> list[int]:
    """The statuses that come ``within`` so many seconds; with ``count``, that many."""
    data = b""
    try:
        async with asyncio.timeout(within):
            while chunk := await reader.read(65536):
                data += chunk
                if count is not None and data.count(b"SIP/2.0 ") >= count:
                    break
    except (TimeoutError, ConnectionError):
        pass
    lines = data.decode(errors="replace").split("\r\n")
    return [int(line.split(" ")[1]) for line in lines if line.startswith("SIP/2.0 ")]


async def _is_well(phone: Stub) -> Message:
    """The switch still answers: its answer."""
    answer = await phone.final(phone.compose("OPTIONS", f"sip:{phone.switch[0]}:{phone.switch[1]}"))
    assert answer.status == 200
    return answer
