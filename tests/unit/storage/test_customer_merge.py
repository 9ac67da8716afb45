"""Records that become one: nothing is lost, in whichever order, and every id goes on to mean the same person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.model.customer import NO_RULES, Customer, Match
from callcenter.model.customer_fields import MAX_TEXT, BadField
from callcenter.model.customer_form import read_customer
from callcenter.model.facts import Body, CallEnded, CustomerFound
from callcenter.model.interaction import Interaction
from callcenter.model.states import EndCause, Side
from callcenter.storage.customers import (
    BY_NAME,
    MOVED,
    CustomerExists,
    Customers,
    NoSuchCustomer,
    StaleCustomer,
)
from callcenter.storage.database import InlineDatabase
from callcenter.storage.interactions import Interactions, recent_of_customer
from callcenter.storage.log import FactLog
from callcenter.storage.migrate import migrate
from callcenter.storage.timelines import _SOURCES
from tests.unit.storage.support import NOON, arrived, fact


@pytest.fixture
async def database() -> AsyncIterator[InlineDatabase]:
    database = InlineDatabase()
    await migrate(database, NOON)
    yield database
    await database.close()


def record(call_id: str, customer: str) -> Interaction:
    bodies: tuple[Body, ...] = (arrived(), CustomerFound(customer, Match.SURE), CallEnded(Side.CALLER, EndCause.HANGUP))
    return Interaction.from_facts(fact(at, body, call_id) for at, body in enumerate(bodies, 1))


JANA = Customer("c-1", "acme", "Jana", ("+420777000001",), "A-1")
NOVA = Customer("c-2", "acme", "J. Nová", ("+420777000002",), "B-2", tier="gold")


async def test_a_customer_is_written_once_and_changed_by_who_knows_the_present_one(database: InlineDatabase) -> None:
    customers = Customers(database)
    made = await customers.create(JANA, NOON)
    assert made.revision == 1
    with pytest.raises(CustomerExists):
        await customers.create(JANA, NOON)
    changed = await customers.update("acme", "c-1", lambda _: NOVA_AS_JANA, NOON, revision=1)
    assert (changed.name, changed.revision) == ("J. Nová", 2)
    with pytest.raises(StaleCustomer) as caught:
        await customers.update("acme", "c-1", lambda _: JANA, NOON, revision=1)
    assert caught.value.revision == 2
    again = await customers.update("acme", "c-1", lambda _: NOVA_AS_JANA, NOON)
    assert again.revision == 2, "what changes nothing is no change"
    with pytest.raises(NoSuchCustomer):
        await customers.update("globex", "c-1", lambda _: JANA, NOON)


NOVA_AS_JANA = Customer("c-1", "acme", "J. Nová", ("+420777000001",), "A-1")


async def test_further_accounts_are_keyed_in_as_the_first_one_is(database: InlineDatabase) -> None:
    customers = Customers(database)
    await customers.create(Customer("c-1", "acme", "Jana", account="A-1", further_accounts=("B-22", "C")), NOON)
    await customers.create(Customer("c-2", "acme", "Petr", account="D-33", further_accounts=("E-1",)), NOON)
    by_digits = {digits: await customers.find_account("acme", digits) for digits in ("22", "33", "1", "")}
    assert {digits: found.id if found else None for digits, found in by_digits.items()} == {
        "22": "c-1",
        "33": "c-2",
        "1": None,
        "": None,
    }


async def test_a_merged_id_finds_the_one_and_so_do_its_numbers_accounts_and_calls(database: InlineDatabase) -> None:
    customers, log = Customers(database), await FactLog.open(database)
    interactions = Interactions(database, log)
    for each in (JANA, NOVA):
        await customers.create(each, NOON)
    interactions.save(record("cc1-before", customer="c-2"))
    await log.drained()
    whole, conflicts, done = await customers.merge("acme", "c-1", "c-2", NOON, "ana")
    assert (done, conflicts, whole.revision) == (True, {"name": ("Jana", "J. Nová")}, 2)
    # A call that was up meanwhile is saved under the id that it knew.
    interactions.save(record("cc1-behind", customer="c-2"))
    await log.drained()
    assert await customers.get("acme", "c-2") == whole
    assert await customers.get("globex", "c-2") is None
    assert (await customers.find("acme", "+420777000002")) == (Match.SURE, [whole])
    assert await customers.find_account("acme", "2") == whole
    calls = [
        each["call_id"] for each in await database.read(lambda reading: recent_of_customer(reading, "acme", "c-1"))
    ]
    assert sorted(calls) == ["cc1-before", "cc1-behind"]
    [merge] = await customers.merges_of("acme", "c-1")
    assert (merge.id, merge.by, merge.conflicts) == ("c-2", "ana", {"name": ["Jana", "J. Nová"]})
    assert merge.record["tier"] == "gold"
    assert await customers.ids_of("acme", "c-2") == ("c-1", "c-2")
    # The same again, and the other way round, changes nothing.
    for into, other in (("c-1", "c-2"), ("c-2", "c-1")):
        assert await customers.merge("acme", into, other, NOON, "ana") == (whole, {}, False)
    with pytest.raises(NoSuchCustomer):
        await customers.merge("acme", "c-1", "c-9", NOON, "ana")
    await log.close()


words = st.sampled_from(["", "gold", "silver"])
person = st.builds(
    lambda name, numbers, accounts, tier, notes, seats: Customer(
        *("", "acme", name, tuple(numbers), accounts[0] if accounts else ""),
        tier=tier,
        notes=notes,
        further_accounts=tuple(accounts[1:]),
        fields={} if seats is None else {"seats": seats},
    ),
    st.sampled_from(["Jana", "Petr", "Eva"]),
    st.lists(st.sampled_from([f"+42077700000{n}" for n in range(6)]), unique=True, max_size=3),
    st.lists(st.sampled_from(["A", "B", "C"]), unique=True, max_size=2),
    words,
    st.sampled_from(["", "likes tea", "likes coffee"]),
    st.one_of(st.none(), st.integers(1, 3)),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(person, min_size=2, max_size=6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8))
async def test_nothing_is_lost_in_whatever_order_records_become_one(
    people: list[Customer], pairs: list[tuple[int, int]]
) -> None:
    """Each value of each record stands with who it became, or with the merge; each id means them."""
    database = InlineDatabase()
    try:
        await migrate(database, NOON)
        customers, one_with = Customers(database), {f"c-{at}": {f"c-{at}"} for at in range(len(people))}
        for at, each in enumerate(people):
            await customers.create(Customer(f"c-{at}", *[getattr(each, name) for name in FIELDS]), NOON)
        for turn, (into, other) in enumerate(pairs):
            one, two = f"c-{into % len(people)}", f"c-{other % len(people)}"
            await customers.merge("acme", one, two, NOON + timedelta(seconds=turn), "ana")
            both = one_with[one] | one_with[two]
            one_with |= dict.fromkeys(both, both)
        for at, each in enumerate(people):
            found = await customers.get("acme", f"c-{at}")
            assert found is not None
            assert set(await customers.ids_of("acme", f"c-{at}")) == one_with[f"c-{at}"]
            merges = await customers.merges_of("acme", found.id)
            assert {found.id, *(merge.id for merge in merges)} == one_with[f"c-{at}"]
            assert set(each.numbers) <= set(found.numbers)
            assert set(each.accounts) <= set(found.accounts)
            known = [found.plain(), *(merge.record for merge in merges)]
            for name in ("name", "tier"):
                assert not getattr(each, name) or getattr(each, name) in [record[name] for record in known]
            assert each.notes in found.notes
            assert not each.fields or each.fields["seats"] in [record["fields"].get("seats") for record in known]
            for number in each.numbers:
                match, who = await customers.find("acme", number)
                assert found in who
                assert match is not Match.NONE
    finally:
        await database.close()


FIELDS = (
    *("client", "name", "numbers", "account", "tier", "language", "since", "notes", "agent"),
    *("further_accounts", "fields"),
)


async def test_two_who_change_one_customer_at_once_both_get_through(database: InlineDatabase) -> None:
    customers = Customers(database)
    await customers.create(JANA, NOON)
    await asyncio.gather(
        *(customers.update("acme", "c-1", partial(with_number, n), NOON) for n in ("+420777000005", "+420777000006"))
    )
    [jana] = await customers.listed("acme")
    assert jana.numbers == ("+420777000001", "+420777000005", "+420777000006")
    assert jana.revision == 3


def with_number(number: str, customer: Customer) -> Customer:
    return Customer(customer.id, customer.client, customer.name, (*customer.numbers, number), customer.account)


@pytest.mark.parametrize("few", [0, 1, 500])
async def test_customers_are_listed_by_their_ids_and_by_how_their_names_begin(
    database: InlineDatabase, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr("callcenter.storage.customers.FEW", few)
    customers = Customers(database)
    for at, name in enumerate(("Jana", "JANA B", "Jan_x", "Janox", "Petr")):
        await customers.create(Customer(f"c-{at}", "acme", name, account=f"A-{at}"), NOON)
    await customers.create(Customer("c-0", "globex", "Jana", account="A"), NOON)
    assert [each.id for each in await customers.listed("acme", limit=2)] == ["c-0", "c-1"]
    assert [each.id for each in await customers.listed("acme", after="c-1")] == ["c-2", "c-3", "c-4"]
    assert [each.id for each in await customers.listed("acme", name="jana")] == ["c-0", "c-1"]
    assert [each.id for each in await customers.listed("acme", name="jan_")] == ["c-2"]
    assert [each.id for each in await customers.listed("acme", name="jan", after="c-0", limit=2)] == ["c-1", "c-2"]
    assert await customers.listed("acme", name="jan", after="c-3") == []


async def plan(database: InlineDatabase, sql: str) -> str:
    rows = await database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", ("x",) * (3 if "?3" in sql else sql.count("?")))
    return "\n".join(row[3] for row in rows)


async def test_what_was_of_the_one_that_goes_is_found_by_an_index(database: InlineDatabase) -> None:
    """All that is written, facts too, waits for it: it must not look at every call of the client."""
    indexes = ("interactions_of_customer", "notes_of_customer", "callbacks_of_customer", "followups_of_customer")
    for sql, index in zip(MOVED, indexes, strict=True):
        assert f"INDEX {index} " in await plan(database, sql), sql


async def test_names_and_the_story_of_a_customer_are_found_by_an_index(database: InlineDatabase) -> None:
    """The switch's one reader serves the look-ups of calls as well."""
    assert "INDEX customers_by_name (client=? AND name>? AND name<?)" in await plan(database, BY_NAME)
    for kind, sql in _SOURCES.items():
        index = "customer_merges_into" if kind == "merge" else "of_customer"
        assert index in (found := await plan(database, sql.replace("IDS", "?"))), (kind, found)


def test_notes_that_two_records_became_are_longer_than_anybody_writes_and_can_be_written_again() -> None:
    whole = replace(JANA, notes="x" * (MAX_TEXT + 1_000))
    assert read_customer("acme", "c-1", {"notes": whole.notes}, NO_RULES, whole) == whole
    for before in (whole, JANA):
        with pytest.raises(BadField):
            read_customer("acme", "c-1", {"notes": f"{whole.notes}y"}, NO_RULES, before)
