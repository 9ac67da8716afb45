"""The desk of commands: every field is read with suspicion, and each order is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.acd.core import Acd
from callcenter.acd.events import DeviceChanged
from callcenter.acd.settings import Dispositions
from callcenter.calls import commands
from callcenter.calls.breaks import BreakRules
from callcenter.calls.commands import CommandDesk
from callcenter.calls.dispatcher import Dispatcher
from callcenter.calls.facts import FactStream
from callcenter.calls.order_reading import MAX_ID, known_skills
from callcenter.calls.settings import BreakLimits, CallsSettings, Supervisor
from callcenter.model.facts import AgentCommanded, AgentStateChanged, BreakRefused, Fact
from callcenter.model.states import Device, Intent
from callcenter.simulation import floor
from callcenter.simulation.clock import SimClock, run

REASONS = {"lunch": "Lunch", "break": "Short break"}


class NoBreaks:
    """Nobody was on a break today."""

    def since(self, agent: str, reason: str) -> datetime | None:
        return None

    def taken(self, agent: str, reason: str, since: datetime, now: datetime) -> float:
        return 0.0


class Room:
    """Amy's desk, without a switch around it."""

    def __init__(self, clock: SimClock) -> None:
        plan = floor.with_agent(floor.settings().plan, floor.agent("amy", {"english": 5}))
        plan = floor.with_agent(plan, floor.agent("cas", {"spanish": 2}))
        self.facts: list[Fact] = []
        self.reasons: dict[str, str] = dict(REASONS)
        self.acd = Acd(plan)
        stream = FactStream(clock, boot="b1", last_seq=0, write=self.facts.append)

        async def flushed(seq: int) -> None:
            raise AssertionError("nobody waits")

        dispatcher = Dispatcher(self.acd, stream, clock, flushed)
        dispatcher.tell(DeviceChanged("amy", Device.REGISTERED, "phone registered"))
        dispatcher.decide()
        self.limits: dict[str, BreakLimits] = {}
        rules = BreakRules(lambda: CallsSettings(break_limits=self.limits), self.acd, NoBreaks(), clock)
        self.desk = CommandDesk(dispatcher, lambda: self.reasons, rules)

    def take(self, **command: Any) -> dict[str, Any]:
        """Amy's program commands."""
        return self.desk.take({"id": "1", **command}, by="agent over MQTT", agent="amy")

    def supervise(self, number: int, *clients: str, **command: Any) -> dict[str, Any]:
        """Eva commands, who may for these clients, or all."""
        eva = Supervisor("eva", "Eva", frozenset(clients) or None)
        return self.desk.take({"id": str(number), "agent": "amy", **command}, by="eva", supervisor=eva)

    @property
    def chosen(self) -> tuple[Intent, str]:
        """What Amy is."""
        view = self.acd.agent("amy")
        assert view is not None
        return view.intent, view.reason


def in_a_room(test: Callable[[Room], None]) -> None:
    async def told() -> None:
        test(Room(SimClock(asyncio.get_running_loop())))

    run(told())


