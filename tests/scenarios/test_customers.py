"""Customers by command and behind calls: written down, changed, made one of two, and how sure a number makes one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callcenter.control.protocol import CommandError, Reason
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.customer import Match, Rules
from callcenter.model.customer_fields import CustomerFields, FieldKind, FieldRule
from callcenter.model.dial_plan import DialPlan
from callcenter.model.facts import CustomerFound, CustomerMerged, CustomerSaved, CustomersImported
from callcenter.simulation.world import World, story
from tests.scenarios.commands import agent, ask, supervisor

FIELDS = CustomerFields(
    {
        "contract": FieldRule(
            "contract", FieldKind.CHOICE, "Contract", choices={"basic": "Basic", "plus": "Plus"}, shown=True
        ),
        "seats": FieldRule("seats", FieldKind.NUMBER, "Seats"),
    }
)
GRACE = "+12025550111"


def furnish(world: World, **rules: Any) -> None:
    """How the company keeps its customers; another company has none."""
    clients = world.settings.calls.clients
    tech = replace(clients["tech"], customers=Rules(plan=DialPlan("1", "", "011"), fields=FIELDS, **rules))
    world.furnish(clients={**clients, "tech": tech, "other": replace(tech, id="other", name="Other")})


async def create(world: World, customer: str, *numbers: str, **written: Any) -> dict[str, Any]:
    given = {"client": "tech", "name": customer, "numbers": list(numbers), **written}
    made: dict[str, Any] = (await ask(world, "customer_create", customer=customer, **given))["customer"]
    return made


@story()
async def test_the_agents_screen_shows_what_the_client_has_declared_to_be_shown(world: World) -> None:
    furnish(world)
    amy = await world.agent("amy", english=5)
    await create(world, "grace", GRACE, fields={"contract": "plus", "seats": 3}, accounts=["A-1", "B-2"])
    caller = await world.phone(GRACE)
    await world.connect(caller, amy)
    customer = (await amy.screen_pop())["customer"]
    assert (customer["id"], customer["match"], customer["accounts"]) == ("grace", "sure", ["A-1", "B-2"])
    assert customer["fields"] == [{"name": "contract", "label": "Contract", "value": "Plus"}]
    await caller.hangs_up()


@pytest.mark.parametrize(
    ("header", "unattested", "match"),
    [
        ("<tel:+12025550111>", Match.MAYBE, Match.SURE),
        ("<tel:+12025550111;verstat=TN-Validation-Failed>", Match.MAYBE, Match.MAYBE),
        ("", Match.MAYBE, Match.MAYBE),
        ("", Match.SURE, Match.SURE),
    ],
)
def test_a_number_that_no_network_vouches_for_is_as_sure_as_the_client_wants(
    header: str, unattested: Match, match: Match
) -> None:
    @story()
    async def told(world: World) -> None:
        furnish(world, unattested=unattested)
        world.house.user_agent.trusted = lambda *_: True
        await create(world, "grace", GRACE)
        caller = await world.phone(GRACE)
        caller.starts_dialling("1000", headers=(("P-Asserted-Identity", header),) if header else ())
        await caller.hears("greeting")
        [found] = [fact.body for fact in world.facts if isinstance(fact.body, CustomerFound)]
        assert (found.match, found.customer) == (match, "grace" if match is Match.SURE else "")
        assert found.attested is (match is Match.SURE and bool(header))
        await caller.hangs_up()

    told()


@story()
async def test_a_customer_is_written_down_once_and_found_by_every_spelling(world: World) -> None:
    furnish(world)
    asked = {"client": "tech", "name": "Grace", "numbers": ["(202) 555-0111"], "fields": {"seats": "3"}}
    made = (await ask(world, "customer_create", agent("amy"), id="c1", **asked))["customer"]
    assert (made["numbers"], made["fields"], made["revision"]) == ([GRACE], {"seats": 3}, 1)
    again = (await ask(world, "customer_create", agent("amy"), id="c1", **asked))["customer"]
    assert again == made, "the same again, after a restart too, is no second customer"
    other = (await ask(world, "customer_create", agent("bob"), id="c1", **asked))["customer"]
    assert other["id"] != made["id"], "another's command"
    found = await ask(world, "customer_find", agent("amy"), client="tech", number="2025550111")
    assert (found["match"], len(found["customers"])) == ("maybe", 2)
    saved = [fact.body for fact in world.facts if isinstance(fact.body, CustomerSaved)]
    assert [(body.customer, body.created) for body in saved] == [(made["id"], True), (other["id"], True)]
    assert "Grace" not in repr(saved)


@story()
async def test_who_changes_what_somebody_else_has_changed_meanwhile_is_told(world: World) -> None:
    furnish(world)
    await create(world, "grace", GRACE)
    asked = {"client": "tech", "customer": "grace"}
    changed = await ask(world, "customer_update", agent("amy"), **asked, revision=1, tier="gold")
    assert (changed["customer"]["tier"], changed["customer"]["revision"]) == ("gold", 2)
    with pytest.raises(CommandError) as caught:
        await ask(world, "customer_update", agent("bob"), **asked, revision=1, tier="silver")
    assert (caught.value.reason, caught.value.details) == (Reason.CONFLICT, {"revision": 2})
    same = await ask(world, "customer_update", agent("bob"), **asked, tier="gold")
    assert same["customer"]["revision"] == 2
    saved = [fact.body for fact in world.facts if isinstance(fact.body, CustomerSaved)]
    assert [body.revision for body in saved] == [1, 2], "what changes nothing is not told"


@story()
async def test_two_records_become_one_and_both_ids_and_what_they_contradict_each_other_in_are_told(
    world: World,
) -> None:
    furnish(world)
    await create(world, "grace", GRACE, tier="gold")
    await create(world, "gracie", "+12025550112", tier="silver", accounts=["A-2"])
    answer = await ask(world, "customer_merge", supervisor(), client="tech", customer="grace", other="gracie")
    assert answer["merged"]
    assert answer["conflicts"] == {
        "name": {"kept": "grace", "other": "gracie"},
        "tier": {"kept": "gold", "other": "silver"},
    }
    told = await ask(world, "customer_get", agent("amy"), client="tech", customer="gracie")
    assert (told["customer"]["id"], told["customer"]["numbers"]) == ("grace", [GRACE, "+12025550112"])
    assert [each["id"] for each in told["customer"]["merged"]] == ["gracie"]
    again = await ask(world, "customer_merge", supervisor(), client="tech", customer="grace", other="gracie")
    assert not again["merged"]
    merged = [fact.body for fact in world.facts if isinstance(fact.body, CustomerMerged)]
    assert merged == [CustomerMerged("tech", "grace", "gracie", "supervisor sue", ("name", "tier"))]


@story()
async def test_what_belongs_to_another_company_is_as_if_it_were_not_there(world: World) -> None:
    furnish(world)
    await create(world, "grace", GRACE)
    stranger = agent("zoe", "other")
    for do, fields in (
        ("customer_get", {"customer": "grace"}),
        ("customer_find", {"number": GRACE}),
        ("customer_update", {"customer": "grace", "tier": "gold"}),
        ("customer_merge", {"customer": "grace", "other": "grace-2"}),
        ("customer_create", {"customer": "mine", "name": "Zoe", "numbers": [GRACE]}),
    ):
        with pytest.raises(CommandError) as caught:
            await ask(world, do, stranger, client="tech", **fields)
        assert (caught.value.reason, str(caught.value)) == (Reason.NOT_FOUND, "there is no client `tech`")
        with pytest.raises(CommandError) as caught:
            await ask(world, do, stranger, client="nobody", **fields)
        assert str(caught.value) == "there is no client `nobody`"
    found = await ask(world, "customer_find", stranger, client="other", number=GRACE)
    assert found == {"match": "none", "customers": []}
    with pytest.raises(CommandError) as caught:
        await ask(world, "customer_get", stranger, client="other", customer="grace")
    assert caught.value.reason is Reason.NOT_FOUND
    with pytest.raises(CommandError) as caught:
        await ask(world, "customers_imported", stranger, clients={"tech": 5})
    assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("do", "fields", "error", "field"),
    [
        ("customer_create", {"customer": "c", "nmae": "x"}, "customer_create knows no field `nmae`", "nmae"),
        ("customer_create", {"name": "Jana", "numbers": [GRACE]}, "give the command an `id`", "id"),
        ("customer_create", {"customer": "c", "numbers": [GRACE]}, "name: is empty", "name"),
        ("customer_create", {"customer": "c", "name": "x", "fields": {"seats": "two"}}, "seats: 'two'", "seats"),
        ("customer_update", {"name": "x"}, "`customer` is missing", "customer"),
        ("customer_update", {"customer": "grace", "revision": "1"}, "`revision` is a number", "revision"),
        ("customer_update", {"customer": "grace", "name": None}, "name: is empty", "name"),
        ("customer_update", {"customer": "nobody", "tier": "x"}, "there is no customer `nobody`", "customer"),
        ("customer_merge", {"customer": "grace", "other": "grace"}, "one with itself already", "other"),
        ("customer_merge", {"customer": "grace", "other": "nobody"}, "there is no customer `nobody`", "customer"),
        ("customer_find", {"limit": 501}, "`limit` is a number from 1 to 500", "limit"),
        ("customer_get", {"customer": "x" * 129}, "`customer` is a text of up to 128", "customer"),
        ("customers_imported", {"clients": 7}, "`clients` is an object", "clients"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_its_field(
    do: str, fields: dict[str, Any], error: str, field: str
) -> None:
    @story()
    async def told(world: World) -> None:
        furnish(world)
        await create(world, "grace", GRACE)
        with pytest.raises(CommandError) as caught:
            await ask(world, do, None, None, **({} if do == "customers_imported" else {"client": "tech"}), **fields)
        assert error in str(caught.value)
        assert caught.value.field == field

    told()


@story()
async def test_who_may_only_read_customers_changes_none_and_a_client_company_reads_none(world: World) -> None:
    furnish(world)
    reader = Actor("crm", Role.SUPERVISOR, frozenset({"tech"}), frozenset({Scope.CUSTOMERS_READ}))
    assert await ask(world, "customer_find", reader, client="tech") == {"customers": []}
    for actor, do in (
        (reader, "customer_create"),
        (reader, "customer_update"),
        (reader, "customer_merge"),
        (reader, "customers_imported"),
        (Actor("acme", Role.CLIENT, frozenset({"tech"})), "customer_find"),
    ):
        with pytest.raises(CommandError) as caught:
            await ask(world, do, actor, client="tech")
        assert caught.value.reason is Reason.FORBIDDEN


@story()
async def test_a_program_beside_the_switch_tells_what_it_has_taken_in(world: World) -> None:
    furnish(world)
    await ask(world, "customers_imported", clients={"tech": 12})
    assert world.facts[-1].body == CustomersImported("tech", "olga", 12)


@story()
async def test_a_customer_with_a_long_id_of_a_file_has_notes_and_follow_ups_as_any(world: World) -> None:
    furnish(world)
    long = "c-" + "9" * 120
    await create(world, long, GRACE)
    note = await ask(world, "note", id="n", client="tech", customer=long, text="likes tea")
    assert note["note"]["customer"] == long
    promised = {"client": "tech", "title": "Refund", "due_at": "2030-01-01T10:00Z", "queue": "sales-english"}
    made = await ask(world, "followup_create", supervisor("eva"), id="f", customer=long, **promised)
    assert made["followup"]["customer"] == long
