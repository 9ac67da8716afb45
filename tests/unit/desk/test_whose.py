"""Whose a fact is: nobody is told what is another company's, and of customers only who may see calls."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import pytest

from callcenter.desk.whose import OF_CUSTOMERS, SPEAKING, SPEAKING_OF, Whose
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.facts import (
    AgentCommanded,
    AgentSkillsChanged,
    AgentStateChanged,
    AttributeSet,
    Body,
    BranchTaken,
    BrokerStateChanged,
    CallAnswered,
    CallArrived,
    CallbackEnded,
    CustomerFound,
    DigitsEntered,
    Fact,
    FeatureCodeDialled,
    RecordingOpened,
    SupervisionChanged,
    SupervisionStarted,
)
from callcenter.model.states import CallbackOutcome, Device, Intent, SupervisionMode, Work
from tests.unit.desk.two_companies import ADMIN, ANA, CLIENT, SUPERVISOR, call_of, two_companies
from tests.unit.storage.support import fact

OF_ACME, OF_GLOBEX, OF_NOBODY = "cc1-acme", "cc1-globex", "cc1-nobody"
WAY = BranchTaken("check", 1, ("order is A-1881", "caller 4711"))
ALL, FLOOR, ACME = {"ada"}, {"ada", "sam"}, {"ada", "sam", "ana", "acme-boss"}


@pytest.fixture
def whose() -> Whose:
    settings = two_companies()
    made = Whose(lambda: settings)
    made.take(fact(1, call_of("acme"), OF_ACME))
    made.take(fact(2, call_of("globex"), OF_GLOBEX))
    made.take(fact(3, call_of(""), OF_NOBODY))
    return made


def state(agent: str, offer: str = "", own: tuple[str, ...] = ()) -> AgentStateChanged:
    return AgentStateChanged(agent, Intent.READY, "", Work.TALKING, Device.REGISTERED, "he", offer=offer, own_calls=own)


def who_sees(whose: Whose, body: Body, call_id: str | None = None) -> set[str]:
    return {each.user for each in (ADMIN, SUPERVISOR, ANA, CLIENT) if whose.seen(fact(9, body, call_id), each)}


@pytest.mark.parametrize(
    ("body", "call_id", "users"),
    [
        (call_of("acme"), OF_ACME, ACME),
        (CallAnswered(), OF_ACME, ACME),
        (CallAnswered(), OF_GLOBEX, ALL),
        (CallAnswered(), OF_NOBODY, ALL),
        (CallAnswered(), "cc1-of-which-nobody-knows", ALL),
        (CallbackEnded("cb1", "acme", "sales", CallbackOutcome.GIVEN_UP, 1), None, ACME),
        (CallbackEnded("cb1", "globex", "help", CallbackOutcome.GIVEN_UP, 1), None, ALL),
        (BrokerStateChanged(True, ""), None, FLOOR),
        (state("ana"), None, ACME - {"acme-boss"}),
        (state("eve"), OF_GLOBEX, ACME - {"acme-boss"}),
        (state("bob"), OF_GLOBEX, ALL),
        (state("nobody"), None, ALL),
        (AgentCommanded("ana", "ready", "sam", "done"), None, FLOOR | {"ana"}),
        (AgentCommanded("eve", "ready", "sam", "done"), None, ALL),
        (AgentSkillsChanged("eve", "ada", ("clients",), (), ("acme",)), None, ALL),
        (FeatureCodeDialled("ana", "*5", "done"), None, FLOOR | {"ana"}),
        (SupervisionStarted("s", "sam", "ana", "acme", SupervisionMode.LISTEN, False), OF_ACME, FLOOR),
        (RecordingOpened("r", "acme", "supervisor sam"), OF_ACME, FLOOR),
        (SupervisionChanged("s", "sam", "ana", SupervisionMode.BARGE), OF_ACME, FLOOR),
    ],
)  # fmt: skip
def test_who_sees_a_fact(whose: Whose, body: Body, call_id: str | None, users: set[str]) -> None:
    assert who_sees(whose, body, call_id) == users


def test_the_state_of_an_agent_of_both_tells_nothing_of_the_call_of_the_other_company(whose: Whose) -> None:
    seen = whose.seen(fact(9, state("eve", "o1", (OF_GLOBEX, OF_ACME)), OF_GLOBEX), SUPERVISOR)
    assert seen is not None
    assert (seen.call_id, seen.body) == (None, state("eve", "", (OF_ACME,)))
    same = fact(9, state("eve", "o1", (OF_ACME,)), OF_ACME)
    assert whose.seen(same, SUPERVISOR) == same
    assert whose.seen(fact(9, state("eve", "o1"), OF_GLOBEX), ADMIN) == fact(9, state("eve", "o1"), OF_GLOBEX)


def test_an_agent_is_of_the_companies_that_he_serves_now(whose: Whose) -> None:
    assert who_sees(whose, state("bob")) == ALL
    whose.take(fact(10, AgentSkillsChanged("bob", "ada", ("clients",), (), ("acme", "globex")), None))
    assert who_sees(whose, state("bob")) == ACME - {"acme-boss"}
    whose.take(fact(11, AgentSkillsChanged("bob", "ada"), None))
    assert who_sees(whose, state("bob")) == ALL


def test_who_may_not_see_calls_is_told_no_numbers_names_and_digits(whose: Whose) -> None:
    narrowed = replace(SUPERVISOR, scopes=frozenset({Scope.EVENTS_READ}))
    seen = whose.seen(fact(9, call_of("acme"), OF_ACME), narrowed)
    assert seen is not None
    assert isinstance(seen.body, CallArrived)
    assert (seen.body.from_number, seen.body.from_name, seen.body.source) == ("", "", "")
    assert (seen.body.client, seen.body.to_number) == ("acme", "1000"), "the rest is told"
    for body in (DigitsEntered("main", "4711", True), AttributeSet("order", "A-1881"), WAY):
        told = whose.seen(fact(9, body, OF_ACME), narrowed)
        assert told is not None
        assert "4711" not in str(told)
        assert "A-1881" not in str(told)
    assert whose.seen(fact(9, call_of("acme"), OF_ACME), SUPERVISOR) == fact(9, call_of("acme"), OF_ACME)


def test_what_a_caller_entered_is_told_to_no_agent_whose_call_it_may_never_be(whose: Whose) -> None:
    for body in (DigitsEntered("main", "4711", True), AttributeSet("order", "A-1881"), WAY):
        told = whose.seen(fact(9, body, OF_ACME), ANA)
        assert told is not None
        assert "****" in str(told) or body is WAY
        assert "4711" not in str(told)
        assert "A-1881" not in str(told)
        assert whose.seen(fact(9, body, OF_ACME), SUPERVISOR) == fact(9, body, OF_ACME)


def test_every_field_that_could_name_a_customer_is_left_out_of_facts_that_are_still_to_come_too() -> None:
    for kind in get_args(Body):
        speaking = {each.name for each in fields(kind) if each.name in SPEAKING and each.type == "str"}
        assert speaking <= set(OF_CUSTOMERS[kind]), kind
    assert OF_CUSTOMERS[CustomerFound] == ("customer",)
    assert not [kind for kind, left_out in SPEAKING_OF.items() if not left_out <= set(OF_CUSTOMERS[kind])]


def test_of_a_client_company_everybody_sees_only_what_belongs_to_it(whose: Whose) -> None:
    nobody = Actor("x", Role.CLIENT, frozenset())
    assert not any(
        whose.seen(each, nobody)
        for each in (
            fact(9, call_of("acme"), OF_ACME),
            fact(9, state("ana"), OF_ACME),
            Fact(9, fact(9).at, "boot", 1, None, BrokerStateChanged(True, "")),
        )
    )
