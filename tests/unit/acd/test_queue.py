"""The order of a line, and what queue and ticket ask together."""

from __future__ import annotations

from bisect import insort

from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd.queue import Place, Visit, drop, position
from callcenter.acd.requirements import Requirement, merged


def visit(id: str, *, priority: int = 0, first_joined: int = 0, number: int = 1) -> Visit:
    return Visit(id, "call", "sales", "acme", (), priority, 5000, first_joined, number)


def test_the_higher_priority_goes_first_then_who_joined_first_then_who_was_told_first() -> None:
    urgent = visit("d", priority=1, first_joined=9000, number=4)
    kept = visit("c", first_joined=1000, number=3)
    first = visit("b", first_joined=2000, number=1)
    second = visit("a", first_joined=2000, number=2)
    line = sorted(each.place for each in (second, first, kept, urgent))
    assert [place[-1] for place in line] == ["d", "c", "b", "a"]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=20), st.data())
def test_a_line_is_sorted_whatever_comes_and_goes(told: list[tuple[int, int]], data: st.DataObject) -> None:
    line: list[Place] = []
    model: list[Place] = []
    for number, (priority, joined) in enumerate(told):
        place = visit(f"v{number}", priority=priority, first_joined=joined, number=number).place
        insort(line, place)
        model.append(place)
        if data.draw(st.booleans()):
            gone = data.draw(st.sampled_from([*model, (9, 9, 9, "stranger")]))
            drop(line, gone)
            model = [place for place in model if place != gone]
        assert line == sorted(model)
        assert [position(line, place) for place in line] == list(range(1, len(line) + 1))


def test_what_a_ticket_asks_adds_to_what_the_queue_asks() -> None:
    assert merged((Requirement("sales", 2), Requirement("english", 3)), ()) == (
        Requirement("english", 3),
        Requirement("sales", 2),
    )
    assert merged((Requirement("english", 3),), (Requirement("english", 1), Requirement("refunds", 4))) == (
        Requirement("english", 3),
        Requirement("refunds", 4),
    )
    assert merged((Requirement("english", 1),), (Requirement("english", 4),)) == (Requirement("english", 4),)


def test_a_visit_says_in_one_line_how_it_stands() -> None:
    waiting = visit("v1")
    assert str(waiting) == "<Visit v1 sales waiting tries=0>"
    waiting.offers, waiting.tries = ("v1-1",), 1
    assert str(waiting) == "<Visit v1 sales offered tries=1>"
