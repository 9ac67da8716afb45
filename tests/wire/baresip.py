"""baresip as a phone without a sound card: sends a tone, writes down what it hears, is driven over its control port."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import signal
import time
from asyncio.subprocess import Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.wire import process, tone
from tests.wire.wait import PATIENCE, until

REGISTERED = re.compile(r"\} 200 .*\[\d+ bindings?\]")
SPEAKS_FOR = 180.0  # s of tone: baresip hangs up when its file ends, so longer than any test
CODECS = {"PCMU": "PCMU/8000/1", "PCMA": "PCMA/8000/1", "G722": "G722/16000/1", "opus": "opus/48000/2"}
"""As baresip names them."""
MODULES = next((str(path) for path in Path("/usr/lib").glob("**/baresip/modules") if path.is_dir()), "")


@dataclass(frozen=True, slots=True)
class Event:
    """What baresip told, with the moment (``time.time()``) at which it was read."""

    at: float
    type: str
    id: str
    param: str
    peer: str


@dataclass(slots=True)
class Baresip:
    """One phone with one account. ``async with Baresip(...) as phone``."""

    folder: Path
    user: str
    registrar: str  # host:port
    password: str | None = None  # None: a caller, that does not register
    transport: str = "udp"
    hz: float = 440.0
    answers: str = "manual"  # or "auto"
    codec: str = "PCMU"  # or several, with commas, in the phone's order
    srtp: str = ""  # or how it speaks SRTP: srtp (RTP/AVP with keys), srtp-mand (RTP/SAVP), srtp-mandf (RTP/SAVPF)
    listen: int = 0  # its SIP port
    own_address: str = ""  # that of its sound, where it would not guess right
    ca_file: str = ""  # whom it trusts by TLS; empty: everybody
    outbound: bool = False  # it keeps its flow open, and registers that (RFC 5626)
    mux: bool = False  # RTCP by the port of sound, where the other side can (RFC 5761)
    events: list[Event] = field(default_factory=list)
    _process: Process | None = None
    _reader: asyncio.Task[None] | None = None
    _writer: asyncio.StreamWriter | None = None
    _replies: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _tokens: itertools.count[int] = field(default_factory=itertools.count)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "snd").mkdir(exist_ok=True)
        speech = tone.write_wav(self.folder / "says.wav", tone.tone(self.hz, SPEAKS_FOR))
        control = process.free_port()
        (self.folder / "config").write_text(self._config(speech, control))
        (self.folder / "accounts").write_text(self._account() + "\n")
        (self.folder / "contacts").write_text("")
        with (self.folder / "baresip.log").open("ab") as log:
            self._process = await process.start(
                ["baresip", "-f", str(self.folder), "-v"], folder=self.folder, stdout=log, stderr=log
            )
        try:
            await self._connect(control)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _config(self, speech: Path, control: int) -> str:
        lines = [
            f"sip_listen {'[::1]' if self.registrar.startswith('[') else '127.0.0.1'}:{self.listen}",
            f"audio_source aufile,{speech}",
            *([f"net_interface {self.own_address}"] if self.own_address else []),
            *([f"sip_cafile {self.ca_file}"] if self.ca_file else []),
            "audio_player aubridge,nowhere",  # the one of aufile brings baresip 1.1 down when a call is held
            "audio_srate 8000",
            "audio_channels 1",
            *(["rtcp_mux yes"] if self.mux else []),
            "ausrc_srate 8000",
            "auplay_srate 8000",
            "ausrc_channels 1",
            "auplay_channels 1",
            "call_local_timeout 120",
            "call_max_calls 4",
            f"module_path {MODULES}",
            "module g711.so",
            *(["module g722.so"] if "G722" in self.codec else []),
            *(["module opus.so"] if "opus" in self.codec else []),
            *(["module uuid.so"] if self.outbound else []),
            "module aufile.so",
            "module aubridge.so",
            "module sndfile.so",
            *(["module srtp.so"] if self.srtp else []),
            "module_tmp account.so",
            "module_app menu.so",
            "module_app ctrl_tcp.so",
            f"ctrl_tcp_listen 127.0.0.1:{control}",
            "snd_path snd",  # relative: of a long path baresip cuts the end off
        ]
        return "\n".join(lines) + "\n"

    def _account(self) -> str:
        codecs = ",".join(CODECS[codec] for codec in self.codec.split(","))
        params = [f"audio_codecs={codecs}", f"answermode={self.answers}", "dtmfmode=rtpevent"]
        if self.srtp:
            params.append(f"mediaenc={self.srtp}")
        if self.password is None:
            params.append("regint=0")
        else:
            params += [f"auth_user={self.user}", f"auth_pass={self.password}", "regint=60"]
        if self.outbound:
            params += ["sipnat=outbound", f'outbound="sip:{self.registrar};transport={self.transport}"']
        return f"<sip:{self.user}@{self.registrar};transport={self.transport}>;" + ";".join(params)

    async def _connect(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self._process is not None
            assert self._process.returncode is None, f"baresip ended: {self.log()}"
            try:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert time.monotonic() < deadline, f"baresip does not listen: {self.log()}"
                await asyncio.sleep(0.05)
            else:
                self._reader = asyncio.create_task(self._read(reader))
                return

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                text = (await reader.readexactly(length + 1))[:-1]
                try:
                    message = json.loads(text)
                except ValueError:
                    message = {"event": True, "type": "UNREADABLE", "param": text.decode(errors="replace")}
                if message.get("event"):
                    self.events.append(
                        Event(
                            time.time(),
                            str(message.get("type", "")),
                            str(message.get("id", "")),
                            str(message.get("param", "")),
                            str(message.get("peeruri", "")),
                        )
                    )
                elif (waiting := self._replies.pop(str(message.get("token", "")), None)) and not waiting.done():
                    waiting.set_result(message)
        for waiting in self._replies.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError(f"baresip ended: {self.log()}"))

    async def command(self, name: str, params: str = "") -> dict[str, Any]:
        """Gives a command and returns the reply."""
        assert self._writer is not None
        token = str(next(self._tokens))
        reply = self._replies[token] = asyncio.get_running_loop().create_future()
        body = json.dumps({"command": name, "params": params, "token": token}).encode()
        self._writer.write(b"%d:%s," % (len(body), body))
        try:
            return await asyncio.wait_for(reply, PATIENCE)
        except TimeoutError as error:
            reading = "reads on" if self._reader is None or not self._reader.done() else f"stopped: {self._reader}"
            raise AssertionError(
                f"baresip did not answer {name}; it told {self.events[-5:]}; the reader {reading}; {self.log()}"
            ) from error

    async def registered(self, seconds: float = PATIENCE) -> None:
        """Waits for the registrar's 200; it may come before the control port takes a reader, so baresip's log tells."""
        await until(lambda: REGISTERED.search(self.log()), lambda: f"{self.user} is registered: {self.log()}", seconds)

    async def dial(self, number: str) -> None:
        """Calls a number of the switch."""
        done = await self.command("dial", f"sip:{number}@{self.registrar};transport={self.transport}")
        assert done.get("ok"), done

    async def accept(self) -> None:
        """Picks up."""
        await self.command("accept")

    async def hangup(self) -> None:
        """Ends the call, or declines it."""
        await self.command("hangup")

    async def hold(self) -> None:
        """Puts the other side on hold by a re-INVITE."""
        await self.command("hold")

    async def resume(self) -> None:
        """Takes the other side back from hold."""
        await self.command("resume")

    async def press(self, keys: str) -> None:
        """Sends digits as RFC 4733 events, one after the other."""
        for key in keys:
            done = await self.command("sndcode", key)
            assert done.get("ok"), done

    def seen(self, kind: str, after: int = 0) -> Event | None:
        """The first event of that type behind the first ``after`` ones."""
        return next((event for event in self.events[after:] if event.type == kind), None)

    async def event(self, kind: str, *, after: int = 0, seconds: float = PATIENCE) -> Event:
        """Waits for an event, also one that came before; ``after`` leaves out the first ones."""
        return await until(
            lambda: self.seen(kind, after),
            lambda: f"{self.user}'s {kind}; it told {[event.type for event in self.events[after:]]}; {self.log()}",
            seconds,
        )

    @property
    def recording(self) -> Path | None:
        """What the phone has heard in the call that began last."""
        found = sorted((self.folder / "snd").glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime_ns)
        return found[-1] if found else None

    def hears(self, hz: float, seconds: float = 0.4) -> bool:
        """Whether the last part of what it heard is that tone."""
        path = self.recording
        return path is not None and tone.is_tone(tone.tail_of_wav(path, seconds), hz)

    def hearing(self, seconds: float = 0.4) -> float | None:
        """The strongest frequency in the last part of what it heard; None for silence."""
        path = self.recording
        return tone.frequency(tone.tail_of_wav(path, seconds)) if path else None

    def loudness(self, seconds: float = 0.4) -> float:
        """How loud the last part of what it heard is."""
        path = self.recording
        return tone.loudness(tone.tail_of_wav(path, seconds)) if path else 0.0

    async def heard(self, hz: float, seconds: float = PATIENCE) -> None:
        """Waits until it hears that tone."""
        await until(lambda: self.hears(hz), lambda: f"{self.user} hears {hz:g} Hz, not {self.hearing()} Hz", seconds)

    def log(self) -> str:
        """The end of what baresip printed."""
        path = self.folder / "baresip.log"
        return path.read_text(errors="replace")[-1500:] if path.exists() else ""

    async def close(self) -> None:
        """Quits; unregisters on the way."""
        if self._process is not None and self._process.returncode is None and self._writer is not None:
            with contextlib.suppress(AssertionError, ConnectionError):
                await self.command("quit")
        await self.vanish(gently=True)

    def freeze(self, on: bool) -> None:
        """Nothing comes from it, neither sound nor reports, until it goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    async def vanish(self, *, gently: bool = False) -> None:
        """Is gone without a word, as a phone whose plug is pulled."""
        if self._writer is not None:
            self._writer.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        if self._process is not None:
            if gently:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), 3)
            elif self._process.returncode is None:
                self._process.kill()
            await process.end(self._process)
