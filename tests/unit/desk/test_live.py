"""The live stream over HTTP: it goes on from where one was, and whoever does not read is sent away with a word."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from structlog.testing import capture_logs

from callcenter.desk.events import Limits
from callcenter.desk.snapshots import Snapshots
from callcenter.desk.switch import SwitchAway
from callcenter.model.access import Role
from callcenter.model.facts import AgentSkillsChanged, CallAnswered, DigitsEntered
from tests.unit.desk.asgi import Answer, read
from tests.unit.desk.filled import open_filled
from tests.unit.desk.support import Floor

EVENTS = "/api/v1/events"


@asynccontextmanager
async def live(folder: Path, **limits: Any) -> AsyncIterator[Floor]:
    async with open_filled(folder) as floor:
        floor.desk.hub.limits = Limits(**{"heartbeat": 0.02, "behind": 0.05, **limits})
        task = asyncio.create_task(floor.desk.hub.run())
        try:
            yield floor
        finally:
            task.cancel()
            await asyncio.wait({task})


def numbers(answer: Answer) -> list[int]:
    """The facts that were told."""
    return [
        json.loads(line.removeprefix("data: "))["seq"] for line in answer.text.split("\n") if line.startswith("data: {")
    ]


async def test_who_comes_back_goes_on_from_the_last_event(tmp_path: Path) -> None:
    async with live(tmp_path) as floor:
        ida, last = await floor.token(Role.ADMIN), floor.stream.seq
        first = await read(floor.app, f"{EVENTS}?after=0", ida, lambda answer: f"id: {last - 7}\n" in answer.text)
        assert (first.status, first.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert first.headers["cache-control"] == "no-store"
        floor.stream.append(DigitsEntered("main", "1", True), "cc1-acme-0")
        had = numbers(first)[-1]
        again = await read(
            floor.app,
            f"{EVENTS}?after=0",
            ida,
            lambda answer: f"id: {last + 1}\n" in answer.text,
            headers={"Last-Event-ID": str(had)},
        )
        assert [*numbers(first), *numbers(again)] == list(range(1, last + 2))


async def test_without_a_number_it_begins_now_and_says_where(tmp_path: Path) -> None:
    async with live(tmp_path) as floor:
        ida, last = await floor.token(Role.ADMIN), floor.stream.seq
        answer = await read(floor.app, EVENTS, ida, lambda answer: answer.text.count("id: ") == 3)
        assert answer.text == f"retry: 1000\nid: {last}\n\nid: {last}\n\nid: {last}\n\n"


async def test_a_reader_who_does_not_read_is_sent_away_with_a_word(tmp_path: Path) -> None:
    async with live(tmp_path, patience=0.05, farewell=5.0) as floor:
        ida, stuck = await floor.token(Role.ADMIN), asyncio.Event()
        seen = 0

        def reads(_: Answer) -> bool:
            nonlocal seen
            seen += 1
            if seen == 3:
                stuck.set()
            return seen != 3

        answer = await read(floor.app, f"{EVENTS}?after=0", ida, lambda answer: False, reads=reads)
        assert stuck.is_set()
        assert answer.ended
        assert "event: cut\ndata: {" in answer.text
        assert "nothing was read for 0.05 s; ask again after the last event that you have" in answer.text


async def test_over_a_connection_whoever_stops_reading_has_every_event_up_to_the_word_that_ends_it(
    tmp_path: Path,
) -> None:
    """A true socket with little room: what the reader finds in it later is whole, and says from where to go on."""
    async with live(tmp_path, patience=0.1, farewell=10.0) as floor:
        for _ in range(400):
            floor.stream.append(DigitsEntered("main", "1" * 3_000, True), "cc1-acme-0")
        await floor.written()
        ida = await floor.token(Role.ADMIN)
        listening, reader = socket.create_server(("127.0.0.1", 0)), socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        config = uvicorn.Config(floor.app, http="h11", lifespan="off", log_config=None, ws="none")
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        with capture_logs() as lines, listening, reader:
            await server.startup(sockets=[listening])
            reader.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(reader, listening.getsockname())
            ask = f"GET {EVENTS}?after=0 HTTP/1.1\r\nHost: desk.test\r\nAuthorization: Bearer {ida}\r\n\r\n"
            await loop.sock_sendall(reader, ask.encode())
            async with asyncio.timeout(10):
                while not any("nothing was read" in line.get("reason", "") for line in lines):  # noqa: ASYNC110 - a log tells nobody
                    await asyncio.sleep(0.01)
                text = b""
                while part := await loop.sock_recv(reader, 65536):
                    text += part
            await server.shutdown(sockets=[listening])
        body = "".join(line for line in text.decode().split("\r\n")[8:] if not re.fullmatch("[0-9a-f]+", line))
        found = numbers(Answer(text=body.partition("event: cut")[0]))
        assert found == list(range(1, len(found) + 1))
        assert 20 < len(found) < 400
        assert body.count("event: cut") == 1
        assert body.endswith('ask again after the last event that you have"}\n\n')


async def test_who_may_read_no_more_is_told_nothing_more(tmp_path: Path) -> None:
    async with live(tmp_path) as floor:
        ida = await floor.token(Role.ADMIN)
        revoking: list[asyncio.Task[Any]] = []

        def revokes(answer: Answer) -> bool:
            if not revoking:
                revoking.append(asyncio.create_task(floor.desk.tokens.revoke("admin-1")))
            return False

        answer = await read(floor.app, f"{EVENTS}?after=0", ida, revokes)
        await revoking[0]
        assert answer.ended
        assert "what you may see has changed" in answer.text


async def test_the_end_of_the_desk_ends_every_stream(tmp_path: Path) -> None:
    async with live(tmp_path, heartbeat=60) as floor:
        ida = await floor.token(Role.ADMIN)

        def ends(answer: Answer) -> bool:
            floor.desk.ending.set()
            return False

        answer = await read(floor.app, f"{EVENTS}?after=0", ida, ends)
        assert answer.ended
        assert "the desk is started anew" in answer.text


@pytest.mark.parametrize(
    ("query", "header", "status", "reason"),
    [
        ("?after=-1", "", 422, "invalid"),
        ("?after=many", "", 422, "invalid"),
        ("?after=99999999999999999999", "", 422, "invalid"),
        ("?after=4711", "", 409, "conflict"),
        ("", "x7", 422, "invalid"),
        ("", "99999999999999999999", 422, "invalid"),
        ("", "4711", 409, "conflict"),
    ],
)
async def test_a_number_that_is_none_or_of_another_switch_is_a_problem(
    tmp_path: Path, query: str, header: str, status: int, reason: str
) -> None:
    async with live(tmp_path, behind=0.01) as floor:
        ida = await floor.token(Role.ADMIN)
        headers = {"Last-Event-ID": header} if header else {}
        answer = await read(floor.app, EVENTS + query, ida, lambda _: True, headers=headers)
        assert (answer.status, json.loads(answer.text)["reason"]) == (status, reason)


async def test_a_snapshot_and_what_follows_it_miss_nothing(tmp_path: Path) -> None:
    async with live(tmp_path) as floor:
        ida, sue = await floor.client(Role.ADMIN), await floor.client(Role.SUPERVISOR, clients={"acme"})
        taken = (await ida.get("/api/v1/snapshot")).json()
        for _ in range(3):
            floor.stream.append(CallAnswered(), "cc1-globex-0")
        last = floor.stream.seq
        token = await floor.token(Role.ADMIN)
        answer = await read(
            floor.app, f"{EVENTS}?after={taken['seq']}", token, lambda answer: f"id: {last}\n" in answer.text
        )
        assert numbers(answer) == [taken["seq"] + each for each in (1, 2, 3)]
        theirs = (await sue.get("/api/v1/snapshot")).json()["states"]
        assert set(theirs) < set(taken["states"])
        assert not [topic for topic in theirs if "globex" in topic or "bob" in topic]
        assert theirs["callcenter/v1/agents/ana/state"] == taken["states"]["callcenter/v1/agents/ana/state"]


async def test_many_who_ask_at_once_cost_the_switch_two_questions_and_nobody_is_given_an_old_answer() -> None:
    gate, asked = asyncio.Event(), 0

    async def ask() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        number = asked
        await gate.wait()
        return {"seq": number, "boot": "boot", "at": "now", "states": {}}

    snapshots = Snapshots(ask)
    first = asyncio.create_task(snapshots.take())
    while not asked:  # noqa: ASYNC110 - the question is begun by a task of its own
        await asyncio.sleep(0)
    others = [asyncio.create_task(snapshots.take()) for _ in range(20)]
    await asyncio.sleep(0)
    others.pop().cancel()
    gate.set()
    assert (await first).seq == 1
    assert {(await each).seq for each in others} == {2}, "what was asked before them may be older than their question"
    assert asked == 2


async def test_a_switch_that_is_away_fails_who_asks_and_is_asked_again() -> None:
    away = iter([True, False])

    async def ask() -> dict[str, Any]:
        if next(away):
            raise SwitchAway("away")
        return {"seq": 7, "boot": "boot", "at": "now", "states": {}}

    snapshots = Snapshots(ask)
    with pytest.raises(SwitchAway):
        await snapshots.take()
    assert (await snapshots.take()).seq == 7


async def test_who_is_taken_from_a_company_is_told_nothing_that_happens_there_afterwards(tmp_path: Path) -> None:
    async with live(tmp_path, heartbeat=60.0) as floor:
        ana, last = await floor.token(Role.AGENT), floor.stream.seq

        def changes(answer: Answer) -> bool:
            if floor.stream.seq == last:
                floor.stream.append(DigitsEntered("main", "1", True), "cc1-acme-0")
            elif floor.stream.seq == last + 1 and numbers(answer):
                floor.stream.append(AgentSkillsChanged("ana", "sue", changed=("clients",), clients=("globex",)))
                floor.stream.append(DigitsEntered("main", "2", True), "cc1-acme-0")
            return False

        async with asyncio.timeout(10):
            answer = await read(floor.app, f"{EVENTS}?after={last}", ana, changes)
        assert answer.ended
        assert "what you may see has changed" in answer.text
        assert numbers(Answer(text=answer.text.partition("event: cut")[0])) == [last + 1]
