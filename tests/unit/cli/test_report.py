"""``callcenter report`` as an operator reads it, of a day that is made of known calls."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callcenter.cli import main
from callcenter.ledger.definitions import REGISTRY
from callcenter.model.facts import CallArrived
from callcenter.model.interaction import Interaction
from callcenter.model.states import Intent, OfferResult, VisitOutcome
from callcenter.storage.store import Storage
from tests.unit.ledger.told import Told
from tests.unit.storage.support import StillClock

SALES = "tech-giant-sales-en"
CLIENT = "the-tech-giant"
LUMINA = ("lumina-vendas", "casa-lumina")


def a_day() -> Told:
    """Monday, 2 March 2026, in New York (five hours behind UTC): emma answers two of four; one calls Casa Lumina."""
    floor = Told(datetime(2026, 3, 2, 14, 50, tzinfo=UTC))
    floor.is_at("emma")
    floor.wait(300)
    floor.joins("v1", SALES, CLIENT)
    floor.wait(12)
    first = floor.connects("v1", "emma", SALES)
    floor.joins("v2", SALES, CLIENT)
    floor.wait(90)
    floor.holds(first, "emma")
    floor.wait(30)
    floor.resumes(first, "emma")
    floor.parts(first, "emma")
    floor.wait(30)
    floor.is_at("emma")
    rung = floor.offers_to("emma", "v2", SALES)
    floor.rings(rung, "emma")
    floor.wait(20)
    floor.ends_offer(rung, "emma", OfferResult.NO_ANSWER)
    floor.is_at("emma", intent=Intent.NOT_READY, reason="no_answer", forced=True)
    floor.wait(60)
    floor.leaves("v2", VisitOutcome.ABANDONED, queue=SALES)
    floor.hangs_up("v2")
    floor.is_at("emma")
    floor.wait(600)
    floor.joins("v3", SALES, CLIENT)
    floor.wait(2)
    floor.leaves("v3", VisitOutcome.SHORT_ABANDONED, queue=SALES)
    floor.hangs_up("v3")
    floor.joins("v4", SALES, CLIENT)
    floor.wait(25)
    last = floor.connects("v4", "emma", SALES)
    floor.wait(155)
    floor.parts(last, "emma", wraps_up=False)
    floor.joins("v5", *LUMINA)
    floor.leaves("v5", VisitOutcome.REFUSED, "closed", LUMINA[0])
    floor.hangs_up("v5")
    floor.is_at("emma", intent=Intent.SIGNED_OUT)
    return floor


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    floor = a_day()

    async def keep() -> None:
        storage = await Storage.open(folder / "callcenter.db", clock=StillClock())
        for fact in floor.facts:
            storage.log.write(fact)
        for visit in ("v1", "v4"):
            story = [fact for fact in floor.facts if fact.call_id == f"call-{visit}"]
            number = f"+1202555010{visit[1]}"
            arrived = CallArrived(CLIENT, "main", number, "", "1000", "UDP", "192.0.2.7", visit)
            begin = story[0]
            told = [
                type(begin)(0, begin.at - timedelta(seconds=5), begin.boot, begin.ms - 5000, begin.call_id, arrived)
            ]
            storage.interactions.save(Interaction.from_facts([*told, *story]))
        await storage.log.drained()
        await storage.close()

    asyncio.run(keep())
    return folder


Ask = Callable[..., str]


@pytest.fixture
def ask(data: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*options: str, status: int = 0, day: str = "2026-03-02") -> str:
        assert main(["report", "--data", str(data), "--from", day, "--to", day, *options]) == status
        told = capsys.readouterr()
        return told.out if status == 0 else told.err

    return asked


BY_QUEUE = """\
2026-03-02, by queue; the log tells until 2026-03-02T15:12:04.000Z

