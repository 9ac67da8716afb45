"""The desk of commands: every field is read with suspicion, and each order is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.acd.core import Acd
from callcenter.acd.events import DeviceChanged
from callcenter.calls import commands
from callcenter.calls.commands import MAX_ID, CommandDesk
from callcenter.calls.dispatcher import Dispatcher
from callcenter.calls.facts import FactStream
from callcenter.model.facts import AgentStateChanged, Fact
from callcenter.model.states import Device, Intent
from callcenter.simulation import floor
from callcenter.simulation.clock import SimClock, run

REASONS = {"lunch": "Lunch", "break": "Short break"}


class Room:
    """Amy's desk, without a switch around it."""

    def __init__(self, clock: SimClock) -> None:
        plan = floor.with_agent(floor.settings().plan, floor.agent("amy", {"english": 5}))
        self.facts: list[Fact] = []
        self.reasons: dict[str, str] = dict(REASONS)
        self.acd = Acd(plan)
        stream = FactStream(clock, boot="b1", last_seq=0, write=self.facts.append)

        async def flushed(seq: int) -> None:
            raise AssertionError("nobody waits")

        dispatcher = Dispatcher(self.acd, stream, clock, flushed)
        dispatcher.tell(DeviceChanged("amy", Device.REGISTERED, "phone registered"))
        dispatcher.decide()
        self.desk = CommandDesk(dispatcher, lambda: self.reasons)

    def take(self, **command: Any) -> dict[str, Any]:
        """Amy's program commands."""
        return self.desk.take({"id": "1", **command}, by="agent over MQTT", agent="amy")

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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
WORDS = st.sampled_from(["state", "wrap_up_done", "wrap_up_extend", "ready", "not_ready", "signed_out", "lunch", "amy"])
FIELDS = st.sampled_from(["id", "do", "agent", "chosen", "reason", "disposition", "more"])


@settings(deadline=None)  # each day begins with a loop of its own
@given(st.lists(st.dictionaries(FIELDS, WORDS | JSON, max_size=6), max_size=8))
def test_whatever_is_sent_is_answered_and_never_raises(sent: list[dict[str, Any]]) -> None:
    def told(room: Room) -> None:
        for command in sent:
            answer = room.desk.take(command, by="anybody")
            assert answer["ok"] is True or answer["error"]

    in_a_room(told)
