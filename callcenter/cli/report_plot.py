"""A report as a picture, PNG or SVG, by matplotlib."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from callcenter.desk.reading.reports import AskedWrongly
from callcenter.ledger.agent_time import PARTS
from callcenter.ledger.report import By, Report, Row

SUFFIXES = (".png", ".svg")
# What became of the visits, from the axis up: name, words, colour. The colours are told apart by all (Okabe and Ito).
OUTCOMES = (
    ("answered", "answered", "#009e73"),
    ("short_abandoned", "abandoned, short", "#f0e442"),
    ("abandoned", "abandoned", "#d55e00"),
    ("flowed_out", "flowed out", "#56b4e9"),
    ("refused", "refused", "#999999"),
    ("lost", "lost", "#000000"),
    ("still_waiting", "still waiting", "#cc79a7"),
)
PART_COLOURS = (
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#56b4e9",
    "#cc79a7",
    "#e69f00",
    "#999999",
    "#d55e00",
    "#000000",
    "#dddddd",
)
# More would be lines and no bars.
MOST_BARS = 200


def check(path: Path) -> None:
    """Raises AskedWrongly when nothing can be drawn there, or by nothing that is installed."""
    if path.suffix.lower() not in SUFFIXES:
        raise AskedWrongly(f"--plot {path}: name a file that ends with {' or '.join(SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise AskedWrongly("--plot needs matplotlib, which is not installed: pip install 'callcenter[plot]'")


def draw(answer: Report, path: Path) -> None:
    """Draw it. Raises AskedWrongly when the file cannot be written, or when there is nothing to draw."""
    from matplotlib.figure import Figure

    rows = answer.rows
    if not rows:
        raise AskedWrongly("--plot: nothing happened, there is nothing to draw")
    if len(rows) > MOST_BARS:
        raise AskedWrongly(f"--plot: {len(rows)} rows are too many for a picture of {MOST_BARS}; ask for fewer days, or"
                           " by something longer")  # fmt: skip
    of_agents = answer.question.of_agents
    if of_agents and not answer.question.of_time:
        raise AskedWrongly("--plot: agents' time is of all clients and queues at once: draw it by agent, day, interval")
    figure = Figure(figsize=(max(8.0, min(24.0, 2.5 + 0.3 * len(rows))), 7.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    places = range(len(rows))
    question = answer.question
    days = str(question.first) if question.first == question.last else f"{question.first} to {question.last}"
    of = " ".join(filter(None, (question.client, question.queue, question.agent)))
    figure.suptitle(", ".join(filter(None, (days, of, f"by {' and '.join(question.by)}"))))
    if of_agents:
        parts = (
            (f"time_{part}", part.replace("_", " "), colour) for part, colour in zip(PARTS, PART_COLOURS, strict=True)
        )
        _stack(upper, rows, [*parts], 3_600_000)
        upper.set_ylabel("hours signed in")
    else:
        _stack(upper, rows, [*OUTCOMES], 1)
        upper.set_ylabel("visits")
        upper.yaxis.get_major_locator().set_params(integer=True)
    upper.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    share, title = ("occupancy", "occupancy") if of_agents else ("service_level", "service level")
    mean, words = ("aht", "AHT (s)") if of_agents else ("asa", "ASA (s)")
    # Points are joined where one follows the other in time.
    style = "o-" if question.by[-1] in (By.INTERVAL, By.DAY) else "o"
    _line(lower, rows, share, style, "#0072b2", 0.01)
    lower.set_ylabel(f"{title} (%)", color="#0072b2")
    lower.set_ylim(0, 105)
    other = lower.twinx()
    _line(other, rows, mean, style, "#d55e00", 1000)
    other.set_ylabel(words, color="#d55e00")
    other.set_ylim(bottom=0)
    lower.set_xticks(list(places), [_label(answer, row) for row in rows], rotation=90 if len(rows) > 6 else 0)
    lower.set_xlim(-0.6, len(rows) - 0.4)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise AskedWrongly(f"--plot {path}: {(error.strerror or str(error)).lower()}") from error


def _stack(axes: Any, rows: tuple[Row, ...], kinds: list[tuple[str, str, str]], unit: int) -> None:
    """Bars, one on the other; kinds that do not occur have no place in the legend."""
    below = [0.0] * len(rows)
    for name, words, colour in kinds:
        values = [(row.group.value(name) or 0) / unit for row in rows]
        if any(values):
            axes.bar(
                range(len(rows)), values, 0.8, bottom=below, label=words, color=colour, edgecolor="white", linewidth=0.3
            )
            below = [low + value for low, value in zip(below, values, strict=True)]


def _line(axes: Any, rows: tuple[Row, ...], name: str, style: str, colour: str, unit: float) -> None:
    """Points; a gap where there is no value."""
    values = [row.group.value(name) for row in rows]
    points = [float("nan") if value is None else value / unit for value in values]
    axes.plot(range(len(rows)), points, style, markersize=4, color=colour)


def _label(answer: Report, row: Row) -> str:
    """What a bar is of; of an interval the day is left out where there is one alone."""
    one_day = answer.question.first == answer.question.last
    told = []
    for by, name in zip(answer.question.by, row.names, strict=True):
        if by is By.INTERVAL:
            name = name[11:16] if one_day else f"{name[5:10]} {name[11:16]}"
        told.append(name)
    return "\n".join(told) if len(answer.rows) <= 6 else " ".join(told)