def test_a_choice_holds_at_once_and_says_who_made_it() -> None:
    def told(room: Room) -> None:
        assert room.take(do="state", chosen="not_ready", reason="lunch") == {"id": "1", "ok": True}
        assert room.chosen == (Intent.NOT_READY, "lunch")
        last = room.facts[-1].body
        assert isinstance(last, AgentStateChanged)
        assert last.cause == "not_ready chosen by agent over MQTT"
        by = {"id": "9", "do": "state", "chosen": "ready", "agent": "amy"}
        assert room.desk.take(by, by="supervisor Eva (control)") == {"id": "9", "ok": True}
        last = room.facts[-1].body
        assert isinstance(last, AgentStateChanged)
        assert last.cause == "ready chosen by supervisor Eva (control)"
        assert room.chosen == (Intent.READY, "")

    in_a_room(told)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ({"do": "dance"}, "`do` is `dance`: write one of state, wrap_up_done, wrap_up_extend"),
        ({}, "`do` is missing: write one of state"),
        ({"do": ["state"]}, "`do` is of the type list: write one of"),
        ({"do": "state"}, "`chosen` is missing: write one of ready, not_ready, signed_out"),
        ({"do": "state", "chosen": "redy"}, "`chosen` is `redy`: write one of"),
        ({"do": "state", "chosen": 1}, "`chosen` is `1`: write one of"),
        ({"do": "state", "chosen": None}, "`chosen` is missing"),
        ({"do": "state", "chosen": "not_ready"}, "`reason` is missing; the reasons are lunch, break"),
        ({"do": "state", "chosen": "not_ready", "reason": ""}, "`reason` is missing; the reasons are lunch, break"),
        ({"do": "state", "chosen": "not_ready", "reason": "lnch"}, "named `lnch` (did you mean `lunch`?); the reasons"),
        ({"do": "state", "chosen": "not_ready", "reason": 5}, "`reason` is `5`: write a reason"),
        ({"do": "state", "chosen": "not_ready", "reason": "l" * 65}, "`reason` has 65 characters: 64 at most"),
        ({"do": "state", "chosen": "not_ready", "reason": "a\nb"}, "write a reason for being not ready"),
        ({"do": "state", "chosen": "ready", "reason": "lunch"}, "`reason` goes with not_ready alone"),
        ({"do": "state", "chosen": "ready", "reson": "x"}, "`reson` is no field of `state` (did you mean `reason`?)"),
        ({"do": "wrap_up_done", "disposition": {}}, "`disposition` is of the type dict: write a word or two"),
        ({"do": "wrap_up_done", "disposition": "x" * 65}, "`disposition` has 65 characters: 64 at most"),
        ({"do": "wrap_up_done", "disposition": "solved"}, "there is nothing to wrap up"),
        ({"do": "wrap_up_extend", "minutes": 5}, "`minutes` is no field of `wrap_up_extend`"),
        ({"do": "wrap_up_extend"}, "there is nothing to wrap up"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write_and_changes_nothing(command: dict[str, Any], sentence: str) -> None:
    def told(room: Room) -> None:
        answer = room.take(**command)
        assert (answer["id"], answer["ok"]) == ("1", False)
        assert sentence in answer["error"]
        assert room.chosen == (Intent.READY, "")

    in_a_room(told)


@pytest.mark.parametrize("name", [None, "", 5, "x" * (MAX_ID + 1), ["1"]])
def test_a_command_without_a_proper_id_is_not_obeyed(name: object) -> None:
    def told(room: Room) -> None:
        answer = room.take(id=name, do="state", chosen="signed_out")
        assert (answer["id"], answer["ok"]) == (None, False)
        assert "`id` is missing" in answer["error"]
        assert room.chosen == (Intent.READY, "")

    in_a_room(told)


def test_whom_a_command_is_for_is_said_by_the_way_it_came_else_by_itself() -> None:
    def told(room: Room) -> None:
        signed_out = {"id": "1", "do": "state", "chosen": "signed_out"}
        assert not room.desk.take(signed_out | {"agent": "bob"}, by="x", agent="bob")["ok"]
        wrong = room.desk.take(signed_out | {"agent": "any"}, by="supervisor")
        assert wrong["error"] == "no agent is named `any` (did you mean `amy`?)"
        nobody = room.desk.take(signed_out | {"id": "2"}, by="supervisor")
        assert nobody["error"] == "`agent` is missing: write the name of an agent"
        assert room.chosen == (Intent.READY, "")
        assert room.desk.take(signed_out | {"agent": "bob"}, by="x", agent="amy")["ok"], "the topic wins"
        assert room.chosen == (Intent.SIGNED_OUT, "")

    in_a_room(told)


def test_the_same_id_gives_the_same_answer_and_does_nothing_twice() -> None:
    def told(room: Room) -> None:
        assert room.take(do="state", chosen="not_ready", reason="lunch")["ok"]
        assert room.take(id="2", do="state", chosen="ready")["ok"]
        seen = len(room.facts)
        assert room.take(do="state", chosen="not_ready", reason="lunch")["ok"]
        assert (len(room.facts), room.chosen) == (seen, (Intent.READY, ""))
        other = {"id": "1", "do": "state", "chosen": "signed_out", "agent": "amy"}
        assert room.desk.take(other, by="supervisor")["ok"], "somebody else's 1 is another"
        assert room.chosen == (Intent.SIGNED_OUT, "")

    in_a_room(told)


def test_answers_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "REMEMBERED", 3)

    def told(room: Room) -> None:
        assert room.take(do="state", chosen="signed_out")["ok"]
        for number in range(2, 5):
            room.take(id=str(number), do="state", chosen="ready")
        assert room.take(do="state", chosen="signed_out")["ok"]
        assert room.chosen == (Intent.SIGNED_OUT, ""), "forgotten, and so obeyed again"

    in_a_room(told)


def test_where_no_reasons_are_configured_none_is_asked_for() -> None:
    def told(room: Room) -> None:
        room.reasons.clear()
        assert room.take(do="state", chosen="not_ready")["ok"]
        assert room.chosen == (Intent.NOT_READY, "")
        refused = room.take(id="2", do="state", chosen="not_ready", reason="lunch")
        assert refused["error"] == "no reason is named `lunch`; no reasons are configured: leave it out"

    in_a_room(told)


def test_a_supervisors_word_is_kept_whatever_came_of_it_and_an_agents_is_not() -> None:
    def told(room: Room) -> None:
        room.take(do="state", chosen="not_ready", reason="lunch")
        assert not [fact for fact in room.facts if isinstance(fact.body, AgentCommanded)]
        assert room.supervise(1, do="state", chosen="ready") == {"id": "1", "ok": True}
        assert not room.supervise(2, do="wrap_up_done", disposition="solved")["ok"]
        assert room.supervise(3, do="dispositions")["codes"] == {}
        assert room.supervise(4, agent="nobody", do="state", chosen="ready")["error"].startswith("no agent is named")
        kept = [fact.body for fact in room.facts if isinstance(fact.body, AgentCommanded)]
        assert kept == [
            AgentCommanded("amy", "ready", "eva", "done"),
            AgentCommanded("amy", "wrap_up_done solved", "eva", "nothing to wrap up"),
            AgentCommanded("nobody", "ready", "eva", "no such agent"),
        ]

    in_a_room(told)


