"""Who hears whom in a talk of two or three, with somebody who listens in: a table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from callcenter.calls.circle import Circle, Circles, Guest, Seat
from callcenter.model.states import SupervisionMode

LISTEN, WHISPER, BARGE = SupervisionMode.LISTEN, SupervisionMode.WHISPER, SupervisionMode.BARGE


class Table:
    """A caller, amy, and bob if there are three; sessions are their names."""

    def __init__(self, *, three: bool = False) -> None:
        self.holding: set[str] = set()
        seats = [self._seat("caller"), self._seat("amy", "amy"), *([self._seat("bob", "bob")] if three else [])]
        self.circle = Circle(cast(Any, SimpleNamespace(id="call")), *seats)
        self.seats = dict(zip(("caller", "amy", "bob"), seats, strict=False))

    def _seat(self, name: str, agent: str = "") -> Seat:
        sound = cast(Any, SimpleNamespace(session=name))
        return Seat(lambda: sound, lambda: name in self.holding, agent)

    def guest(self, name: str, mode: SupervisionMode) -> Guest:
        guest = Guest(cast(Any, name), "amy", mode, lambda: None)
        self.circle.guests.append(guest)
        return guest

    @property
    def hear(self) -> dict[str, str]:
        return {str(ear): " ".join(map(str, voices)) for ear, voices in self.circle.wanted().items()}


def test_two_and_three_hear_each_other_and_who_is_apart_hears_nobody() -> None:
    assert Table().hear == {"caller": "amy", "amy": "caller"}
    table = Table(three=True)
    assert table.hear == {"caller": "amy bob", "amy": "caller bob", "bob": "caller amy"}
    assert table.circle.is_conference
    table.seats["caller"].apart = True
    assert table.hear == {"caller": "", "amy": "bob", "bob": "amy"}


@pytest.mark.parametrize(
    ("mode", "caller", "amy"),
    [(LISTEN, "amy", "caller"), (WHISPER, "amy", "caller eve"), (BARGE, "amy eve", "caller eve")],
)
def test_a_guest_is_heard_as_she_chose(mode: SupervisionMode, caller: str, amy: str) -> None:
    table = Table()
    guest = table.guest("eve", mode)
    assert table.hear == {"caller": caller, "amy": amy, "eve": "caller amy"}
    guest.mute = True
    assert table.hear == {"caller": "amy", "amy": "caller", "eve": "caller amy"}


def test_who_holds_is_not_heard_by_three_nor_by_a_guest_who_hears_nothing_while_the_agent_holds() -> None:
    table = Table(three=True)
    table.guest("eve", LISTEN)
    table.holding.add("bob")
    assert table.hear == {"caller": "amy", "amy": "caller", "bob": "caller amy", "eve": "caller amy"}
    table.holding = {"amy"}
    assert table.hear["eve"] == ""


def test_two_guests_hear_each_other_as_far_as_they_speak_to_all() -> None:
    table = Table()
    table.guest("eve", BARGE)
    table.guest("ivo", WHISPER)
    assert table.hear == {"caller": "amy eve", "amy": "caller eve ivo", "eve": "caller amy", "ivo": "caller amy eve"}


def test_of_two_talks_of_an_agent_the_one_counts_that_nobody_holds() -> None:
    circles, first, second = Circles(), Table(), Table()
    told: list[str] = []
    with circles.watch("amy", lambda: told.append("changed")):
        assert circles.of("amy") is None
        with circles.open(first.circle), circles.open(second.circle):
            assert circles.of("amy") is second.circle
            second.holding.add("amy")
            assert circles.of("amy") is first.circle
            first.holding.add("amy")
            assert circles.of("amy") is second.circle
            assert circles.of("bob") is None
        assert len(told) == 4
    assert circles.of("amy") is None
