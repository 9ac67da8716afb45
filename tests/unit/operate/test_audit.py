"""The books of commands: who had what changed and what came of it; the same answer to the same, over a restart too."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from callcenter.app.house import House
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command, ControlServer
from callcenter.desk.switch import Switch
from callcenter.model.access import Actor, Role, Scope
from callcenter.operate.audit import CommandBooks, audit_commands
from callcenter.runtime.clock import SystemClock
from callcenter.storage.audit import Act, find_acts
from callcenter.storage.database import AioDatabase
from callcenter.storage.store import Storage

ANA = Actor("ana", Role.AGENT, frozenset({"acme"}), agent="ana")
IDA = Actor("ida", Role.ADMIN)
SUE = Actor("sue", Role.ADMIN, frozenset({"globex"}))


class WallClock(SystemClock):
    """One that a test may put forward."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(slots=True)
class Doors:
    """A switch's place, as long as it runs."""

    switch: Switch
    storage: Storage
    clock: WallClock
    done: list[Asked] = field(default_factory=list)

    async def acts(self, **asked: Any) -> list[Act]:
        await self.storage.log.drained()
        return await find_acts(self.storage.database, **asked)


@contextlib.asynccontextmanager
async def running(folder: Path, clock: WallClock | None = None) -> AsyncIterator[Doors]:
    """One life of the switch on this folder."""
    clock = clock or WallClock()
    storage = await Storage.over(await AioDatabase.open(folder / "callcenter.db"), clock=clock)
    agents = {"ana": SimpleNamespace(clients=frozenset({"acme"}))}
    house = cast(
        "House",
        SimpleNamespace(
            edges=SimpleNamespace(storage=storage, clock=clock),
            services=SimpleNamespace(settings=SimpleNamespace(clients={"acme": 1, "globex": 2})),
            supervisor=SimpleNamespace(calls={"cc1-c1": SimpleNamespace(client=SimpleNamespace(id="acme"))}),
            settings=SimpleNamespace(plan=SimpleNamespace(agents=agents)),
        ),
    )
    doors = Doors(Switch(folder / "control.sock"), storage, clock)

    async def note(asked: Asked) -> Mapping[str, Any]:
        doors.done.append(asked)
        if asked.fields.get("text") == "wrong":
            raise CommandError("no", Reason.NOT_FOUND)
        return {"note": {"id": f"n{len(doors.done)}", "text": asked.fields.get("text"), "password": "hunter2"}}

    commands = {
        "note": Command(note, scope=Scope.CALLS_READ),
        "reload": Command(note, scope=Scope.CONFIG, secret=True),
        "erase": Command(note, scope=Scope.CUSTOMERS_ERASE),
        "look": Command(note, changes=False, scope=Scope.CALLS_READ),
        **audit_commands(house),
    }
    server = ControlServer(folder / "control.sock", commands, storage.log)
    server.books = CommandBooks(house)
    await server.open()
    try:
        yield doors
    finally:
        doors.switch.close()
        await server.close()
        await storage.close()