QUEUE                OFFERED  ANSWERED  ABANDONED  SHORT  OUT  REFUSED  LOST  WAITING     SL   ASA   P90  LONGEST  ABANDON   AHT     FCR
lumina-vendas              1         0          0      0    0        1     0        0      -     -     -        -        -     -       -
tech-giant-sales-en        4         2          1      1    0        0     0        0  33.3%  0:19  0:25     0:25    33.3%  2:33  100.0%
total                      5         2          1      1    0        1     0        0  33.3%  0:19  0:25     0:25    33.3%  2:33  100.0%

SL: answered within 20 s. How all this is defined: report --definitions
"""  # noqa: E501

BY_AGENT = """\
2026-03-02, by agent; the log tells until 2026-03-02T15:12:04.000Z

AGENT  SIGNED IN   IDLE  TALK  HOLD  WRAP-UP  BREAK  OCCUPIED  OFFERS  HANDLED   AHT    RNA  DECLINED  FAILED
emma       22:04  15:39  4:05  0:30     0:30   1:00     25.7%       3        2  2:33  33.3%      0.0%    0.0%
"""

BY_INTERVAL = """\
2026-03-02, by interval; the log tells until 2026-03-02T15:12:04.000Z

INTERVAL                OFFERED  ANSWERED  ABANDONED  SHORT  OUT  REFUSED  LOST  WAITING     SL   ASA   P90  LONGEST  ABANDON   AHT  FCR
2026-03-02 09:45 -0500        2         1          1      0    0        0     0        0  50.0%  0:12  0:12     0:12    50.0%  2:30    -
2026-03-02 10:00 -0500        2         1          0      1    0        0     0        0   0.0%  0:25  0:25     0:25     0.0%  2:35    -
total                         4         2          1      1    0        0     0        0  33.3%  0:19  0:25     0:25    33.3%  2:33    -

SL: answered within 20 s. How all this is defined: report --definitions
"""  # noqa: E501


def test_a_table_by_queue_is_what_happened(ask: Ask) -> None:
    assert ask() == BY_QUEUE


def test_a_disposition_that_was_corrected_is_told_beside_figures_that_do_not_follow(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody trusts a report of last month that is another one today; and nobody one that hides what was wrong."""
    shutil.copytree(data, tmp_path / "data")
    database = sqlite3.connect(tmp_path / "data" / "callcenter.db")
    told = '[{"what": "disposition", "offer": "v1-1", "before": "sold", "after": "refund"}]'
    database.execute(
        "UPDATE interactions SET record = json_set(record, '$.corrections', json(?)) WHERE call_id = 'call-v1'", (told,)
    )
    database.commit()
    database.close()
    days = ("--from", "2026-03-02", "--to", "2026-03-02")
    assert main(["report", "--data", str(tmp_path / "data"), *days]) == 0
    note = "1 disposition was corrected since: no figure follows; `callcenter timeline CALL` shows each\n"
    assert capsys.readouterr().out == BY_QUEUE + note
    assert main(["report", "--data", str(tmp_path / "data"), *days, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["corrected"] == 1


def test_a_table_by_agent_tells_the_time_and_the_work(ask: Ask) -> None:
    assert ask("--by", "agent") == BY_AGENT


def test_a_table_by_agent_and_queue_tells_no_time_that_is_of_no_queue(ask: Ask) -> None:
    (heads, row) = ask("--by", "agent,queue").splitlines()[2:4]
    assert heads.split() == ["AGENT", "QUEUE", "OFFERS", "HANDLED", "AHT", "RNA", "DECLINED", "FAILED"]
    assert row.split() == ["emma", SALES, "3", "2", "2:33", "33.3%", "0.0%", "0.0%"]


def test_a_table_by_interval_goes_by_the_client_s_clock(ask: Ask) -> None:
    assert ask("--by", "interval", "--minutes", "15", "--client", CLIENT) == BY_INTERVAL


def test_csv_has_every_metric_for_other_programs(ask: Ask) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("--by", "client,day", "--format", "csv"))))
    assert [(row["client"], row["day"], row["offered"]) for row in rows] == [
        ("casa-lumina", "2026-03-02", "1"),
        (CLIENT, "2026-03-02", "4"),
    ]
    assert (rows[1]["asa"], rows[1]["service_level"], rows[0]["asa"]) == ("18500", "0.3333", "")
    assert set(rows[0]) - {"client", "day"} <= {name for name, _ in REGISTRY}


