"""What is published: schemas, what a reader in a hurry sees, and what never stands in a topic or a retained state."""

from __future__ import annotations

import json
import typing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.model.customer import Customer, Match
from callcenter.model.facts import (
    AgentCommanded,
    AgentSkillsChanged,
    AgentStateChanged,
    Body,
    BreakOverran,
    BreakRefused,
    BrokerStateChanged,
    CallEnded,
    CallQueued,
    ConfigReloaded,
    CustomerErased,
    CustomerMerged,
    CustomerSaved,
    CustomersImported,
    DigitsEntered,
    DoNotCallDialled,
    DoNotCallRemoved,
    DrainBegan,
    DrainEnded,
    Fact,
    FeatureCodeDialled,
    RecordingSpaceChanged,
    StateRepaired,
    SwitchStarted,
    SwitchStopped,
    TrunkQualityChanged,
    TrunkStateChanged,
    TrunkTried,
)
from callcenter.model.ids import is_slug
from callcenter.model.states import Device, EndCause, Intent, Side, Work
from callcenter.publish import events, payloads, topics
from callcenter.publish.payloads import MAX_PAYLOAD, Pop

NOON = datetime(2026, 11, 21, 12, 0, 0, 104_000, tzinfo=UTC)
JANA = Customer("c-4711", "acme", "Jana Nováková", ("+420777123456",), "A-1", "gold", "cs", "2019", "likes tea")
RECORD = {
    "call_id": "cc1-before",
    "arrived_at": "2026-11-12T13:02:00.000Z",
    "queue": "support",
    "agent": "petra",
    "intent": "refund",
    "outcome": "handled",
    "wait_ms": 1200,
    "talk_ms": 63000,
    "legs": [{"disposition": "follow-up"}],
    "digits": ["1234"],
}


def pop(match: Match = Match.SURE, customers: tuple[Customer, ...] = (JANA,), greeting: str = "Good evening") -> Pop:
    return Pop(
        id="01jd7q4z",
        at=NOON,
        expires_at=NOON + timedelta(seconds=60),
        call="cc1-01jd",
        offer="o1",
        agent="petra",
        rings_in_ms=150,
        client="acme",
        client_name="ACME",
        greeting=greeting,
        queue="support",
        from_number="+420777123456",
        from_name="Jana N",
        to_number="+420800123456",
        language="cs",
        intent="refund",
        skills={"czech": 3, "billing": 1},
        waited_s=112.4321,
        menu=["billing", "refund"],
        entered={"order": "1881"},
        attributes={"order": "1881", "pin": "****"},
        match=match,
        customers=customers,
        fields={"c-4711": [{"name": "contract", "label": "Contract", "value": "Plus"}]},
        interactions=[RECORD],
        why=["czech 5 of 3 needed"],
        position_was=3,
        srtp="AES_CM_128_HMAC_SHA1_80",
    )


def fact(body: Body, call_id: str | None = "cc1-01jd") -> Fact:
    return Fact(7, NOON, "boot1", 1234, call_id, body)


def test_a_pop_tells_the_agent_everything_before_the_phone_rings() -> None:
    assert pop().payload() == {
        "schema": "pop.v1",
        "id": "01jd7q4z",
        "at": "2026-11-21T12:00:00.104Z",
        "expires": "2026-11-21T12:01:00.104Z",
        "call": "cc1-01jd",
        "offer": "o1",
        "agent": "petra",
        "rings_in_ms": 150,
        "client": {"id": "acme", "name": "ACME", "greeting": "Good evening"},
        "queue": "support",
        "from": "+420777123456",
        "from_name": "Jana N",
        "to": "+420800123456",
        "diverted": None,
        "intent": "refund",
        "skills": {"czech": 3, "billing": 1},
        "waited_s": 112.4,
        "position_was": 3,
        "callback": None,
        "ivr": {"language": "cs", "menu": ["billing", "refund"], "entered": {"order": "1881"}},
        "attributes": {"order": "1881", "pin": "****"},
        "record": None,
        "open_followups": 0,
        "followups": [],
        "update": False,
        "srtp": "AES_CM_128_HMAC_SHA1_80",
        "customer": {
            "id": "c-4711",
            "name": "Jana Nováková",
            "account": "A-1",
            "tier": "gold",
            "language": "cs",
            "since": "2019",
            "notes": "likes tea",
            "accounts": ["A-1"],
            "fields": [{"name": "contract", "label": "Contract", "value": "Plus"}],
            "match": "sure",
            "note": None,
            "last": LAST,
            "interactions": [LAST],
        },
        "why": [{"text": "czech 5 of 3 needed"}],
    }


