"""Calls in pages: every call that is asked for once, in order, whatever arrives meanwhile, and by an index."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from callcenter.desk.reading.calls import Calls, Filter, for_agent, for_client, summary_for_client
from callcenter.desk.reading.paging import MAX_CURSOR, BadCursor, read_cursor
from callcenter.model.facts import CallAnswered, utc
from callcenter.model.interaction import Interaction
from callcenter.storage.database import InlineDatabase
from callcenter.storage.store import Storage
from tests.unit.storage.support import NOON, StillClock, arrived, fact

OUTCOMES = ("handled", "abandoned", "refused", "lost")
NOBODYS = ""


def row(random: Random, number: int, at: datetime) -> tuple[Any, ...]:
    client = random.choice(["acme", "globex", NOBODYS])
    direction = random.choice(["inbound", "inbound", "outbound"])
    return (
        f"cc1-{number:06d}",
        client,
        random.choice(["", "c-1", "c-2"]),
        random.choice(["", "+1415", "+1212"]),
        random.choice(["1000", "+1415"]),
        utc(at),
        utc(at),
        random.choice(OUTCOMES),
        "",
        random.choice(["", "sales", "help"]),
        random.choice(["", "ana", "eve"]),
        1,
        2,
        3,
        4,
        "caller",
        "hangup",
        "{}",
        direction,
    )


COLUMNS = (
    "call_id, client, customer_id, from_number, to_number, arrived_at, ended_at, outcome, intent, queue, agent,"
    " wait_ms, talk_ms, hold_ms, wrap_up_ms, ended_by, cause, record, direction"
)
INSERT = f"INSERT INTO interactions ({COLUMNS}) VALUES ({', '.join('?' * 19)})"
FILTERS = [
    Filter(),
    Filter(client="acme"),
    Filter(client="globex", queue="sales"),
    Filter(queue="help", outcome="lost"),
    Filter(agent="ana"),
    Filter(customer="c-1", client="acme"),
    Filter(number="+1415"),
    Filter(number="+1415", outcome="handled"),
    Filter(outcome="abandoned"),
    Filter(since=NOON - timedelta(minutes=3), until=NOON - timedelta(minutes=1)),
    Filter(agent="eve", since=NOON - timedelta(minutes=4)),
]


@pytest.fixture(scope="module")
def rows() -> list[tuple[Any, ...]]:
    """Many arrive in the same millisecond."""
    random = Random(7)
    return [row(random, number, NOON - timedelta(seconds=random.randrange(300))) for number in range(900)]


@pytest.fixture
async def database(rows: list[tuple[Any, ...]]) -> AsyncIterator[InlineDatabase]:
    made = InlineDatabase()
    storage = await Storage.over(made, clock=StillClock())
    await made.write(lambda writing: writing.execute_many(INSERT, rows))
    yield made
    await storage.close()


def wanted(rows: list[tuple[Any, ...]], asked: Filter, clients: frozenset[str] | None) -> list[str]:
    """The same by looking at every call."""
    names = COLUMNS.split(", ")
    found = []
    for each in rows:
        call = dict(zip(names, each, strict=True))
        if clients is not None and call["client"] not in clients:
            continue
        named = {"client": asked.client, "queue": asked.queue, "agent": asked.agent, "customer_id": asked.customer}
        if any(value and call[name] != value for name, value in {**named, "outcome": asked.outcome}.items()):
            continue
        dialled = "" if call["direction"] == "inbound" else call["to_number"]
        if asked.number and asked.number not in (call["from_number"], dialled):
            continue
        if asked.since and call["arrived_at"] < utc(asked.since):
            continue
        if asked.until and call["arrived_at"] >= utc(asked.until):
            continue
        found.append((call["arrived_at"], call["call_id"]))
    return [call_id for _, call_id in sorted(found, reverse=True)]


@pytest.mark.parametrize("asked", FILTERS)
@pytest.mark.parametrize("clients", [None, frozenset({"acme"}), frozenset({"acme", "globex"}), frozenset[str]()])
async def test_pages_hold_every_call_that_is_asked_for_once(
    database: InlineDatabase, rows: list[tuple[Any, ...]], asked: Filter, clients: frozenset[str] | None
) -> None:
    calls, found, after = Calls(database), list[str](), None
    for limit in [1, 7, *[100] * 20]:
        items, after = await calls.page(asked, clients, after=after, limit=limit)
        assert len(items) == limit or after is None
        found += [item["call"] for item in items]
        if after is None:
            break
    assert found == wanted(rows, asked, clients)


async def test_calls_that_arrive_meanwhile_neither_double_nor_hide_others(
    database: InlineDatabase, rows: list[tuple[Any, ...]]
) -> None:
    calls = Calls(database)
    first, after = await calls.page(Filter(), None, limit=50)
    newer = [row(Random(9), 1000 + number, NOON + timedelta(seconds=number)) for number in range(30)]
    await database.write(lambda writing: writing.execute_many(INSERT, newer))
    second, _ = await calls.page(Filter(), None, after=after, limit=50)
    assert [item["call"] for item in [*first, *second]] == wanted(rows, Filter(), None)[:100]


@pytest.mark.parametrize("asked", FILTERS)
async def test_no_filter_reads_calls_that_it_does_not_show(database: InlineDatabase, asked: Filter) -> None:
    """Each part enters an index by the client, and by what narrows most: nothing is scanned, nor sorted as a whole."""
    for part in asked.parts("acme"):
        sql = f"SELECT * FROM interactions WHERE {part.where} ORDER BY arrived_at DESC, call_id DESC LIMIT 50"
        plan = [line[3] for line in await database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", part.params)]
        assert plan[0].startswith("SEARCH interactions USING INDEX interactions_"), plan
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan, plan
        if asked.number or asked.customer or asked.agent or asked.outcome or asked.queue:
            assert plan[0].count("=?") >= 2, plan
        assert await database.fetch_all(sql, part.params)


@pytest.mark.parametrize("cursor", ["", "x", "e30", "!!!!", "WzEsMl0", "A" * (MAX_CURSOR + 1), "W10", "bnVsbA"])
async def test_a_cursor_that_is_none_is_told(database: InlineDatabase, cursor: str) -> None:
    with pytest.raises(BadCursor, match="`after` is a cursor as `next` gives it"):
        read_cursor(cursor)
    with pytest.raises(BadCursor):
        await Calls(database).page(Filter(), frozenset({"acme"}), after=cursor)


async def test_a_cursor_of_half_a_character_is_answered_as_any_other(database: InlineDatabase) -> None:
    cursor = base64.urlsafe_b64encode(b'["\\ud800","\\udfff"]').decode().rstrip("=")
    items, _ = await Calls(database).page(Filter(), None, after=cursor)
    assert all(item["arrived_at"] <= "\x3f" for item in items)


async def test_a_call_that_is_up_is_told_as_far_as_it_has_come() -> None:
    storage = await Storage.over(InlineDatabase(), clock=StillClock())
    for each in (fact(1, arrived()), fact(2, CallAnswered())):
        storage.log.write(each)
    await storage.log.drained()
    calls = Calls(storage.database)
    record = await calls.one("cc1-call", frozenset({"acme"}))
    assert record is not None
    assert (record["outcome"], record["ended_at"], record["answered_at"]) == (None, None, utc(NOON))
    assert await calls.one("cc1-call", frozenset({"globex"})) is None
    await storage.close()


async def test_a_call_of_another_is_as_one_that_there_is_not() -> None:
    database = InlineDatabase()
    storage = await Storage.over(database, clock=StillClock())
    storage.interactions.save(Interaction.from_facts([fact(1, arrived())]))
    await storage.log.drained()
    calls = Calls(database)
    for clients in (None, frozenset({"acme"})):
        record = await calls.one("cc1-call", clients)
        assert record is not None
        assert record["from_number"] == "+14155550100"
    assert await calls.one("cc1-call", frozenset({"globex"})) is None
    assert await calls.one("cc1-none", None) is None
    await storage.close()


def test_the_client_company_sees_nobody_of_the_house() -> None:
    record = {
        "call_id": "c", "client": "acme", "direction": "inbound", "from_number": "+1415", "agent": "ana",
        "dialled_by": "", "digits": ["4711", ""], "attributes": {"order": "A-1"},
        "told": [{"agent": "bob"}], "supervisions": [{"supervisor": "sam"}],
        "still_to_come": [{"by": "ana"}], "conferences": [{"agent": "ana", "target": "bob"}], "quality": {"mos": 4},
        "legs": [{"agent": "ana", "offer": "o1-ana", "talk_ms": 7, "disposition": "solved"}],
        "recordings": [{"id": "r", "agent": "ana", "by": "sam", "offer": "o1-ana", "length_ms": 7}],
        "transfers": [{"by": "ana", "target": "bob", "kind": "blind", "to": "agent", "failed": ""}],
    }  # fmt: skip
    shown = for_client(record)
    assert not {"ana", "bob", "sam", "o1-ana"} & set(str(shown).replace("'", " ").split())
    assert shown["legs"] == [{"talk_ms": 7, "disposition": "solved"}]
    assert (shown["from_number"], shown["recordings"]) == ("+1415", [{"id": "r", "length_ms": 7}])
    assert (shown["digits"], shown["attributes"]) == (["****", ""], {"order": "***"}), "as in the timeline"
    assert "still_to_come" not in shown, "what is added to records is told when it is known what it says"
    outbound = summary_for_client({"direction": "outbound", "from": "201", "to": "+1415", "agent": "ana"})
    assert outbound == {"direction": "outbound", "from": "", "to": "+1415", "agent": ""}


def test_what_a_caller_entered_is_for_the_agents_who_talked_to_them() -> None:
    """As in the call's timeline: one of the two must not tell what the other keeps to itself."""
    record: dict[str, Any] = {"digits": ["4711"], "attributes": {"order": "A-1"}, "legs": [{"agent": "ana"}],
                              "supervisions": [{"supervisor": "sue"}], "dialled_by": ""}  # fmt: skip
    assert for_agent(record, "ana") == {**record, "supervisions": []}
    for other in ("bob", ""):
        assert for_agent(record, other) == {
            **record,
            "digits": ["****"],
            "attributes": {"order": "***"},
            "supervisions": [],
        }
