"""The control socket: commands once by id, events without a gap, and bounds on everything a client may do."""

from __future__ import annotations

import asyncio
import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from callcenter.control.protocol import MAX_LINE
from callcenter.control.server import Limits
from tests.unit.control.support import caller, open_desk, until


async def test_a_command_is_answered_with_its_id_and_told_who_asked(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        answer = await one.ask({"id": "7f3a", "do": "do", "agent": "ana"})
        assert answer == {"id": "7f3a", "ok": True, "result": {"number": 1}}
        [asked] = desk.asked
        assert (asked.do, asked.id, dict(asked.fields)) == ("do", "7f3a", {"agent": "ana"})
        assert asked.by == getpass.getuser()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("status", "this is not JSON"),
        ("[" * 10_000, "this is not JSON"),
        ("[1]", "a command is a JSON object"),
        ('{"id": "1"}', "`do` names the command"),
        ('{"id": 7, "do": "do"}', "`id` is a text of 1 to 64 characters"),
        (json.dumps({"id": "x" * 65, "do": "do"}), "`id` is a text of 1 to 64 characters"),
        ('{"id": "1", "do": "dance"}', "`dance` is no command; there are: break, do, events, look, wait"),
    ],
)
async def test_what_cannot_be_understood_is_answered_with_what_to_write_instead(
    tmp_path: Path, text: str, error: str
) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        answer = await one.ask(text)
        assert (answer["ok"], error in answer["error"]) == (False, True), answer
        assert (await one.ask({"do": "do"}))["ok"], "the connection goes on"


