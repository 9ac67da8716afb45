"""What may be set of quality and of workers: as values, and each mistake with its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config.problems import Code
from callcenter.ledger.quality import Alarm
from tests.unit.config.floor import GOOD, load_text, problems_of


def test_what_is_set_arrives_and_off_is_off(tmp_path: Path) -> None:
    media = "media: {one_way_after: 4s, max_late: 30ms, quality_alarm: {below: 3.1, of: 50}}\nagents:"
    settings = load_text(tmp_path / "on", GOOD.replace("agents:", media, 1)).media
    assert (settings.one_way_after, settings.max_late, settings.quality_alarm) == (4.0, 0.03, Alarm(3.1, 50))
    off = load_text(tmp_path / "off", GOOD.replace("agents:", "media: {quality_alarm: off}\nagents:", 1)).media
    assert off.quality_alarm is None
    assert load_text(tmp_path / "as-ever", GOOD).media.quality_alarm == Alarm(3.6, 20)


@pytest.mark.parametrize(
    ("media", "code", "column", "told", "remedy"),
    [
        ("{quality_alarm: {below: 5}}", Code.FORM, 32, "`5` is out of range", "4.4"),
        ("{quality_alarm: {of: 1}}", Code.FORM, 29, "`1` is out of range", "2"),
        ("{quality_alarm: {bellow: 3}}", Code.UNKNOWN_KEY, 25, "`bellow` is not known here", "`below`"),
        ("{quality_alarm: on}", Code.TYPE, 24, "`on` stands where `key: value` pairs belong", "below"),
        ("{max_late: 20}", Code.DURATION, 19, "`20` has no unit", "20ms"),
        ("{one_way_after: 0s}", Code.DURATION, 24, "it must be longer than nothing", "20s or 2m"),
    ],
)
def test_mistakes_are_told_with_their_place_and_a_remedy(
    tmp_path: Path, media: str, code: Code, column: int, told: str, remedy: str
) -> None:
    (problem,) = problems_of(tmp_path, GOOD.replace("agents:", f"media: {media}\nagents:", 1))
    assert problem.code is code
    assert problem.place.column == column
    assert told in problem.message
    assert remedy in problem.hint
