"""Places: whose place in line is kept, for whom, how long, and in which order they come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd.core import Acd
from callcenter.acd.events import Join, Leave, Ticket
from callcenter.acd.settings import Plan, QueueSettings
from callcenter.calls import line
from callcenter.calls.line import Line, Places, visit_name
from callcenter.model.facts import Body, CallArrived, CallEnded, CallQueued, Draft, Fact, PositionAnnounced, QueueLeft
from callcenter.model.states import Direction, EndCause, Side, VisitOutcome

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEEP = 120.0


@dataclass
class Hands:
    """A clock that is set by hand; it began at noon with ``up`` seconds on it."""

    up: float = 1000.0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.up

    def monotonic(self) -> float:
        return self.up

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.up - self.began)


class Floor:
    """Calls told as facts to the places of a boot."""

    def __init__(self, hands: Hands | None = None, boot: str = "now") -> None:
        self.hands = hands or Hands()
        self.boot = boot
        self.places = Places(self.hands, boot)
        self.facts: list[Fact] = []

    def tell(self, body: Body, call: str) -> None:
        ms = round(self.hands.up * 1000)
        self.facts.append(Fact(len(self.facts) + 1, self.hands.now(), self.boot, ms, call, body))
        self.places.take(self.facts[-1])

    def arrive(self, call: str, number: str, client: str = "acme", direction: Direction = Direction.INBOUND) -> None:
        self.tell(CallArrived(client, "main", number, "", "1000", "UDP", "", call, direction), call)

    def wait(
        self, call: str, queue: str = "sales", *, since: float | None = None, agent: str = "", no: int = 1
    ) -> None:
        since_ms = round((self.hands.up if since is None else since) * 1000)
        self.tell(CallQueued(f"{call}-v{no}", queue, "acme", 0, (), since_ms, agent, visit_no=no), call)

    def leave(
        self, call: str, outcome: VisitOutcome = VisitOutcome.ABANDONED, *, no: int = 1, ends: bool = True
    ) -> None:
        self.tell(QueueLeft(f"{call}-v{no}", "sales", outcome), call)
        if ends:
            self.tell(CallEnded(Side.CALLER, EndCause.HANGUP), call)

    def gone(self, call: str, number: str, outcome: VisitOutcome = VisitOutcome.ABANDONED) -> None:
        """A caller who waited for ten seconds and is gone."""
        self.arrive(call, number)
        self.wait(call)
        self.hands.up += 10
        self.leave(call, outcome)

    def claim(self, number: str, queue: str = "sales", *, client: str = "acme", keep: float = KEEP) -> Line | None:
        return self.places.claim("later", client, number, queue, keep)


def test_who_hung_up_while_waiting_has_the_place_within_the_time_and_not_after() -> None:
    floor = Floor()
    floor.gone("c1", "+420777123456")
    floor.hands.up += KEEP
    assert floor.claim("+420 777 123 456") == Line(1000.0, None, "c1/1")
    floor.gone("c2", "+420777123456")
    floor.hands.up += KEEP + 0.001
    assert floor.claim("+420777123456") is None


def test_a_place_is_given_away_once() -> None:
    floor = Floor()
    floor.gone("c1", "+420777123456")
    assert floor.claim("+420777123456") is not None
    assert floor.claim("+420777123456") is None
    assert len(floor.places) == 0


def test_another_number_client_or_queue_has_nothing_of_it() -> None:
    floor = Floor()
    floor.gone("c1", "+420777123456")
    assert floor.claim("+420777123457") is None
    assert floor.claim("+420777123456", client="globex") is None
    assert floor.claim("+420777123456", "help") is None
    assert floor.claim("+420777123456", keep=0.0) is None
    assert floor.claim("+420777123456") is not None


def test_who_withholds_the_number_keeps_none_and_gets_none() -> None:
    floor = Floor()
    for number in ("anonymous", "Anonymous", "", "unknown", "restricted"):
        floor.gone(f"c{number}", number)
        assert floor.claim(number) is None
    assert len(floor.places) == 0


def test_only_who_hung_up_or_was_cut_off_may_come_back() -> None:
    kept = {outcome: Floor() for outcome in VisitOutcome}
    for outcome, floor in kept.items():
        floor.gone("c1", "+420777123456", outcome)
    backs = {outcome for outcome, floor in kept.items() if floor.claim("+420777123456")}
    assert backs == {VisitOutcome.ABANDONED, VisitOutcome.SHORT_ABANDONED, VisitOutcome.LOST}


def test_who_waits_for_one_agent_alone_or_is_an_agent_has_no_place() -> None:
    floor = Floor()
    floor.arrive("c1", "+420777123456")
    floor.wait("c1", agent="ana")
    floor.leave("c1")
    floor.arrive("c2", "ana", direction=Direction.INTERNAL)
    floor.wait("c2")
    floor.leave("c2")
    assert floor.claim("+420777123456") is None
    assert floor.claim("ana") is None


def test_the_position_told_last_goes_with_the_place_and_with_the_next_one() -> None:
    floor = Floor()
    floor.arrive("c1", "+420777123456")
    floor.wait("c1")
    floor.tell(PositionAnnounced("c1-v1", 4), "c1")
    floor.leave("c1")
    floor.arrive("later", "+420777123456")
    kept = floor.claim("+420777123456")
    assert kept == Line(1000.0, 4, "c1/1")
    floor.hands.up += 5
    floor.wait("later", since=1000.0)
    floor.leave("later")
    assert floor.claim("+420777123456") == Line(1000.0, 4, "later/1")


def test_a_new_place_in_the_same_call_forgets_what_was_told_of_the_old_one() -> None:
    floor = Floor()
    floor.arrive("c1", "+420777123456")
    floor.wait("c1")
    floor.tell(PositionAnnounced("c1-v1", 4), "c1")
    floor.leave("c1", VisitOutcome.FLOWED_OUT, ends=False)
    floor.hands.up += 60
    floor.wait("c1", "help", no=2)
    floor.leave("c1", no=2)
    assert floor.claim("+420777123456") is None
    assert floor.claim("+420777123456", "help") == Line(1060.0, None, "c1/2")


def test_a_place_that_was_carried_on_counts_in_every_queue_it_led_through() -> None:
    floor = Floor()
    floor.arrive("c1", "+420777123456")
    floor.wait("c1")
    floor.leave("c1", VisitOutcome.FLOWED_OUT, ends=False)
    floor.hands.up += 60
    floor.wait("c1", "help", since=1000.0, no=2)
    floor.leave("c1", no=2)
    assert floor.claim("+420777123456") == Line(1000.0, None, "c1/2")


def test_who_is_refused_by_a_full_queue_keeps_the_place_of_before_but_gets_no_new_one() -> None:
    floor = Floor()
    floor.gone("c1", "+420777123456")
    floor.arrive("later", "+420777123456")
    assert floor.claim("+420777123456") is not None
    floor.wait("later", since=1000.0)
    floor.leave("later", VisitOutcome.REFUSED)
    assert floor.claim("+420777123456") == Line(1000.0, None, "later/1")
    assert floor.claim("+420777123456") is None


def test_of_several_of_one_number_the_oldest_place_is_given_first_and_some_are_forgotten() -> None:
    floor = Floor()
    for number in range(line.MOST_OF_ONE_NUMBER + 2):
        floor.gone(f"c{number}", "+420777123456")
    assert len(floor.places) == line.MOST_OF_ONE_NUMBER
    names = [claimed.visit for _ in range(line.MOST_OF_ONE_NUMBER) if (claimed := floor.claim("+420777123456"))]
    assert names == [visit_name(f"c{number}", 1) for number in range(2, line.MOST_OF_ONE_NUMBER + 2)]


def test_what_is_kept_is_bounded_and_what_is_old_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "MOST_KEPT", 50)
    floor = Floor()
    for number in range(80):
        floor.gone(f"c{number}", f"+42077712{number:04d}")
    assert len(floor.places) == 50
    floor.hands.up += line.LONGEST_KEPT
    for number in range(100, 130):
        floor.gone(f"c{number}", f"+42077712{number:04d}")
    assert len(floor.places) == 30


def test_places_of_an_earlier_boot_keep_their_order_on_the_new_clock_and_the_time_down_does_not_count() -> None:
    """The machine was started anew: its monotonic clock begins at nothing."""
    old = Floor(boot="before")
    for number in range(5):
        old.arrive(f"c{number}", f"+42077712000{number}")
        old.wait(f"c{number}")
        old.hands.up += 0.7
    for number in (3, 1):
        old.leave(f"c{number}", VisitOutcome.LOST)
    new = Floor(Hands(up=3.0))
    down = 600.0
    new.places = Places(_Later(new.hands, old.hands.now() + timedelta(seconds=down)), "now")
    for number in (3, 1):
        facts = [fact for fact in old.facts if fact.call_id == f"c{number}"]
        new.places.take_up(facts, down)
    new.hands.up += 100
    third, first = new.claim("+420777120003"), new.claim("+420777120001")
    assert third is not None
    assert first is not None
    assert round(third.first_joined - first.first_joined, 3) == 1.4
    # c1 waited 2.8 s until the old boot was gone, and 600 s more.
    assert round(first.first_joined, 3) == round(3.0 - 600.0 - 2.8, 3)


def test_a_place_that_was_given_away_before_a_restart_is_not_there_twice_after_it() -> None:
    """Hung up, back on the old place, and then the switch goes down: one caller, one place."""
    old = Floor(boot="before")
    old.gone("c1", "+420777123456")
    old.arrive("later", "+420777123456")
    kept = old.claim("+420777123456")
    assert kept is not None
    old.tell(CallQueued("v2", "sales", "acme", 0, (), 1_000_000, visit_no=1, place_of=kept.visit), "later")
    old.hands.up += 5
    old.tell(QueueLeft("v2", "sales", VisitOutcome.LOST, "shutdown"), "later")
    new = Floor(Hands(up=old.hands.up + 10))
    for call in ("c1", "later"):
        new.places.take_up([fact for fact in old.facts if fact.call_id == call], 10.0)
    assert len(new.places) == 1
    claimed = new.claim("+420777123456")
    assert claimed is not None
    assert claimed.visit == "later/1"


@dataclass
class _Later:
    """The clock of a boot that came up at another time of day."""

    hands: Hands
    at: datetime

    def monotonic(self) -> float:
        return self.hands.up

    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.hands.up - self.hands.began)


CALLERS = 6
MOVES = st.lists(
    st.tuples(st.integers(0, CALLERS - 1), st.sampled_from(["ring", "hang up", "cut off", "key"]), st.integers(0, 90)),
    max_size=60,
)


@given(MOVES, st.lists(st.sampled_from([0, 0, 5]), min_size=CALLERS, max_size=CALLERS))
def test_no_kept_place_ever_jumps_ahead_of_who_joined_earlier_with_the_same_priority(
    moves: list[tuple[int, str, int]], priorities: list[int]
) -> None:
    """Callers come, go and come back as they like: the line stands by priority, then by who truly waited first."""
    hands = Hands()
    places = Places(hands, "now")
    acd = Acd(Plan({"sales": QueueSettings("sales", "acme")}, {}))
    waiting: dict[int, str] = {}
    ever_joined: dict[int, set[int]] = {caller: set() for caller in range(CALLERS)}
    left_at: dict[int, float] = {}
    calls, seq = 0, 0

    def tell(drafts: tuple[Draft, ...]) -> None:
        nonlocal seq
        for draft in drafts:
            seq += 1
            places.take(Fact(seq, hands.now(), "now", round(hands.up * 1000), draft.call_id, draft.body))

    for caller, move, pause in moves:
        hands.up += pause + 0.25
        number = f"+42077700000{caller}"
        if move == "ring" and caller not in waiting:
            calls += 1
            call = waiting[caller] = f"c{calls}"
            tell((Draft(CallArrived("acme", "main", number, "", "1000", "UDP", "", call), call),))
            kept = places.claim(call, "acme", number, "sales", KEEP)
            if kept is not None:
                assert hands.up - left_at[caller] <= KEEP
                assert round(kept.first_joined * 1000) in ever_joined[caller], "a place that this caller never had"
            first = hands.up if kept is None else kept.first_joined
            ever_joined[caller].add(round(first * 1000))
            ticket = Ticket(
                f"v{calls}", call, "sales", "acme", priority=priorities[caller], first_joined=first, number=1
            )
            tell(acd.handle(Join(ticket), hands.up).facts)
        elif move != "ring" and caller in waiting:
            call = waiting.pop(caller)
            outcome = {"hang up": VisitOutcome.ABANDONED, "cut off": VisitOutcome.LOST, "key": VisitOutcome.FLOWED_OUT}
            tell(acd.handle(Leave(f"v{call[1:]}", outcome[move]), hands.up).facts)
            tell((Draft(CallEnded(Side.CALLER, EndCause.HANGUP), call),))
            left_at[caller] = hands.up
        order = [(-ticket.priority, ticket.first_joined) for ticket in acd.waiting("sales")]
        assert order == sorted(order)
