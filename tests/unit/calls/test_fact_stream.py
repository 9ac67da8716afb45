"""The fact stream: who is told which facts, in which order."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from callcenter.acd.estimate import Pace
from callcenter.app.house import House
from callcenter.calls.callback import Callbacks
from callcenter.calls.facts import FactStream
from callcenter.calls.followups import Followups
from callcenter.calls.line import Places
from callcenter.calls.paperwork import Paperwork
from callcenter.ledger.quality import QualityLedger
from callcenter.model.facts import BODIES, CallAnswered, CallEnded, DigitsEntered, Fact, kinds_of, reads
from callcenter.model.states import EndCause, Side
from callcenter.operate.trace import KnownCalls
from callcenter.publish.agent_states import AgentStates
from callcenter.storage.breaks import Breaks
from callcenter.storage.intents import Intents
from callcenter.storage.recordings import Recordings
from callcenter.storage.roster import Roster
from tests.unit.storage.support import StillClock

READERS: list[Callable[..., Any]] = [
    *(Callbacks.take, Paperwork.take, Places.take, KnownCalls.take, AgentStates.take, Intents.take, Breaks.take),
    *(Roster.take, Recordings.take, Followups.take, QualityLedger.take, Pace.take, House._own_call_over),
]


def test_a_reader_is_told_what_it_reads_in_the_order_of_subscription() -> None:
    told: list[tuple[str, str]] = []

    @reads(CallEnded, DigitsEntered)
    def some(fact: Fact) -> None:
        told.append(("some", fact.kind))

    stream = FactStream(StillClock(), boot="boot", last_seq=0, write=lambda fact: told.append(("log", fact.kind)))
    stream.append(CallAnswered())
    stream.subscribe(some)
    stream.subscribe(lambda fact: told.append(("all", fact.kind)))
    stream.append(CallAnswered())
    stream.append(CallEnded(Side.CALLER, EndCause.HANGUP, 0, ""))
    answered, ended = "CallAnswered", "CallEnded"
    assert told == [("log", answered), *[("log", answered), ("all", answered)], *[(who, ended) for who in WHO]]


WHO = ("log", "some", "all")


@pytest.mark.parametrize("reader", READERS, ids=lambda each: each.__qualname__)
def test_a_reader_says_of_every_kind_that_it_has_a_case_for_that_it_reads_it(reader: Callable[..., Any]) -> None:
    """Else it would never hear of it, and nothing would tell."""
    body = ast.parse(textwrap.dedent(inspect.getsource(reader))).body[0]
    assert isinstance(body, ast.FunctionDef)
    names = [each.cls for each in ast.walk(body) if isinstance(each, ast.MatchClass)]
    names += [
        each.args[1]
        for each in ast.walk(body)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "isinstance"
    ]
    cases = {each.id for each in names if isinstance(each, ast.Name)} & set(BODIES)
    assert cases == {each.__name__ for each in kinds_of(reader) or ()}
    assert cases


def test_who_hands_facts_on_hears_of_all_that_are_read_there() -> None:
    assert kinds_of(House._hear_how_it_sounded) == kinds_of(QualityLedger.take)
    assert kinds_of(House._tell_agent) == kinds_of(AgentStates.take)