LAST = {
    "call": "cc1-before",
    "at": "2026-11-12T13:02:00.000Z",
    "queue": "support",
    "agent": "petra",
    "intent": "refund",
    "outcome": "handled",
    "disposition": "follow-up",
    "wait_ms": 1200,
    "talk_ms": 63000,
}


@pytest.mark.parametrize("count", [1, 2])
def test_a_maybe_is_never_shown_as_sure(count: int) -> None:
    customer = pop(Match.MAYBE, (JANA,) * count).payload()["customer"]
    assert customer["match"] == "maybe"
    assert "name" not in customer
    assert [each["name"] for each in customer["candidates"]] == ["Jana Nováková"] * count
    assert "interactions" not in customer


def test_two_customers_are_a_maybe_even_when_someone_says_sure() -> None:
    assert pop(Match.SURE, (JANA, JANA)).payload()["customer"]["match"] == "maybe"


def test_an_unknown_caller_is_none() -> None:
    assert pop(Match.NONE, ()).payload()["customer"] == {"match": "none"}


def test_a_text_without_end_is_cut_so_that_no_broker_refuses_the_pop() -> None:
    endless = Customer("c", "acme", "N" * 100_000, (), notes="n" * 100_000)
    data = payloads.encode(pop(customers=(endless,), greeting="g" * 100_000).payload())
    assert len(data) < MAX_PAYLOAD
    assert json.loads(data)["customer"]["name"].endswith("…")


@given(st.dictionaries(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=()))))
def test_whatever_a_caller_sent_is_encoded_as_json_that_anyone_reads(values: dict[str, str]) -> None:
    assert isinstance(json.loads(payloads.encode(values).decode("utf-8")), dict)


def test_a_payload_too_large_for_brokers_says_so() -> None:
    data = payloads.encode({"schema": "call.v1", "seq": 3, "data": {"x": "y" * MAX_PAYLOAD}})
    assert json.loads(data) == {"schema": "call.v1", "seq": 3, "truncated": True}


def test_an_agents_state_names_the_call_and_nothing_of_the_caller() -> None:
    talking = AgentStateChanged(
        "petra", Intent.READY, "", Work.TALKING, Device.REGISTERED, "picked up", "o1", next=Intent.NOT_READY,
        next_reason="lunch",
    )  # fmt: skip
    assert payloads.agent_state(talking, at=NOON, since=NOON - timedelta(seconds=90), call="cc1-01jd") == {
        "schema": "agent.v1",
        "agent": "petra",
        "chosen": "ready",
        "reason": "",
        "forced": False,
        "cause": "picked up",
        "next": {"chosen": "not_ready", "reason": "lunch"},
        "work": "talking",
        "device": "registered",
        "wrap_up_until": None,
        "wrap_up_remaining_s": None,
        "extension_s": 0.0,
        "wrap_up": None,
        "by": None,
        "break_until": None,
        "break_over": False,
        "pause_until": None,
        "since": "2026-11-21T11:58:30.104Z",
        "at": "2026-11-21T12:00:00.104Z",
        "call": "cc1-01jd",
        "recording": None,
        "supervised": [],
    }


