"""What is due comes in order, once, and nothing stale with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callcenter.acd.agenda import Agenda, Due

steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(Due), st.sampled_from("ab"), st.one_of(st.none(), st.integers(0, 20))),
        st.integers(0, 20),
    ),
    max_size=40,
)


@given(steps)
def test_an_agenda_is_a_table_of_times_read_in_order(told: list[tuple[Due, str, int | None] | int]) -> None:
    agenda = Agenda()
    model: dict[tuple[Due, str], int] = {}
    for step in told:
        if isinstance(step, int):
            while (entry := agenda.take(step)) is not None:
                first = min((when, what, whose) for (what, whose), when in model.items())
                assert entry == first
                del model[entry[1:]]
            assert all(when > step for when in model.values())
        else:
            what, whose, when = step
            agenda.set(what, whose, when)
            if when is None:
                model.pop((what, whose), None)
            else:
                model[what, whose] = when
        assert agenda.first == min(model.values(), default=None)
