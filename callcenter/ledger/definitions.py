"""Definitions: every metric once, with its name, version and formula in words, over figures.

A definition that changes gets another version; the old one stays, for the days that were published by it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from callcenter.ledger import agent_time
from callcenter.ledger.figures import Count, Figures
from callcenter.model.states import OfferResult

# The threshold of the service level, where a queue does not name another.
ANSWERED_WITHIN_MS = 20_000
# Places behind the point of a share, of 1.
PLACES = 4

Value = float | int | None
Parts = tuple[int, int]


class Unit(StrEnum):
    """What a value is: a number of things, milliseconds all together, a mean of milliseconds, or a share of 1."""

    COUNT = "count"
    TOTAL = "total ms"
    MEAN = "ms"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric.

    ``parts(figures, threshold_ms)`` are what is divided and what it is divided by, whole numbers that add up over
    queues and days, each by its own threshold; of counts and totals the first alone counts. ``rank`` stands in its
    place where it takes all values in order: hundredths, of the waits of who was answered.
    """

    name: str
    version: int
    unit: Unit
    title: str
    formula: str
    parts: Callable[[Figures, int], Parts] | None = None
    rank: int = 0

    def finish(self, part: int, whole: int) -> Value:
        """The value of these parts; None where there is nothing to divide by."""
        match self.unit:
            case Unit.COUNT | Unit.TOTAL:
                return part
            case Unit.MEAN:
                # Whole milliseconds, halves up, so that it is the same on every machine.
                return (2 * part + whole) // (2 * whole) if whole > 0 else None
            case Unit.SHARE:
                return round(part / whole, PLACES) if whole > 0 else None

    def __str__(self) -> str:
        return f"{self.name} v{self.version} = {self.formula}"


