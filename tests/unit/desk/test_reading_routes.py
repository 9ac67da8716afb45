"""Calls, recordings and reports as programs read them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from callcenter.cli import main
from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.routes.reports import as_csv
from callcenter.model.access import Role
from tests.unit.desk.filled import CALLS_OF_EACH, SOUND, open_filled
from tests.unit.desk.support import Floor

RECORDING = "/api/v1/recordings/r-acme-0"


# Filling it takes longer than all the rest.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def floor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Floor]:
    async with open_filled(tmp_path_factory.mktemp("desk")) as made:
        yield made


async def test_pages_are_walked_by_their_cursor(floor: Floor) -> None:
    ida = await floor.client(Role.ADMIN)
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    for _ in range(10):
        page = (await ida.get("/api/v1/calls", params=query)).json()
        found += [each["call"] for each in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert sorted(found) == sorted(f"cc1-{of}-{n}" for of in ("acme", "globex") for n in range(CALLS_OF_EACH))
    one = (await ida.get("/api/v1/calls", params={"number": "+14155550100", "outcome": "handled", "limit": 1})).json()
    assert (one["items"][0]["from"], one["items"][0]["agent"]) == ("+14155550100", "ana")


async def test_a_call_is_told_with_all_that_is_kept_and_to_its_client_without_our_people(floor: Floor) -> None:
    ida, boss = await floor.client(Role.ADMIN), await floor.client(Role.CLIENT, clients={"acme"})
    whole = (await ida.get("/api/v1/calls/cc1-acme-0")).json()
    assert (whole["legs"][0]["agent"], whole["recordings"][0]["id"]) == ("ana", "r-acme-0")
    theirs = (await boss.get("/api/v1/calls/cc1-acme-0")).json()
    assert theirs["from_number"] == "+14155550100", "a caller of theirs"
    assert "ana" not in (await boss.get("/api/v1/calls/cc1-acme-0")).text
    listed = (await boss.get("/api/v1/calls")).json()["items"]
    assert {(each["client"], each["agent"]) for each in listed} == {("acme", "")}
    assert (await boss.get("/api/v1/calls?agent=ana")).json() == (await boss.get("/api/v1/calls?agent=x")).json()


@pytest.mark.parametrize(
    ("range", "status", "part"),
    [
        (None, 200, slice(None)),
        ("bytes=0-", 206, slice(0, None)),
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=44-99", 206, slice(44, 100)),
        ("bytes=-10", 206, slice(-10, None)),
        ("bytes=-999999", 206, slice(0, None)),
        ("bytes=10000-999999", 206, slice(10000, None)),
        ("bytes=999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=7-3", 200, slice(None)),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("chunks=0-1", 200, slice(None)),
        ("bytes=a-b", 200, slice(None)),
    ],
)
async def test_a_range_of_the_sound(floor: Floor, range: str | None, status: int, part: slice | None) -> None:
    sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
    whole = (await sue.get(RECORDING)).content
    assert whole[44:] == SOUND
    answer = await sue.get(RECORDING, headers={} if range is None else {"Range": range})
    assert answer.status_code == status
    if part is None:
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"
        return
    assert answer.content == whole[part]
    assert (answer.headers["accept-ranges"], answer.headers["content-type"]) == ("bytes", "audio/wav")
    assert int(answer.headers["content-length"]) == len(answer.content)
    if status == 206:
        first = whole.index(answer.content) if part.start is None else part.indices(len(whole))[0]
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(whole)}"


async def test_what_one_has_is_not_sent_again(floor: Floor) -> None:
    sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
    etag = (await sue.get(RECORDING)).headers["etag"]
    assert (await sue.get(RECORDING, headers={"If-None-Match": etag})).status_code == 304
    assert (await sue.get(RECORDING, headers={"Range": "bytes=0-3", "If-Range": etag})).status_code == 206
    assert (await sue.get(RECORDING, headers={"Range": "bytes=0-3", "If-Range": '"old"'})).status_code == 200


async def test_nobody_hears_what_is_not_told_and_one_hearing_is_told_once(floor: Floor) -> None:
    sue, boss = await floor.client(Role.SUPERVISOR, clients={"acme"}), await floor.client(Role.CLIENT)
    names = [(await each.get("/api/v1/me")).json()["user"] for each in (sue, boss)]
    before = len(floor.asked)
    for _ in range(3):
        await sue.get(RECORDING, headers={"Range": "bytes=0-99"})
    await boss.get(RECORDING)
    opened = [(each.by, dict(each.fields)) for each in floor.asked[before:] if each.do == "recording_open"]
    assert opened == [
        (f"supervisor {names[0]}", {"recording": "r-acme-0"}),
        (f"client {names[1]}", {"recording": "r-acme-0"}),
    ]
    answer = floor.answers["recording_open"]
    floor.answers["recording_open"] = CommandError("the log cannot be written", Reason.UNAVAILABLE)
    other = await sue.get("/api/v1/recordings/r-acme-1")
    floor.answers["recording_open"] = answer
    assert (other.status_code, other.json()["reason"]) == (503, "unavailable")
    assert SOUND not in other.content


async def test_a_player_asks_how_large_it_is_and_draws_it_and_nobody_has_heard_it(floor: Floor) -> None:
    boss = await floor.client(Role.CLIENT)
    before = len(floor.asked)
    head = await boss.head(RECORDING)
    assert (head.status_code, head.content) == (200, b"")
    assert (head.headers["content-length"], head.headers["accept-ranges"]) == (str(44 + len(SOUND)), "bytes")
    drawn = await boss.get(f"{RECORDING}/peaks", params={"points": "10"})
    told = drawn.json()
    assert (told["points"], told["length_ms"], len(told["peaks"]), len(told["peaks"][1])) == (10, 320, 2, 10)
    assert all(0.9 < each <= 1 for side in told["peaks"] for each in side)
    again = await boss.get(f"{RECORDING}/peaks?points=10", headers={"If-None-Match": drawn.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await boss.head(RECORDING, headers={"If-None-Match": head.headers["etag"]})).status_code == 304
    assert len(floor.asked) == before, "the log says of nobody that they heard it"
    whole = await boss.get(RECORDING)
    assert (whole.headers["content-length"], whole.headers["etag"]) == (
        head.headers["content-length"], head.headers["etag"],
    )  # fmt: skip
    # What stands in the index alone has no sound, whoever asks.
    deleted = "UPDATE recordings SET state = 'deleted' WHERE recording = 'r-acme-2'"
    await floor.storage.database.execute(deleted)
    for refused in (boss.head("/api/v1/recordings/r-acme-2"), boss.get("/api/v1/recordings/r-acme-2/peaks")):
        assert (await refused).status_code == 409


FIGURES = ("queues", "agents", "clients")


@pytest.mark.parametrize("kind", FIGURES)
@pytest.mark.parametrize("more", [(), ("day",), ("interval",)])
async def test_the_figures_are_those_of_the_command_line(
    floor: Floor, capsys: pytest.CaptureFixture[str], kind: str, more: tuple[str, ...]
) -> None:
    """Line for line: there is one reading of them."""
    await floor.written()
    settings = floor.desk.settings
    by = ",".join([kind.removesuffix("s"), *more])
    today = datetime.now(UTC).date().isoformat()
    folder = ["--config", str(settings.folder), "--data", str(settings.switch.data)]
    assert main(["report", *folder, "--from", today, "--to", today, "--by", by, "--format", "csv"]) == 0
    printed = capsys.readouterr().out
    ida = await floor.client(Role.ADMIN)
    query = {"from": today, "to": today, "by": list(more), "format": "csv"}
    answer = await ida.get(f"/api/v1/reports/{kind}", params=query)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines() == printed.splitlines()
    assert len(printed.splitlines()) >= 2, "there is something to compare"
    told = (await ida.get(f"/api/v1/reports/{kind}", params={**query, "format": "json"})).json()
    assert (told["schema"], len(told["rows"])) == ("report.v1", len(printed.splitlines()) - 1)


async def test_a_report_that_one_has_is_not_sent_again(floor: Floor) -> None:
    ida = await floor.client(Role.ADMIN)
    first = await ida.get("/api/v1/reports/queues")
    again = await ida.get("/api/v1/reports/queues", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_calls_as_a_table_have_moments_with_their_offset_and_no_formulas(floor: Floor) -> None:
    boss = await floor.client(Role.CLIENT, clients={"acme"})
    answer = await boss.get("/api/v1/reports/calls", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["call"] for row in rows] == ["cc1-acme-2", "cc1-acme-1", "cc1-acme-0"]
    assert rows[0]["from"] == "+14155550100"
    assert datetime.fromisoformat(rows[0]["arrived_at"]).utcoffset() is not None
    assert {row["agent"] for row in rows} == {""}
    told = (await boss.get("/api/v1/reports/calls")).json()
    assert [row["call"] for row in told["rows"]] == [row["call"] for row in rows]


async def test_no_cell_is_taken_for_a_formula() -> None:
    cells = ["=1+1", "+1+1", "-1", "@x", "\t=1", "\r=1", "+14155550100", "plain", -7, 0.5, "a,b", 'say "so"', None]
    [read] = csv.reader(io.StringIO(as_csv([cells]).decode(), newline=""))
    assert read == [
        "'=1+1", "'+1+1", "'-1", "'@x", "'\t=1", "'\r=1", "+14155550100", "plain", "-7", "0.5", "a,b", 'say "so"', "",
    ]  # fmt: skip


async def test_a_supervisor_of_one_company_is_told_no_figures_of_another(floor: Floor) -> None:
    sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
    for kind in FIGURES:
        told = (await sue.get(f"/api/v1/reports/{kind}")).text
        assert "globex" not in told
        assert "bob" not in told
    assert (await sue.get("/api/v1/reports/agents?by=queue")).json()["rows"][0]["agent"] == "ana"
