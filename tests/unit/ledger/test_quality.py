"""What legs come to by trunk, and when a trunk is told to sound bad."""

from __future__ import annotations

from typing import Any

from callcenter.ledger.quality import Alarm, QualityLedger
from callcenter.model.facts import AgentRang, LegQuality, MediaMissing, OneWayAudio, TrunkQualityChanged
from callcenter.model.states import OneWay, Side


def leg(trunk: str = "carrier", mos: float = 4.3, remote_mos: float = 0.0, **more: Any) -> LegQuality:
    values: dict[str, Any] = {
        "codec": "PCMA", "received": 990, "lost": 10, "jitter_ms": 4.0, "worst_jitter_ms": 9.0, "sent": 1000,
        "remote_lost": 50, "remote_jitter_ms": 12.0, "round_trip_ms": 40.0, "reports": 3, **more,
    }  # fmt: skip
    return LegQuality(Side.CALLER, mos=mos, remote_mos=remote_mos, trunk=trunk, **values)


def told(ledger: QualityLedger, *legs: LegQuality) -> list[TrunkQualityChanged]:
    return [change for change in map(ledger.take, legs) if change is not None]


def test_legs_are_counted_by_trunk_and_the_phones_together() -> None:
    ledger = QualityLedger()
    assert not told(ledger, leg(), leg(remote_mos=3.0), leg("", mos=2.5), leg("", mos=0.0, received=0, lost=0))
    ledger.take(OneWayAudio(Side.CALLER, OneWay.STOPPED, "", trunk="carrier"))
    ledger.take(MediaMissing(Side.AGENT, ""))
    ledger.take(AgentRang("o1", "amy"))
    figures = ledger.plain()
    carrier, phones = figures["carrier"], figures[""]
    assert (carrier["legs"], carrier["unjudged"], phones["legs"], phones["unjudged"]) == (2, 0, 2, 1)
    assert carrier["mos"]["received"] == {
        "count": 2,
        "sum": 8.6,
        "up_to": [[1.5, 0], [2.0, 0], [2.6, 0], [3.1, 0], [3.6, 0], [4.0, 0], [4.3, 2]],
    }
    assert carrier["mos"]["sent"]["count"] == 1
    assert carrier["loss"]["received"]["sum"] == 0.02
    assert carrier["loss"]["sent"]["sum"] == 0.05
    assert carrier["jitter"]["sent"]["sum"] == 0.012
    assert carrier["round_trip"]["count"] == 2
    assert (carrier["one_way"], phones["one_way"]) == ({"stopped": 1}, {"missing": 1})


def test_a_trunk_sounds_bad_when_half_of_its_latest_calls_do_and_well_again_when_a_quarter_does() -> None:
    ledger = QualityLedger()
    ledger.alarm = Alarm(3.6, 8)
    assert not told(ledger, *[leg(mos=3.0)] * 3, leg(), leg("other"), leg(mos=0.0), leg("", mos=1.0))
    (bad,) = told(ledger, leg(remote_mos=3.1), leg(mos=2.0))
    assert (bad.trunk, bad.good, bad.bad, bad.of) == ("carrier", False, 4, 5)
    assert "of the latest 5 calls' sound by carrier 4 had a score below 3.6" in bad.detail
    assert "1.0% lost" in bad.detail
    assert list(ledger.bad) == ["carrier"]
    (good,) = told(ledger, *[leg()] * 20)
    assert (good.good, good.bad, good.of) == (True, 2, 8)
    assert not ledger.bad


def test_a_trunk_that_is_configured_no_more_and_an_alarm_that_is_off_are_forgotten() -> None:
    ledger = QualityLedger()
    ledger.alarm = None
    assert not told(ledger, *[leg(mos=1.0)] * 50)
    ledger.alarm = Alarm(3.6, 2)
    assert told(ledger, leg(mos=1.0))
    ledger.forget({"other"})
    assert not ledger.bad
    assert "carrier" not in ledger.plain()
