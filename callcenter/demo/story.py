"""The journey of three calls, told as it happens: two companies, two agents, and a caller who has to wait."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from callcenter.demo.people import DemoFailed, Person, Switch
from callcenter.demo.screens import Screen, screen
from callcenter.publish import topics

CALLER_HZ = 440.0
AGENT_HZ = 660.0
TALK = 2.5
WIDTH = 78
LOG_LINES = 15
LOOK_EVERY = 0.1

# Who plays: agents and customers of the shipped configuration.
TECH, LUMINA = "the-tech-giant", "casa-lumina"
ANA, CARLA = "ana", "carla"


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who calls."""

    name: str
    number: str
    dials: str
    key: str
    agent: str


GRACE = Customer("Grace Whitfield", "+12025550111", "1000", "1", ANA)
OMAR = Customer("Omar Haddad", "+13125550123", "1000", "1", ANA)
BEATRIZ = Customer("Beatriz Nogueira", "+551100000151", "2000", "1", CARLA)


class Teller:
    """Writes the journey, each line with the seconds since its beginning."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._began = time.monotonic()
        self._bold, self._plain = ("\033[1m", "\033[0m") if out.isatty() else ("", "")

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def heading(self, text: str) -> None:
        """A new part of the journey."""
        self._print(f"\n{self._bold}{text}{self._plain}")

    def says(self, text: str) -> None:
        """What happens now."""
        first, *rest = textwrap.wrap(text, WIDTH - 10)
        self._print(f"{self.seconds:6.1f} s  {first}")
        for line in rest:
            self._print(f"{'':10}{line}")

    def box(self, title: str, lines: Sequence[str]) -> None:
        """A screen."""
        room = WIDTH - 14
        self._print(f"{'':10}┌─ {title} {'─' * (room - len(title) - 1)}┐")
        for line in lines:
            for part in textwrap.wrap(line, room, subsequent_indent="   ") or [""]:
                self._print(f"{'':10}│ {part.ljust(room)} │")
        self._print(f"{'':10}└{'─' * (room + 2)}┘")

    def plain(self, text: str) -> None:
        """A line as it stands."""
        self._print(text)

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class Stage:
    """What the journey takes place on: the switch, two softphones, two desks, and the floor's monitor."""

    def __init__(self, teller: Teller, folder: Path, overrides: list[str]) -> None:
        self.teller = teller
        self.switch = Switch(overrides)
        self.phones: dict[str, Person] = {}
        self.desks: dict[str, Screen] = {}
        self.floor: Screen
        self._folder = folder
        self._complaints: IO[bytes]
        self._callers: list[Person] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Stage]:
        """Everything up, the agents registered, while the block lasts. Raises DemoFailed."""
        async with contextlib.AsyncExitStack() as stack:
            self._complaints = stack.enter_context((self._folder / "phones.log").open("wb"))
            stack.push_async_callback(self.switch.leave)
            await self.switch.start(self._folder / "switch.log")
            ready = self.switch.ready
            host, port = self.switch.address
            self.teller.says(
                f"the switch is up, a program of its own (process {ready['pid']}): SIP on {host}:{port}, "
                "its own broker and database, all on free ports and in a folder that is gone afterwards"
            )
            if ready["mqtt"] is not None:
                monitor = ready["mqtt"]["monitor"]
                watched = (f"{topics.PREFIX}/agents/+/state", f"{topics.PREFIX}/calls/#")
                self.floor = await stack.enter_async_context(screen("the floor", ready, monitor, *watched))
            for user in (ANA, CARLA):
                line = self.switch.agent(user)
                wanted = (topics.agent_pop(user), topics.agent_state(user), topics.agent_reply(user))
                self.desks[user] = await stack.enter_async_context(screen(line["name"], ready, line["mqtt"], *wanted))
                self.phones[user] = Person(line["name"], "callcenter.demo.agent", host, port, user, CALLER_HZ, AGENT_HZ)
                stack.push_async_callback(self.phones[user].leave)
                await self.phones[user].start(self._complaints)
                self.phones[user].told(line["password"])
            stack.push_async_callback(self._send_callers_home)
            for user, phone in self.phones.items():
                await phone.does("registered", f"{phone.name}'s softphone registers")
                await self.desks[user].shows(
                    topics.agent_state(user), f"{phone.name} is ready", device="registered", chosen="ready"
                )
                self.teller.says(f"{phone.name}'s softphone (pyVoIP, process {phone.pid}) registers: ready for calls")
            yield self

    async def caller(self, customer: Customer) -> Person:
        """A customer who dials now."""
        person = Person(
            customer.name, "callcenter.demo.caller",
            *self.switch.address, customer.number, customer.name, customer.dials, AGENT_HZ, CALLER_HZ,
        )  # fmt: skip
        self._callers.append(person)
        await person.start(self._complaints)
        await person.does("dialled", f"{customer.name} dials")
        return person

    def company(self, client: str) -> str:
        """The name of a company."""
        return str(next(number["name"] for number in self.switch.ready["numbers"] if number["client"] == client))

    async def _send_callers_home(self) -> None:
        for person in self._callers:
            await person.leave()