def test_an_agents_state_says_until_when_a_wrap_up_or_a_pause_lasts() -> None:
    wrap_up = AgentStateChanged(
        "petra", Intent.READY, "", Work.WRAP_UP, Device.REGISTERED, "talk ended", "o1", remaining_ms=20_000,
        extension_ms=30_000,
    )  # fmt: skip
    told = payloads.agent_state(wrap_up, at=NOON)
    assert (told["wrap_up_until"], told["wrap_up_remaining_s"], told["extension_s"], told["pause_until"]) == (
        "2026-11-21T12:00:20.104Z",
        20.0,
        30.0,
        None,
    )
    assert told["next"] is None
    mandatory = payloads.agent_state(replace(wrap_up, remaining_ms=0, extension_ms=0), at=NOON)
    assert (mandatory["work"], mandatory["wrap_up_until"], mandatory["wrap_up_remaining_s"]) == ("wrap_up", None, None)
    pause = payloads.agent_state(replace(wrap_up, work=Work.IDLE, remaining_ms=10_000), at=NOON)
    assert (pause["pause_until"], pause["wrap_up_until"]) == ("2026-11-21T12:00:10.104Z", None)


def test_a_call_event_carries_its_number_and_its_fact() -> None:
    event = payloads.call_event(fact(CallQueued("v1", "support", "acme", 1, (("czech", 3),), 900)))
    assert event == {
        "schema": "call.v1",
        "seq": 7,
        "at": "2026-11-21T12:00:00.104Z",
        "boot": "boot1",
        "ms": 1234,
        "call": "cc1-01jd",
        "event": "queued",
        "data": {
            "visit": "v1",
            "queue": "support",
            "client": "acme",
            "priority": 1,
            "requirements": [["czech", 3]],
            "first_joined_ms": 900,
            "agent": "",
            "needs": "",
            "own": "",
            "prefer": "",
            "prefer_ms": 0,
            "visit_no": 0,
            "place_of": "",
            "origins": [],
            "callback": "",
            "reserve_ms": 0,
            "without": [],
        },
    }


def test_every_kind_of_fact_is_a_word_of_the_calls_story_or_left_out_on_purpose() -> None:
    of_the_switch = {SwitchStarted, SwitchStopped, ConfigReloaded, DrainBegan, DrainEnded, BrokerStateChanged}
    of_agents = {AgentStateChanged, FeatureCodeDialled, AgentCommanded, AgentSkillsChanged, BreakOverran, BreakRefused}
    of_trunks = {TrunkStateChanged, TrunkTried, TrunkQualityChanged}
    of_customers = {CustomerSaved, CustomerMerged, CustomerErased, CustomersImported}
    of_lists = {DoNotCallRemoved, DoNotCallDialled}
    of_tables = of_lists | of_customers | set(events.FOLLOWUP_EVENTS)
    left_out = of_the_switch | of_agents | of_trunks | of_tables | {StateRepaired, RecordingSpaceChanged}
    assert set(events.EVENTS) == set(typing.get_args(Body)) - left_out
    assert len(set(events.EVENTS.values())) == len(events.EVENTS)
    assert payloads.call_event(fact(DigitsEntered("m", "1", True), call_id=None)) is None
    assert payloads.call_event(fact(SwitchStopped("bye"))) is None
    ended = payloads.call_event(fact(CallEnded(Side.CALLER, EndCause.HANGUP)))
    assert ended is not None
    assert ended["event"] == "ended"


@given(st.text())
def test_nothing_but_slugs_stands_in_a_topic(text: str) -> None:
    for make in (topics.agent_state, topics.agent_pop, topics.call_event):
        if is_slug(text):
            assert make(text).startswith("callcenter/v1/")
        else:
            with pytest.raises(ValueError, match="may not stand in a topic"):
                make(text)


@pytest.mark.parametrize("text", ["+14155550100", "#", "+", "a/b", "Jana", "a b", "", "$SYS"])
def test_numbers_names_and_wildcards_are_no_slugs(text: str) -> None:
    with pytest.raises(ValueError, match="may not stand in a topic"):
        topics.call_event(text)


