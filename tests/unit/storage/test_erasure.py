"""Erasure in the database: nothing of a person stays in a table, a free page or the write-ahead log."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.model.customer import Customer, Match
from callcenter.model.erasure import MARK, erased
from callcenter.model.facts import (
    BODIES,
    AttributeSet,
    Body,
    BranchTaken,
    CallAnswered,
    CallArrived,
    CallbackRequested,
    CallConnected,
    CallEnded,
    CallerMediaStarted,
    CallQueued,
    CustomerFound,
    DigitsEntered,
    DispositionCorrected,
    OfferMade,
    OutsideConnected,
    RecordingStarted,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import Direction, EndCause, Side
from callcenter.storage.database import AioDatabase
from callcenter.storage.erasure import Person, is_derived
from callcenter.storage.store import Storage
from tests.unit.storage.support import NOON, StillClock, arrived, fact

NUMBER, NAME = "+420777123456", "Jana Hlavatschkova"
SECRETS = ("777123456", "Hlavatschkova", "192.0.2.77", "dialog-of-jana", "A-1881", "likes tea", "420555000111")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Storage]:
    store = await Storage.open(tmp_path / "switch.db", clock=StillClock())
    yield store
    await store.close()


def a_call() -> list[Body]:
    came = CallArrived("acme", "welcome", NUMBER, NAME, "1000", "UDP", "192.0.2.77:5060", "dialog-of-jana@192.0.2.77")
    return [
        dataclasses.replace(came, diverted_number="+420555000111", diverted_name=NAME, diverted_why="busy"),
        CallAnswered(),
        CallerMediaStarted("192.0.2.77:4000"),
        CustomerFound("c-jana", Match.SURE),
        DigitsEntered("order", "A-1881", True),
        AttributeSet("order", "A-1881"),
        BranchTaken("check", 1, (f"caller {NUMBER}",)),
        CallQueued("v1", "sales", "acme", 0, (), 20),
        OfferMade("v1", "o1", 1, "sales", "ana", 20_000, 25_000),
        CallConnected("v1", "o1", "ana"),
        RecordingStarted("r-1", "acme/r-1", "acme", "the client's rule", "o1", "ana", "sales", NAME, "Ana"),
        CallbackRequested("cb-1", "v1", "acme", "sales", NUMBER, 20),
        OutsideConnected("x", "+420777123456", "carrier"),
        CallEnded(Side.CALLER, EndCause.HANGUP, 0, "the sound had come from 192.0.2.77:4000"),
    ]


async def take(store: Storage, call_id: str, bodies: list[Body]) -> Interaction:
    facts = [fact(store.log.last_seq + at, body, call_id) for at, body in enumerate(bodies, 1)]
    for each in facts:
        store.log.write(each)
    interaction = Interaction.from_facts(facts)
    store.interactions.save(interaction)
    await store.log.drained()
    return interaction


async def test_a_person_who_is_erased_stands_nowhere_in_the_files_and_the_figures_stay(
    store: Storage, tmp_path: Path
) -> None:
    jana = Customer("c-jana", "acme", NAME, (NUMBER,), "A-1881", notes="likes tea", fields={"motto": "likes tea"})
    await store.customers.create(jana, NOON)
    # What is overwritten leaves remnants in its page, too.
    await store.customers.update("acme", "c-jana", lambda c: dataclasses.replace(c, name=NAME * 3), NOON)
    await store.customers.update("acme", "c-jana", lambda c: dataclasses.replace(c, name="J"), NOON)
    before = await take(store, "cc1-jana", a_call())
    await take(store, "cc1-other", [arrived("+420111"), CallEnded(Side.CALLER, EndCause.HANGUP)])
    assert all(any(secret.encode() in data for data in files(tmp_path)) for secret in SECRETS)

    person = Person("acme", ("c-jana",), (NUMBER,))
    assert await store.erasure.calls_of(person) == ["cc1-jana"]
    await store.erasure.erase_call("cc1-jana", NOON, "erased-1")
    await store.erasure.erase_customer(person, NOON)
    assert await store.erasure.scrub()

    for secret in SECRETS:
        for data in files(tmp_path):
            assert secret.encode() not in data, secret
    assert not any(secret in repr(store.log._tail) for secret in SECRETS), "nor in what readers have from memory"
    record = await store.interactions.by_call("cc1-jana")
    assert record is not None
    facts = await store.log.read(0, 100, "cc1-jana")
    assert Interaction.from_facts(facts).plain() == record
    told = before.plain()
    assert {name for name in record if record[name] != told[name]} == {
        *("from_number", "from_name", "customer", "digits", "attributes", "diverted_number", "outside", "ending"),
    }
    assert (record["from_number"], record["customer"], record["digits"]) == ("erased-1", "", [MARK])
    assert await store.erasure.calls_of(person) == []
    assert await store.interactions.by_call("cc1-other") is not None
    # The same again changes nothing.
    await store.erasure.erase_call("cc1-jana", NOON, "erased-2")
    assert await store.interactions.by_call("cc1-jana") == record


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


async def test_a_log_that_somebody_reads_is_left_and_told_so(store: Storage, tmp_path: Path) -> None:
    await take(store, "cc1-jana", a_call())
    reader = await AioDatabase.open(tmp_path / "switch.db")
    thread = reader._reader
    await thread.run(lambda connection: connection.execute("BEGIN").execute("SELECT 1 FROM facts").fetchone())
    await take(store, "cc1-later", a_call())
    assert not await store.erasure.scrub()
    await reader.close()
    assert await store.erasure.scrub()


async def test_calls_of_a_number_that_are_known_to_be_anothers_are_not_theirs(store: Storage) -> None:
    end = CallEnded(Side.CALLER, EndCause.HANGUP)
    await take(store, "cc1-a", [arrived("00420777123456"), end])
    await take(store, "cc1-b", [arrived(NUMBER), CustomerFound("c-petr", Match.SURE), end])
    await take(store, "cc1-c", [arrived("+420999"), CustomerFound("c-old", Match.SURE), end])
    ours = CallArrived("acme", "", "ana", "Ana", NUMBER, "", "", "", Direction.OUTBOUND, "ana")
    await take(store, "cc1-d", [ours, end])
    await take(store, "cc1-e", [dataclasses.replace(arrived(NUMBER), client="globex"), end])
    person = Person("acme", ("c-jana", "c-old"), (NUMBER,))
    assert await store.erasure.calls_of(person) == ["cc1-a", "cc1-c", "cc1-d"]
    assert await store.erasure.calls_of(dataclasses.replace(person, shared=(NUMBER,))) == ["cc1-c"]
    await store.erasure.erase_call("cc1-d", NOON, "erased-1")
    record = await store.interactions.by_call("cc1-d")
    assert record is not None
    assert (record["from_number"], record["to_number"]) == ("ana", "erased-1"), "the agent's own is not erased"


async def test_what_is_old_enough_is_found_oldest_first_and_no_call_that_is_up(store: Storage) -> None:
    await take(store, "cc1-a", [arrived(NUMBER), CallEnded(Side.CALLER, EndCause.HANGUP)])
    await take(store, "cc1-up", [arrived(NUMBER)])
    assert await store.erasure.calls_before("acme", NOON) == []
    assert await store.erasure.calls_before("acme", NOON + timedelta(seconds=1)) == ["cc1-a"]
    await store.erasure.erase_call("cc1-a", NOON)
    assert await store.erasure.calls_before("acme", NOON + timedelta(seconds=1)) == []
    assert await store.erasure.calls_before("globex", NOON + timedelta(seconds=1)) == []


async def test_customers_who_were_neither_changed_nor_in_touch_are_found_page_by_page(store: Storage) -> None:
    for name in ("c-1", "c-2", "c-3"):
        await store.customers.create(Customer(name, "acme", "N", account=name), NOON - timedelta(days=10))
    await store.customers.create(Customer("c-4", "acme", "N", account="4"), NOON)
    await take(store, "cc1-a", [arrived(), CustomerFound("c-2", Match.SURE), CallEnded(Side.CALLER, EndCause.HANGUP)])
    before = NOON - timedelta(days=1)
    assert await store.erasure.idle_customers("acme", before, "", 3) == (["c-1", "c-3"], "c-3")
    assert await store.erasure.idle_customers("acme", before, "c-3", 3) == ([], "c-4")
    assert await store.erasure.idle_customers("acme", before, "c-4", 3) == ([], "")


@pytest.mark.parametrize(
    ("customer", "derived"), [("c-0123456789ab", True), ("c-4711", False), ("x-0123456789ab", False), ("", False)]
)
def test_an_id_that_is_made_of_a_number_is_known(customer: str, *, derived: bool) -> None:
    assert is_derived(customer) is derived


def test_why_something_was_corrected_is_a_sentence_that_may_name_them() -> None:
    told = DispositionCorrected("acme", "ana", "o1", "lost", "sold", "supervisor sue", f"{NAME} rang again")
    assert erased(told) == dataclasses.replace(told, why=MARK)
    assert erased(dataclasses.replace(told, why="")) == dataclasses.replace(told, why="")


@given(st.sampled_from(sorted(BODIES)), st.data())
def test_every_fact_can_be_erased_and_once_is_enough(kind: str, data: st.DataObject) -> None:
    body: Body = data.draw(st.from_type(BODIES[kind]))
    once = erased(body, "erased-1")
    assert type(once) is type(body)
    assert erased(once, "erased-2") == once