async def play(out: IO[str], overrides: list[str]) -> int:
    """Play the demo; returns the exit status: 0 when all of it happened."""
    teller = Teller(out)
    with tempfile.TemporaryDirectory(prefix="callcenter-demo-") as name:
        folder = Path(name)
        try:
            async with Stage(teller, folder, overrides).open() as stage:
                await journey(stage)
        except DemoFailed as failure:
            teller.says(f"the demo ends here: {failure}")
        else:
            teller.plain(
                f"\nThat was all of it, in {teller.seconds:.0f} seconds. Everything is stopped and cleared away."
            )
            return 0
        for file in ("switch.log", "phones.log"):
            lines = (folder / file).read_text(errors="replace").splitlines() if (folder / file).exists() else []
            teller.plain(f"\nthe last lines of {file}:")
            for line in lines[-LOG_LINES:]:
                teller.plain(f"  {line[:300]}")
        return 1


async def journey(stage: Stage) -> None:
    """Three calls."""
    tell = stage.teller
    tell.heading(f"A known customer calls {stage.company(TECH)}, and talks to Ana")
    grace, grace_call = await arrive(stage, GRACE, TECH)
    await be_offered(stage, GRACE, grace_call)
    await talk(stage, grace, GRACE)

    tell.heading("Another one calls meanwhile, and waits for her")
    omar, omar_call = await arrive(stage, OMAR, TECH)
    tell.says("Ana is the only one here who may take him, and she talks: he hears music")
    await asyncio.sleep(TALK)

    tell.heading("The next in line")
    grace.told("hangup")
    await grace.does("ended", "Grace hangs up")
    tell.says("Grace hangs up. Ana wraps up; her desk says so, and she ends it with a click (a command over MQTT)")
    await wrap_up(stage)
    await be_offered(stage, OMAR, omar_call)
    await talk(stage, omar, OMAR)
    await asyncio.sleep(TALK)
    stage.phones[ANA].told("hangup")
    await omar.does("ended", "the call ends for Omar too")
    tell.says("Ana hangs up; Omar's phone hears it at once")

    tell.heading(f"The same floor answers for {stage.company(LUMINA)}, in Portuguese")
    beatriz, beatriz_call = await arrive(stage, BEATRIZ, LUMINA)
    await be_offered(stage, BEATRIZ, beatriz_call)
    await talk(stage, beatriz, BEATRIZ)
    await asyncio.sleep(TALK)
    beatriz.told("hangup")
    await beatriz.does("ended", "Beatriz hangs up")
    tell.says("Beatriz hangs up")

    tell.heading("What is saved")
    await show_records(stage, [grace_call, omar_call, beatriz_call])


async def arrive(stage: Stage, who: Customer, client: str) -> tuple[Person, str]:
    """From dialling to the queue; returns the phone and the id of the call."""
    tell, floor = stage.teller, stage.floor
    person = await stage.caller(who)
    tell.says(f"{who.name} ({who.number}) dials {who.dials}, {stage.company(client)}")
    arrived = await floor.happens("arrived", f"the call of {who.name} arrives", from_number=who.number, client=client)
    call = str(arrived["call"])
    await person.does("answered", "the switch answers")
    await person.does("sound", "the greeting is heard")
    tell.says("the switch answers, and the greeting is heard")
    person.told(f"press {who.key}")
    await person.does("pressed", f"the key {who.key} is pressed")
    captured = await floor.happens("intent_captured", "the switch takes the key", call=call)
    queued = await floor.happens("queued", "the call is in a queue", call=call)
    tell.says(
        f'{who.name.split()[0]} presses {who.key}: the switch understands "{captured["data"]["intent"]}", and puts '
        f"the call into the queue {queued['data']['queue']}"
    )
    return person, call