def test_a_supervisor_commands_for_those_alone_who_serve_no_other_client() -> None:
    def told(room: Room) -> None:
        assert room.supervise(1, "tech", "other", do="state", chosen="signed_out")["ok"]
        unknown = [room.supervise(at, "other", agent=who, do="state", chosen="ready") for at, who in enumerate("xy", 8)]
        refused = room.supervise(2, "other", do="state", chosen="ready")
        assert refused["error"] == "no agent is named `amy`", "nobody of another company alone is anybody to her"
        assert {each["reason"] for each in (refused, *unknown)} == {"not_found"}
        near = room.supervise(4, "other", agent="any", do="state", chosen="ready")
        assert near["error"] == "no agent is named `any`"
        assert room.chosen == (Intent.SIGNED_OUT, "")
        assert not room.supervise(3, "other", do="roster", clients=["tech"])["ok"]
        assert room.acd.change("amy") is None

    in_a_room(told)


def test_a_roster_is_no_agents_own_to_change() -> None:
    def told(room: Room) -> None:
        refused = room.take(do="roster", skills={"english": 5})
        assert refused["error"].startswith("`do` is `roster`: write one of state,")
        nobody = room.desk.take({"id": "2", "agent": "amy", "do": "roster", "reset": True}, by="whoever")
        assert nobody["error"].startswith("`do` is `roster`: write one of state,"), "who is no supervisor is none"

    in_a_room(told)


def test_skills_are_changed_one_by_one_and_what_nobody_knows_is_refused() -> None:
    def told(room: Room) -> None:
        assert room.supervise(1, do="roster", skills={"spanish": 3})["ok"]
        assert dict(room.acd.who("amy").skills) == {"english": 5, "spanish": 3}
        assert room.supervise(2, do="roster", skills={"english": 0})["ok"]
        assert dict(room.acd.who("amy").skills) == {"spanish": 3}
        assert "did you mean `english`?" in room.supervise(3, do="roster", skills={"englsh": 3})["error"]
        assert room.supervise(4, do="roster", skills={"english": 2}, reset=True)["ok"]
        assert dict(room.acd.who("amy").skills) == {"english": 2}, "from what is configured on"
        assert known_skills(room.acd.plan) == {"english", "spanish"}

    in_a_room(told)


def test_a_break_for_which_too_many_are_out_is_refused_with_how_many() -> None:
    def told(room: Room) -> None:
        room.limits["lunch"] = BreakLimits(at_once=1)
        lunch = {"do": "state", "chosen": "not_ready", "reason": "lunch"}
        assert room.desk.take({"id": "1", **lunch}, by="cas's phone", agent="cas")["ok"]
        refused = room.take(**lunch)
        assert refused["error"] == "1 of 1 are out for `lunch` already: ask again when one of them is back"
        assert room.facts[-1].body == BreakRefused("amy", "lunch", 1, 1, "agent over MQTT")
        assert room.chosen == (Intent.READY, "")
        assert room.supervise(2, **lunch)["ok"], "a supervisor may let go one more"

    in_a_room(told)


def test_dispositions_are_told_to_who_asks() -> None:
    def told(room: Room) -> None:
        assert room.take(do="dispositions") == {"id": "1", "ok": True, "required": False, "codes": {}}
        assert Dispositions({"a/b": "A: B"}).find("b") == "a/b"

    in_a_room(told)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
WORDS = st.sampled_from(
    [
        "state",
        "wrap_up_done",
        "wrap_up_extend",
        "roster",
        "dispositions",
        "ready",
        "not_ready",
        "signed_out",
        "lunch",
        "amy",
    ]
)
FIELDS = st.sampled_from(
    ["id", "do", "agent", "chosen", "reason", "disposition", "skills", "clients", "queues", "reset", "more"]
)


@settings(deadline=None)  # each day begins with a loop of its own
@given(st.lists(st.dictionaries(FIELDS, WORDS | JSON, max_size=6), max_size=8))
def test_whatever_is_sent_is_answered_and_never_raises(sent: list[dict[str, Any]]) -> None:
    def told(room: Room) -> None:
        for command in sent:
            for supervisor in (None, Supervisor("eva", "Eva"), Supervisor("tom", "Tom", frozenset({"other"}))):
                by = f"anybody {supervisor}"
                answer = room.desk.take(command, by=by, supervisor=supervisor)
                assert answer["ok"] is True or answer["error"]

    in_a_room(told)