def percentile(ordered: Sequence[int], hundredths: int) -> int | None:
    """The nearest rank: the smallest value that so many hundredths of all do not exceed. Exact, and one of them."""
    return ordered[-(-len(ordered) * hundredths // 100) - 1] if ordered else None


def within(ordered: Sequence[int], threshold: int) -> int:
    """How many are no longer than that."""
    return bisect_right(ordered, threshold)


def total(count: Count) -> int:
    """All of a count by name."""
    return sum(count.values())


def _service_level(figures: Figures, threshold: int) -> Parts:
    visits = figures.visits
    young = sum(waited < threshold for waited in figures.waiting)
    counted = visits.offered - visits.short_abandoned - visits.refused.get("closed", 0) - young
    return within(visits.waits, threshold), counted


def _service_level_of(*names: str) -> Callable[[Figures, int], Parts]:
    def parts(figures: Figures, threshold: int) -> Parts:
        lists: list[list[int]] = [getattr(figures.visits, name) for name in names]
        return sum(within(each, threshold) for each in lists), sum(map(len, lists))

    return parts


def _occupancy(figures: Figures, _: int) -> Parts:
    parts = figures.time.parts
    occupied = sum(parts.get(each, 0) for each in agent_time.OCCUPIED)
    return occupied, occupied + parts.get(agent_time.READY_IDLE, 0)


def _failed(*results: OfferResult) -> Callable[[Figures, int], Parts]:
    def parts(figures: Figures, _: int) -> Parts:
        counts = figures.handling.results
        return sum(counts.get(result, 0) for result in results), figures.handling.offers

    return parts


def _only(of: Callable[[Figures], int]) -> Callable[[Figures, int], Parts]:
    return lambda figures, _: (of(figures), 0)


def _part(name: str) -> Callable[[Figures, int], Parts]:
    return _only(lambda f: sum(ms for part, ms in f.time.parts.items() if agent_time.kind(part) == name))


def _by_leg(*names: str) -> Callable[[Figures, int], Parts]:
    return lambda f, _: (sum(getattr(f.handling, f"{name}_ms") for name in names), f.handling.handled)


def _of_visits() -> Iterable[Definition]:
    counts: Sequence[tuple[str, str, Callable[[Figures], int]]] = (
        (
            "offered",
            "answered + abandoned + short_abandoned + flowed_out + refused + lost + still_waiting",
            lambda f: f.visits.offered,
        ),
        ("answered", "visits whose caller and agent heard each other", lambda f: f.visits.answered),
        ("abandoned", "hung up before that, after short_abandon of the queue or more", lambda f: f.visits.abandoned),
        ("short_abandoned", "hung up sooner than short_abandon", lambda f: f.visits.short_abandoned),
        (
            "flowed_out",
            "left by a time-out, a key, an overflow, a callback, or moved by a supervisor",
            lambda f: total(f.visits.flowed_out),
        ),
        ("refused", "not let in: full, closed, empty", lambda f: total(f.visits.refused)),
        ("lost", "ended by us: a crash, a failure of sound or network", lambda f: total(f.visits.lost)),
        ("still_waiting", "visits without an outcome yet", lambda f: len(f.waiting)),
    )
    for name, formula, of in counts:
        yield Definition(name, 1, Unit.COUNT, name.replace("_", " "), formula, _only(of))
    formula = "answered with wait <= T / (offered - short_abandoned - refused(closed) - still waiting with wait < T)"
    yield Definition("service_level", 1, Unit.SHARE, "SL", formula, _service_level)
    for name, title, lists, formula in (
        ("service_level_answered", "SL of answered", ("waits",), "answered with wait <= T / answered"),
        (
            "service_level_2",
            "SL2",
            ("waits", "given_up"),
            "answered or abandoned, short or not, with wait <= T / (answered + abandoned + short_abandoned)",
        ),
        (
            "service_level_removed",
            "SL of removed",
            ("waits", "given_up", "moved_on"),
            "answered, abandoned, short or not, or flowed out with wait <= T / all of these",
        ),
    ):
        yield Definition(name, 1, Unit.SHARE, title, formula, _service_level_of(*lists))
    yield Definition(
        "asa",
        1,
        Unit.MEAN,
        "ASA",
        "sum of the waits of answered / answered",
        lambda figures, _: (sum(figures.visits.waits), len(figures.visits.waits)),
    )
    for rank in (50, 90, 95, 100):
        name, title = ("wait_max", "longest") if rank == 100 else (f"wait_p{rank}", f"p{rank}")
        formula = f"the wait of answered that {rank} % of them do not exceed (nearest rank)"
        formula = "the longest wait of answered" if rank == 100 else formula
        yield Definition(name, 1, Unit.MEAN, title, formula, rank=rank)
    yield Definition(
        "abandon_rate",
        1,
        Unit.SHARE,
        "abandon rate",
        "abandoned / (answered + abandoned); short ones are reported apart",
        lambda f, _: (f.visits.abandoned, f.visits.answered + f.visits.abandoned),
    )
    told = "announcements, by the middle of the range told, to callers who were answered"
    yield Definition(
        "wait_told_bias",
        1,
        Unit.MEAN,
        "EWT bias",
        f"sum(announced - actual) / {told}; above 0: too long",
        lambda figures, _: (figures.visits.told_off, figures.visits.told),
    )
    yield Definition(
        "wait_told_error",
        1,
        Unit.MEAN,
        "EWT error",
        f"sum(|announced - actual|) / {told}",
        lambda figures, _: (figures.visits.told_away, figures.visits.told),
    )
    yield Definition(
        "wait_told_well",
        1,
        Unit.SHARE,
        "EWT within 30 %",
        f"announcements that were off by 30 % of the actual wait or less / {told}",
        lambda figures, _: (figures.visits.told_well, figures.visits.told),
    )
    yield Definition(
        "wait_told_right",
        1,
        Unit.SHARE,
        "EWT in range",
        f"announcements of a range that the actual wait was in / {told}",
        lambda figures, _: (figures.visits.told_right, figures.visits.told),
    )


def _of_handling() -> Iterable[Definition]:
    counts: Sequence[tuple[str, str, Callable[[Figures], int]]] = (
        ("offers", "callers offered to an agent", lambda f: f.handling.offers),
        ("handled", "agents' legs that are over, with their wrap-up", lambda f: f.handling.handled),
        ("transfers", "callers whom an agent handed over", lambda f: total(f.handling.transfers)),
        ("transfers_failed", "transfers that nobody took", lambda f: f.handling.transfers_failed),
    )
    for name, formula, of in counts:
        yield Definition(name, 1, Unit.COUNT, name.replace("_", " "), formula, _only(of))
    yield Definition(
        "aht", 1, Unit.MEAN, "AHT", "sum(talk + hold + wrap-up) / handled", _by_leg("talk", "hold", "wrap_up")
    )
    for name, title in (("talk", "talk"), ("hold", "hold"), ("wrap_up", "wrap-up")):
        yield Definition(f"mean_{name}", 1, Unit.MEAN, title, f"sum({title}) / handled", _by_leg(name))
    yield Definition(
        "ring_time",
        1,
        Unit.MEAN,
        "ring",
        "sum of the times that phones rang / phones that rang",
        lambda figures, _: (figures.handling.ring_ms, figures.handling.rang),
    )
    for name, title, results in (
        ("rna_rate", "RNA", (OfferResult.NO_ANSWER,)),
        ("declined_rate", "declined", (OfferResult.DECLINED, OfferResult.BUSY)),
        ("device_failed_rate", "device failed", (OfferResult.UNREACHABLE,)),
    ):
        formula = f"offers that ended with {' or '.join(results)} / offers"
        yield Definition(name, 1, Unit.SHARE, title, formula, _failed(*results))


def _of_time() -> Iterable[Definition]:
    parts = " + ".join(f"{part}(reason)" if part == agent_time.BREAK else part for part in agent_time.PARTS)
    yield Definition("signed_in", 1, Unit.TOTAL, "signed in", parts, _only(lambda figures: figures.time.signed_in))
    for part in agent_time.PARTS:
        title = part.replace("_", " ")
        yield Definition(f"time_{part}", 1, Unit.TOTAL, title, f"signed-in time that was {title}", _part(part))
    formula = f"({' + '.join(agent_time.OCCUPIED)}) / (that + ready_idle)"
    yield Definition("occupancy", 1, Unit.SHARE, "occupancy", formula, _occupancy)


def _of_callbacks() -> Iterable[Definition]:
    counts: Sequence[tuple[str, str, Callable[[Figures], int]]] = (
        ("callbacks_requested", "callbacks that were promised", lambda f: f.callbacks.requested),
        ("callbacks_attempted", "times that a customer was dialled for one", lambda f: f.callbacks.attempted),
        ("callbacks_failed", "attempts that came to nothing", lambda f: total(f.callbacks.failed)),
        ("callbacks_reached", "callbacks that ended well", lambda f: f.callbacks.ended.get("reached", 0)),
        ("callbacks_ended", "callbacks that ended, however", lambda f: total(f.callbacks.ended)),
    )
    for name, formula, of in counts:
        yield Definition(name, 1, Unit.COUNT, name.replace("_", " "), formula, _only(of))
    yield Definition(
        "callback_wait",
        1,
        Unit.MEAN,
        "virtual wait",
        "sum of the times from the promise to the pick-up / callbacks reached",
        lambda figures, _: (sum(figures.callbacks.waits), len(figures.callbacks.waits)),
    )


def _of_contacts() -> Iterable[Definition]:
    yield Definition(
        "fcr",
        1,
        Unit.SHARE,
        "FCR",
        "1 - answered first contacts whose caller was back within 7 days, same client, same intent or disposition"
        " family / answered first contacts whose 7 days are over",
        lambda figures, _: (figures.contacts.resolved, figures.contacts.first),
    )


Registry = Mapping[tuple[str, int], Definition]


def registry(definitions: Iterable[Definition]) -> Registry:
    """By name and version."""
    found: dict[tuple[str, int], Definition] = {}
    for each in definitions:
        assert (each.name, each.version) not in found, f"{each.name} v{each.version} is defined twice"
        found[each.name, each.version] = each
    return MappingProxyType(found)


REGISTRY: Registry = registry((*_of_visits(), *_of_handling(), *_of_time(), *_of_callbacks(), *_of_contacts()))


def newest(definitions: Registry = REGISTRY) -> Mapping[str, int]:
    """The version of each metric that holds now, by name, in the order of the registry."""
    found: dict[str, int] = {}
    for name, version in definitions:
        found[name] = max(version, found.get(name, 0))
    return MappingProxyType(found)


NEWEST = newest()