async def be_offered(stage: Stage, who: Customer, call: str) -> None:
    """The router decides, the screen pops, the phone rings."""
    tell, desk, phone = stage.teller, stage.desks[who.agent], stage.phones[who.agent]
    offered = await stage.floor.happens("offered", f"an agent is found for {who.name}", call=call)
    why = "; ".join(offered["data"]["why"])
    tell.says(f"the router offers the call to {phone.name}{f' ({why})' if why else ''}")
    shown = await desk.pop(f"the screen pop of {who.name} is shown", call)
    rang = await phone.does("ringing", f"{phone.name}'s phone rings")
    tell.box(f"{phone.name}'s screen", pop_lines(shown["payload"]))
    lead = (rang["at"] - shown["at"]) * 1000
    order = f"{lead:.1f} ms after the screen" if lead >= 0 else "with the screen"
    tell.says(f'her phone rings, {order}; its display says "{rang["name"]}"')


async def talk(stage: Stage, person: Person, who: Customer) -> None:
    """The agent answers, and both hear each other."""
    phone = stage.phones[who.agent]
    await phone.does("answered", f"{phone.name} answers")
    await person.does("heard", f"{who.name} hears {phone.name}")
    await phone.does("heard", f"{phone.name} hears {who.name}")
    first = who.name.split()[0]
    stage.teller.says(
        f"{phone.name} answers; they hear each other (measured: {AGENT_HZ:.0f} Hz, her voice, at {first}'s phone, "
        f"{CALLER_HZ:.0f} Hz, {first}'s voice, at hers)"
    )


async def wrap_up(stage: Stage) -> None:
    """Ana is through with the call, and says so from her desk."""
    desk, name = stage.desks[ANA], stage.phones[ANA].name
    await desk.shows(topics.agent_state(ANA), f"{name} wraps up", work="wrap_up")
    command = {"id": "wrap-up-of-grace", "do": "wrap_up_done", "disposition": "solved"}
    await desk.command(ANA, command)
    reply = await desk.shows(topics.agent_reply(ANA), "the switch answers the command", id=command["id"])
    if not reply["payload"].get("ok"):
        raise DemoFailed(f"the switch refused {command['do']}: {reply['payload'].get('error')}")
    stage.teller.says(f"{name} is available again, and Omar is the next in line")


def pop_lines(pop: dict[str, Any]) -> list[str]:
    """A screen pop as an agent would see it."""
    customer = pop["customer"]
    lines = [
        f"{pop['client']['name']} · {pop['intent']} · waited {pop['waited_s']:.0f} s",
        f"“{pop['client']['greeting']}”",
    ]
    if customer["match"] == "sure":
        lines.append(f"{customer['name']} · {pop['from']} · {customer['tier']} · since {customer['since']}")
        if customer["notes"]:
            lines.append(customer["notes"])
        last = customer["last"]
        lines.append(f"last call: {last['queue']}, {last['outcome']}" if last else "never called before")
    else:
        lines.append(f"{pop['from']} · not known")
    return lines


async def show_records(stage: Stage, calls: Sequence[str]) -> None:
    """The interactions, read from the database when they are complete."""
    rows = await saved(Path(stage.switch.ready["database"]), calls)
    line = "{:<14} {:<14} {:<10} {:<7} {:>7} {:>7}  {}".format
    stage.teller.plain("          " + line("company", "caller", "outcome", "agent", "waited", "talked", "ended by"))
    for row in rows:
        told = line(
            row["client"], row["from_number"], row["outcome"], row["agent"],
            f"{row['wait_ms'] / 1000:.1f} s", f"{row['talk_ms'] / 1000:.1f} s", row["ended_by"],
        )  # fmt: skip
        stage.teller.plain("          " + told)
        if row["outcome"] != "handled":
            raise DemoFailed(f"the call of {row['from_number']} was saved as {row['outcome']}")


async def saved(database: Path, calls: Sequence[str], within: float = 10.0) -> list[sqlite3.Row]:
    """The saved interactions of these calls, in the order of the calls. Raises DemoFailed."""
    marks = ",".join("?" * len(calls))
    sql = f"SELECT * FROM interactions WHERE ended_at IS NOT NULL AND call_id IN ({marks}) ORDER BY arrived_at"
    rows: list[sqlite3.Row] = []
    for _ in range(round(within / LOOK_EVERY)):
        rows = await asyncio.to_thread(read, database, sql, calls)
        if len(rows) == len(calls):
            return rows
        await asyncio.sleep(LOOK_EVERY)
    raise DemoFailed(f"of {len(calls)} calls {len(rows)} are in the database")


def read(database: Path, sql: str, values: Sequence[str]) -> list[sqlite3.Row]:
    """Rows of the database, read while the switch writes."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(sql, values).fetchall()