def test_the_topics_are_those_of_the_design() -> None:
    assert topics.STATUS == "callcenter/v1/status"
    assert topics.agent_state("ana") == "callcenter/v1/agents/ana/state"
    assert topics.agent_pop("ana") == "callcenter/v1/agents/ana/pop"
    assert topics.call_event("cc1-01jd") == "callcenter/v1/calls/cc1-01jd/event"


BUSY_LINE = payloads.LineState(
    waiting=2,
    callbacks=1,
    longest_since=NOON - timedelta(seconds=112, milliseconds=430),
    ready=0,
    signed_in=7,
    talking=5,
    agents={"talk": 5, "wrap_up": 1, "break": 1},
    offered=20,
    answered=14,
    abandoned=2,
    asa_ms=21_450,
    service_level=0.875,
    service_level_20s=0.8125,
    planned=3,
)


def test_a_queue_s_state_is_counts_and_nothing_of_a_caller() -> None:
    state = payloads.queue_state("sales", BUSY_LINE, client="acme", threshold_ms=30_000, at=NOON)
    assert state == {
        "schema": "queue.v1",
        "queue": "sales",
        "client": "acme",
        "waiting": 2,
        "callbacks": 1,
        "planned": 3,
        "longest_s": 112.4,
        "longest_since": "2026-11-21T11:58:07.674Z",
        "ready": 0,
        "signed_in": 7,
        "talking": 5,
        "agents": {"talk": 5, "wrap_up": 1, "break": 1},
        "offered": 20,
        "answered": 14,
        "abandoned": 2,
        "asa_s": 21.4,
        "service_level": 0.875,
        "service_level_20s": 0.8125,
        "service_level_s": 30.0,
        "at": "2026-11-21T12:00:00.104Z",
    }


def test_all_queues_of_a_client_are_told_in_the_same_words() -> None:
    queue = payloads.queue_state("sales", BUSY_LINE, client="acme", threshold_ms=30_000, at=NOON)
    state = payloads.client_state("acme", BUSY_LINE, at=NOON)
    assert (state.pop("schema"), state.pop("client")) == ("client.v1", "acme")
    assert state.items() <= queue.items()
    assert topics.client_state("acme") == "callcenter/v1/clients/acme/state"


def test_an_empty_queue_has_no_longest_wait() -> None:
    line = payloads.LineState(0, 0, None, 1, 1, 0, {}, 0, 0, 0, None, None, None)
    state = payloads.queue_state("sales", line, client="acme", threshold_ms=20_000, at=NOON)
    assert (state["longest_s"], state["longest_since"], state["service_level_20s"]) == (0.0, None, None)
    assert (state["asa_s"], state["offered"]) == (None, 0)


def test_a_trunk_is_up_or_down_or_not_known_yet_and_says_why() -> None:
    told = payloads.trunk_state("carrier-a", up=False, detail="no answer from udp 198.51.100.7:5060", at=NOON)
    assert told == {
        "schema": "trunk.v1",
        "trunk": "carrier-a",
        "up": False,
        "detail": "no answer from udp 198.51.100.7:5060",
        "at": "2026-11-21T12:00:00.104Z",
    }
    assert payloads.trunk_state("carrier-a", up=None, detail="", at=NOON)["up"] is None
    assert topics.trunk_state("carrier-a") == "callcenter/v1/trunks/carrier-a/state"
    assert "callcenter/v1/trunks/#" in topics.monitor_reads()


def test_the_configuration_in_force_is_named_with_who_loaded_it() -> None:
    assert payloads.config_state("a1b2c3", loaded_at=NOON, by="start") == {
        "schema": "config.v1",
        "revision": "a1b2c3",
        "loaded_at": "2026-11-21T12:00:00.104Z",
        "by": "start",
    }
    assert topics.CONFIG == "callcenter/v1/system/config"
    assert topics.queue_state("sales") == "callcenter/v1/queues/sales/state"
    with pytest.raises(ValueError, match="may not stand in a topic"):
        topics.queue_state("+420777123456")