def test_json_has_the_reasons_and_the_definitions_too(ask: Ask) -> None:
    told = json.loads(ask("--by", "queue", "--format", "json"))
    lumina, sales = told["rows"]
    assert (lumina["queue"], lumina["reasons"]) == ("lumina-vendas", {"refused": {"closed": 1}})
    assert sales["reasons"] == {"offers": {"accepted": 2, "no_answer": 1}}
    assert (told["schema"], told["by"], told["gaps"]) == ("report.v1", ["queue"], [])
    assert told["definitions"]["asa"] == {
        "version": 1, "unit": "ms", "formula": "sum of the waits of answered / answered"
    }  # fmt: skip
    assert told["total"]["offered"] == 5
    emma = json.loads(ask("--by", "agent", "--format", "json"))["rows"][0]
    assert emma["reasons"]["time"]["break:no_answer"] == 60_000
    assert sum(emma["reasons"]["time"].values()) == emma["signed_in"]


def test_a_day_without_calls_says_so(ask: Ask) -> None:
    assert ask(day="2026-03-03") == (
        "2026-03-03, by queue; the log tells until 2026-03-02T15:12:04.000Z\nnothing happened\n"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "colour"], "--by colour: write one or more of client, queue, agent, day, interval"),
        (["--client", "nobody"], "--client nobody: there is the-tech-giant, casa-lumina"),
        (["--queue", "tech-giant-sale-en"], "--queue tech-giant-sale-en: did you mean `tech-giant-sales-en`?"),
        (["--agent", "zoe"], "--agent zoe: there is ana, bruno, carla, diego, emma, felipe"),
        (["--to", "2026-03-01"], "--to 2026-03-01 is before --from 2026-03-02"),
        (
            ["--by", "queue,agent", "--plot", "picture.svg"],
            "--plot: agents' time is of all clients and queues at once: draw it by agent, day, interval",
        ),
        (["--plot", "picture.jpg"], "--plot picture.jpg: name a file that ends with .png or .svg"),
    ],
)
def test_what_is_asked_wrongly_is_said_with_what_to_ask_for(ask: Ask, options: list[str], said: str) -> None:
    assert ask(*options, status=1) == f"callcenter: {said}\n"


def test_a_day_that_is_none_is_said(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--data", str(data), "--from", "monday"])
    assert "write a day as 2026-03-02, today or yesterday, not 'monday'" in capsys.readouterr().err


def test_without_a_database_there_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--data", str(tmp_path)]) == 1
    assert "no switch has run with this data folder yet" in capsys.readouterr().err


def test_every_definition_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--definitions"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(REGISTRY)
    assert "abandon_rate v1 = abandoned / (answered + abandoned); short ones are reported apart" in told


@pytest.mark.parametrize("options", [("--by", "queue"), ("--by", "agent"), ("--by", "interval", "--minutes", "15")])
def test_a_picture_is_drawn(ask: Ask, tmp_path: Path, options: tuple[str, ...]) -> None:
    picture, drawing = tmp_path / "report.png", tmp_path / "report.svg"
    ask(*options, "--plot", str(picture))
    ask(*options, "--plot", str(drawing))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in drawing.read_bytes()


def test_a_picture_of_nothing_is_none(ask: Ask, tmp_path: Path) -> None:
    said = ask("--plot", str(tmp_path / "report.png"), status=1, day="2026-03-03")
    assert said == "callcenter: --plot: nothing happened, there is nothing to draw\n"


def test_without_matplotlib_it_is_said_how_to_have_it(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = ask("--plot", str(tmp_path / "report.png"), status=1)
    assert said == "callcenter: --plot needs matplotlib, which is not installed: pip install 'callcenter[plot]'\n"