async def test_what_was_changed_is_written_down_with_who_whose_and_which_and_never_what_was_said(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as doors:
        await doors.switch.ask("note", ANA, id="one", call="cc1-c1", text="her name is Jana, +420777123456")
        await doors.switch.ask("note", IDA, id="two", client="globex", customer="c-4711", text="x")
        await doors.switch.ask("look", ANA)
        await doors.switch.ask("note", None, number="+420777123456", text="y")
        with pytest.raises(CommandError):
            await doors.switch.ask("note", ANA, id="four", text="wrong")
        with pytest.raises(CommandError):
            await doors.switch.ask("reload", ANA, id="five")
        found = [
            (act.user, act.role, act.via, act.action, act.client, act.target, act.outcome, act.command)
            for act in await doors.acts()
        ]
        (own,) = [each for each in found if each[2] == "control"]
        found.remove(own)
        assert own[1:7] == ("admin", "control", "note", "", "n4", "done")
        assert found == [
            ("ana", "agent", "desk", "reload", "acme", "", "forbidden", "five"),
            ("ana", "agent", "desk", "note", "acme", "", "not_found", "four"),
            ("ida", "admin", "desk", "note", "globex", "n2", "done", "two"),
            ("ana", "agent", "desk", "note", "acme", "n1", "done", "one"),
        ]
        rows = await doors.storage.database.fetch_all("SELECT * FROM audit")
        for word in ("Jana", "420777", "hunter2"):
            assert word not in str(rows)


async def test_the_same_id_has_the_same_answer_behind_a_restart_and_is_done_once(tmp_path: Path) -> None:
    async with running(tmp_path) as doors:
        first = await doors.switch.ask("note", ANA, id="one", text="x")
    async with running(tmp_path) as doors:
        assert await doors.switch.ask("note", ANA, id="one", text="x") == first
        assert doors.done == []
        await doors.switch.ask("note", IDA, id="two", text="a")
        with pytest.raises(CommandError) as conflict:
            await doors.switch.ask("note", IDA, id="two", text="b")
        assert (conflict.value.reason, conflict.value.field) == (Reason.CONFLICT, "id")
    async with running(tmp_path) as doors:
        with pytest.raises(CommandError) as conflict:
            await doors.switch.ask("note", ANA, id="one", text="another")
        assert (conflict.value.reason, conflict.value.field) == (Reason.CONFLICT, "id")
        await doors.switch.ask("note", IDA, id="one", text="x")
        assert len(doors.done) == 1, "another's id is another one"


async def test_an_answer_is_kept_for_a_day_and_one_with_secrets_not_at_all(tmp_path: Path) -> None:
    async with running(tmp_path) as doors:
        await doors.switch.ask("note", ANA, id="one", text="x")
        await doors.switch.ask("reload", IDA, id="two")
    async with running(tmp_path) as doors:
        await doors.switch.ask("reload", IDA, id="two")
        assert [asked.do for asked in doors.done] == ["reload"]
    clock = WallClock()
    clock.ahead = timedelta(days=1, minutes=1)
    async with running(tmp_path, clock) as doors:
        await doors.storage.log.drained()
        assert await doors.storage.database.fetch_all("SELECT * FROM answers") == []
        await doors.switch.ask("note", ANA, id="one", text="x")
        assert len(doors.done) == 1


async def test_who_only_looks_what_would_be_erased_has_nothing_forgotten(tmp_path: Path) -> None:
    async with running(tmp_path) as doors:
        first = await doors.switch.ask("note", IDA, id="one", text="late")
        await doors.switch.ask("erase", IDA, id="two", customer="c-1", dry=True)
        assert await doors.switch.ask("note", IDA, id="one", text="late") == first
        assert [asked.do for asked in doors.done] == ["note", "erase"]
    async with running(tmp_path) as doors:
        assert await doors.switch.ask("note", IDA, id="one", text="late") == first
        assert doors.done == [], "nor over a restart"


async def test_who_is_erased_stands_in_no_answer_any_more(tmp_path: Path) -> None:
    async with running(tmp_path) as doors:
        await doors.switch.ask("note", ANA, id="one", text="Jana")
        await doors.storage.log.drained()
        assert "Jana" in str(await doors.storage.database.fetch_all("SELECT * FROM answers"))
        await doors.switch.ask("erase", IDA, id="two", customer="c-1")
        await doors.storage.log.drained()
        [row] = await doors.storage.database.fetch_all("SELECT * FROM answers")
        assert "Jana" not in str(row)
        assert b"" in row, "nor a digest, by which one could try names until one fits"


async def test_what_was_done_is_not_done_again_because_somebody_was_erased_meanwhile(tmp_path: Path) -> None:
    """A `dial` whose answer was lost, asked for again behind an erasure, would ring the customer once more."""
    async with running(tmp_path) as doors:
        await doors.switch.ask("note", ANA, id="one", text="Jana")
        with pytest.raises(CommandError):
            await doors.switch.ask("note", ANA, id="wrong", text="wrong")
        await doors.switch.ask("note", None, id="own", text="Jana")
        await doors.switch.ask("erase", IDA, id="two", customer="c-1")
        for who, name in ((ANA, "one"), (None, "own")):
            told = await doors.switch.ask("note", who, id=name, text="Jana")
            assert told["note"] == {"id": "n1" if who else "n3", "text": "", "password": ""}
        await doors.switch.ask("note", IDA, id="three", text="x")
        await doors.switch.ask("erase", IDA, id="four", customer="c-2")
        with pytest.raises(CommandError) as conflict:
            await doors.switch.ask("erase", IDA, id="three", customer="c-2")
        assert (conflict.value.reason, conflict.value.field) == (Reason.CONFLICT, "id")
    async with running(tmp_path) as doors:
        assert (await doors.switch.ask("note", ANA, id="one", text="Jana"))["note"]["id"] == "n1"
        assert doors.done == [], "nor behind a restart"
        await doors.switch.ask("erase", IDA, id="two", customer="c-1")
        assert [asked.do for asked in doors.done] == ["erase"], "who is erased again is told what there is left"


async def test_who_sees_one_company_alone_sees_what_was_done_of_theirs(tmp_path: Path) -> None:
    async with running(tmp_path) as doors:
        for number, client in enumerate(["acme", "globex", "acme"]):
            await doors.switch.ask("note", IDA, id=f"n{number}", client=client, text="x")
        await doors.switch.ask("audited", None, user="token:crm", role="admin", action="token_create", target="crm")
        await doors.storage.log.drained()

        async def of(actor: Actor, **asked: Any) -> list[str]:
            told = await doors.switch.ask("audit", actor, **asked)
            return [f"{act['action']} {act['client'] or act['target']}" for act in told["acts"]]

        assert await of(IDA) == ["token_create crm", "note acme", "note globex", "note acme"]
        assert await of(SUE) == ["note globex"]
        assert await of(SUE, client="acme") == []
        assert await of(IDA, client="acme", limit=1) == ["note acme"]
        assert await of(IDA, user="token:crm") == ["token_create crm"]
        for actor in (ANA, IDA):
            with pytest.raises(CommandError) as refused:
                await doors.switch.ask("audited", actor, user="x", role="admin", action="forged")
            assert refused.value.reason is Reason.FORBIDDEN
        with pytest.raises(CommandError):
            await of(ANA)