async def test_the_same_id_is_done_once_whatever_connection_it_comes_by(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one, caller(desk) as other:
        first = await one.ask({"id": "a", "do": "do"})
        assert await one.ask({"id": "a", "do": "do"}) == first
        assert await other.ask({"id": "a", "do": "do"}) == first
        assert len(desk.asked) == 1
        assert (await other.ask({"id": "b", "do": "do"}))["result"] == {"number": 2}


async def test_the_same_id_waits_for_what_is_under_way_also_when_its_first_asker_has_gone(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        async with caller(desk) as one:
            one.send({"id": "a", "do": "wait"})
            await until(lambda: desk.asked)
        async with caller(desk) as other:
            other.send({"id": "a", "do": "wait"})
            desk.gate.set()
            assert (await other.next())["result"] == {"number": 1}


async def test_an_id_that_was_used_for_another_command_is_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        await one.ask({"id": "a", "do": "do", "agent": "ana"})
        answer = await one.ask({"id": "a", "do": "do", "agent": "bruno"})
        assert "the id `a` was used for another command" in answer["error"]
        assert (answer["reason"], answer["field"]) == ("conflict", "id")
        assert len(desk.asked) == 1


async def test_a_program_asks_for_somebody_else_who_may_do_no_more_than_they_hold(tmp_path: Path) -> None:
    ana = {"user": "ana", "role": "agent", "clients": ["acme"], "agent": "ana"}
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        assert (await one.ask({"id": "a", "do": "look", "as": ana}))["ok"]
        [asked] = desk.asked
        assert (asked.by, asked.actor.agent, asked.actor.clients) == ("agent ana", "ana", frozenset({"acme"}))
        client = await one.ask({"id": "b", "do": "look", "as": {**ana, "role": "client"}})
        assert (client["ok"], client["reason"]) == (False, "forbidden")
        assert "customers:read" in client["error"]
        # What has no scope is for the switch's own machine.
        own = await one.ask({"id": "c", "do": "do", "as": {"user": "root", "role": "admin"}})
        assert (own["ok"], own["reason"]) == (False, "forbidden")
        nobody = await one.ask({"id": "d", "do": "look", "as": {"role": "admin"}})
        assert (nobody["reason"], nobody["field"]) == ("invalid", "as")
        assert len(desk.asked) == 1


async def test_two_people_may_use_the_same_id(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        mine = await one.ask({"id": "a", "do": "do"})
        assert (await one.ask({"id": "a", "do": "look", "as": {"user": "ana", "role": "agent"}}))["ok"]
        assert await one.ask({"id": "a", "do": "do"}) == mine


async def test_who_looks_again_sees_what_is_now(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        assert [(await one.ask({"id": "a", "do": "look"}))["result"]["number"] for _ in range(2)] == [1, 2]


async def test_no_more_answers_are_remembered_than_the_bound(tmp_path: Path) -> None:
    async with open_desk(tmp_path, Limits(remembered=3)) as desk, caller(desk) as one:
        for number in range(5):
            await one.ask({"id": f"n{number}", "do": "do"})
        await one.ask({"id": "n4", "do": "do"})
        assert len(desk.asked) == 5, "the latest are known"
        await one.ask({"id": "n0", "do": "do"})
        assert len(desk.asked) == 6, "the oldest is forgotten"


async def test_a_mistake_of_ours_in_a_command_costs_that_command_alone(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        answer = await one.ask({"id": "a", "do": "break"})
        assert answer["error"] == "break failed by a mistake of ours: ZeroDivisionError: ours"
        assert (await one.ask({"do": "do"}))["ok"]


async def test_what_could_not_be_done_for_now_is_tried_again_under_the_same_id(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        for _ in range(2):
            assert (await one.ask({"id": "a", "do": "break"}))["reason"] == "unavailable"
        assert [asked.do for asked in desk.asked] == ["break", "break"]


async def test_more_commands_at_once_than_the_bound_are_asked_to_come_again(tmp_path: Path) -> None:
    async with open_desk(tmp_path, Limits(at_work=1)) as desk, caller(desk) as one, caller(desk) as other:
        one.send({"id": "a", "do": "wait"})
        await until(lambda: desk.asked)
        assert "too many commands are at work" in (await other.ask({"id": "b", "do": "do"}))["error"]
        desk.gate.set()
        await one.next()
        assert (await other.ask({"id": "b", "do": "do"}))["ok"], "the same id, now it is done"


async def test_one_client_too_many_is_told_so_and_leaves_room_when_another_goes(tmp_path: Path) -> None:
    async with open_desk(tmp_path, Limits(clients=1)) as desk:
        async with caller(desk) as one:
            await one.ask({"do": "do"})
            async with caller(desk) as other:
                assert "no more are taken" in (await other.next())["error"]
                assert await other.ended()
        await until(lambda: " 0 clients" in repr(desk.server))
        async with caller(desk) as next_one:
            assert (await next_one.ask({"do": "do"}))["ok"]


async def test_a_line_without_an_end_is_cut_with_a_word(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        one.writer.write(b"x" * (MAX_LINE * 3))
        assert "a line is longer than 64 kB" in (await one.next())["error"]
        assert await one.ended()


# ---------------------------------------------------------------------------------------------------------- events


@pytest.mark.parametrize("after", [0, 1, 41, 60])
async def test_events_come_from_any_number_on_in_order_and_go_on_live(tmp_path: Path, after: int) -> None:
    async with open_desk(tmp_path, facts=60) as desk, caller(desk) as one:
        assert (await one.ask({"id": "e", "do": "events", "after": after}))["result"] == {"after": after}
        assert await one.facts(60 - after) == list(range(after + 1, 61))
        desk.add(5)
        assert await one.facts(5) == [61, 62, 63, 64, 65]


async def test_events_are_whole_facts(tmp_path: Path) -> None:
    async with open_desk(tmp_path, facts=1) as desk, caller(desk) as one:
        await one.ask({"do": "events", "after": 0})
        fact = (await one.next())["fact"]
        assert (fact["seq"], fact["kind"], fact["call_id"], fact["boot"]) == (1, "DigitsEntered", "cc1-call", "boot")
        assert fact["body"]["digits"] == "1"


async def test_without_a_number_events_begin_now(tmp_path: Path) -> None:
    async with open_desk(tmp_path, facts=60) as desk, caller(desk) as one:
        assert (await one.ask({"do": "events"}))["result"] == {"after": 60}
        desk.add()
        assert await one.facts(1) == [61]


@pytest.mark.parametrize("after", [-1, True, "7", 1.5])
async def test_a_number_that_is_none_is_refused(tmp_path: Path, after: Any) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        assert "`after` is the number of the last fact" in (await one.ask({"do": "events", "after": after}))["error"]


async def test_a_misspelt_number_does_not_begin_now(tmp_path: Path) -> None:
    async with open_desk(tmp_path, facts=3) as desk, caller(desk) as one:
        error = (await one.ask({"do": "events", "since": 1}))["error"]
        assert error == "events knows no field `since`; there are: `after`"


async def test_a_number_of_another_log_is_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path, facts=3) as desk, caller(desk) as one:
        assert "fact 4 is not written yet" in (await one.ask({"do": "events", "after": 4}))["error"]


async def test_commands_are_answered_between_the_events(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        await one.ask({"do": "events"})
        assert (await one.ask({"id": "a", "do": "do"}))["id"] == "a"
        assert "follows the events already" in (await one.ask({"do": "events"}))["error"]
        desk.add()
        assert await one.facts(1) == [1]


async def test_readers_who_come_and_go_while_facts_are_written_miss_nothing_and_see_nothing_twice(
    tmp_path: Path,
) -> None:
    total = 6_000  # beyond what the log keeps in memory: some is read from the database

    async def follow(stay: int) -> list[int]:
        """Takes ``stay`` facts, hangs up, and comes back for those behind them."""
        seen: list[int] = []
        while len(seen) < total:
            async with caller(desk) as one:
                await one.ask({"do": "events", "after": seen[-1] if seen else 0})
                seen += await one.facts(min(stay, total - len(seen)))
        return seen

    async def write() -> None:
        for _ in range(total // 50):
            desk.add(50)
            await asyncio.sleep(0)

    async with open_desk(tmp_path) as desk:
        *followed, _ = await asyncio.gather(*(follow(stay) for stay in (977, 1500, total)), write())
        for seen in followed:
            assert seen == list(range(1, total + 1))


async def test_who_does_not_read_is_cut_with_a_word_and_can_go_on_from_there(tmp_path: Path) -> None:
    limits = Limits(buffer=1024, patience=0.05, farewell=30.0)
    async with open_desk(tmp_path, limits, facts=5_000) as desk, caller(desk) as one:
        one.writer.transport.pause_reading()  # type: ignore[attr-defined]
        one.send({"do": "events", "after": 0})
        await until(lambda: _sent_away(desk.server))
        assert (await caller_sees(desk))["ok"], "others are served meanwhile"
        one.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert (await one.next())["ok"]
        seen, word = [], ""
        while not word:
            message = await one.next()
            if "fact" in message:
                seen.append(message["fact"]["seq"])
            else:
                word = message["error"]
        assert await one.ended()
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) < 5_000
        assert "cut: nothing was read for 0.05 s" in word
        async with caller(desk) as again:
            await again.ask({"do": "events", "after": seen[-1]})
            assert await again.facts(10) == list(range(seen[-1] + 1, seen[-1] + 11))


def _sent_away(server: Any) -> bool:
    return any(client.writer.is_closing() for client in server._clients)


async def caller_sees(desk: Any) -> dict[str, Any]:
    async with caller(desk) as other:
        return await other.ask({"do": "do"})


async def test_who_never_reads_the_word_is_hung_up_on(tmp_path: Path) -> None:
    limits = Limits(buffer=1024, patience=0.05, farewell=0.05)
    async with open_desk(tmp_path, limits, facts=5_000) as desk, caller(desk) as one:
        one.writer.transport.pause_reading()  # type: ignore[attr-defined]
        one.send({"do": "events", "after": 0})
        await until(lambda: _sent_away(desk.server))
        await until(lambda: " 0 clients" in repr(desk.server))


async def test_a_log_that_cannot_be_read_is_told_with_where_to_go_on(tmp_path: Path, monkeypatch: Any) -> None:
    async with open_desk(tmp_path, facts=3) as desk, caller(desk) as one:

        async def away(after: int, limit: int) -> list[Any]:
            raise OSError("the disk is gone")

        monkeypatch.setattr(desk.log, "read", away)
        await one.ask({"do": "events", "after": 1})
        assert "the log cannot be read: the disk is gone; ask again after 1" in (await one.next())["error"]


async def test_the_last_facts_are_told_before_the_socket_closes(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        await one.ask({"do": "events"})
        desk.add(700)
        await desk.written()
        closing = asyncio.create_task(desk.server.close())
        assert await one.facts(700) == list(range(1, 701))
        assert await one.ended()
        await closing
        assert not desk.path.exists()


async def test_a_command_under_way_when_the_switch_goes_is_answered(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, caller(desk) as one:
        one.send({"id": "a", "do": "wait"})
        await until(lambda: desk.asked)
        await desk.server.close()
        assert await one.ended()


async def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.server.close()
        await desk.server.close()
