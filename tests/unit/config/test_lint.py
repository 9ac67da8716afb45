"""What is odd about a whole configuration: found, pointed at, and told with a remedy; and the same done well is not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callcenter.calls.hours import Door, look
from callcenter.config import Code, Problem, load
from callcenter.config.hours import Hours
from callcenter.config.times import WEEK as WEEK_MINUTES
from callcenter.config.times import minutes, told
from tests.unit.config.floor import load_text, marked, problems_of, span, write_floor

TODAY = date(2026, 11, 21)

FLOOR = """\
clients:
  acme: {name: Acme, languages: [en], time_zone: Europe/Madrid}
numbers:
  "+15555550100": {client: acme, flow: welcome}
flows:
  welcome:
    - hours: {name: office, closed: [{hangup: hello}]}
    - queue: sales
    - hangup
hours:
  office: {open: {mon-fri: 09:00-18:00}}
queues:
  sales: {client: acme, requirements: {english: 3}}
agents:
  ana: {name: Ana, skills: {english: 4}, clients: [acme]}
prompts:
  hello: {en: {file: hello.wav}}
"""


def warnings(folder: Path, text: str, today: date = TODAY) -> tuple[Problem, ...]:
    return load(write_floor(folder / "config", text), data=folder / "data", today=today).warnings


def changed(old: str, new: str) -> str:
    assert FLOOR.count(old) == 1, old
    return FLOOR.replace(old, new)


def test_a_floor_that_is_well_configured_is_told_nothing_of(tmp_path: Path) -> None:
    assert warnings(tmp_path, FLOOR) == ()


WEEK = "{mon-fri: 09:00-18:00}}"
SPARE = "{en: {file: hello.wav}}"
CARRIER = "peers: 203.0.113.7"

# Code, what is changed in the floor, into what (the marks show where the caret must stand), words of the message, words
# of the hint, and what would have been right.
FINDINGS: list[tuple[Code, str, str, str, str, str]] = [
    (Code.HOURS, WEEK, "{mon-fri: [09:00-18:00, «17:00-20:00»]}}",
     "it is open already from 09:00 to 18:00", "each time once", "{mon-fri: [09:00-14:00, 17:00-20:00]}}"),
    (Code.HOURS, WEEK, "{mon-fri: [«12:00-20:00», 08:00-13:00]}}",
     "it is open already from 08:00 to 13:00", "each time once", "{mon-fri: [12:00-20:00, 08:00-12:00]}}"),
    (Code.HOURS, WEEK, "{mon-fri: [09:00-12:59, «13:00-18:00»]}}",
     "closed from 12:59 to 13:00", "write 13:00 for the end before", "{mon-fri: [09:00-12:30, 13:00-18:00]}}"),
    (Code.HOURS, WEEK, "{«daily»: 00:00-23:59}}",
     "closed from 23:59 to 24:00", "write 24:00", "{daily: 00:00-24:00}}"),
    (Code.HOURS, WEEK, "{«fri»: 20:00-04:00, sat: 02:00-10:00}}",
     "the hours of fri go on until 04:00, when those of sat have begun", "end them at 02:00",
     "{fri: 20:00-04:00, sat: 04:00-10:00}}"),
    (Code.HOURS, "{open: " + WEEK, '{«open»: {"mon, tue, thu, fri": 09:00-18:00}}',
     "on wed it is never open", "`wed: []`", '{open: {"mon, tue, thu, fri": 09:00-18:00, wed: []}}'),
    (Code.HOURS, WEEK, WEEK[:-1] + ", «holidays»: {2025-12-25: Christmas}}",
     "all of these holidays are over", "every year's", WEEK[:-1] + ", holidays: {12-25: Christmas}}"),
    (Code.HOURS, WEEK, WEEK[:-1] + ", holidays: {12-25: X, «2026-04-03»: Good Friday}}",
     "the last `Good Friday` is over", "add the next one",
     WEEK[:-1] + ", holidays: {12-25: X, 2026-04-03: Good Friday, 2027-03-26: Good Friday}}"),
    (Code.HOURS, WEEK, WEEK[:-1] + ", «holidays»: {2026-11-26: Thanksgiving, 2026-12-25: X}}",
     "no holiday has a date behind 2026-12-25", "add those of 2027",
     WEEK[:-1] + ", holidays: {2026-11-26: Thanksgiving, 2027-11-25: Thanksgiving}}"),
    (Code.HOURS, WEEK, WEEK[:-1] + ", «holidays»: {2026-11-26: T, 2026-12-25: X, 2027-12-25: X}}",
     "`T` has no date in 2027", "as others have",
     WEEK[:-1] + ", holidays: {11-26: T, 2026-12-25: X, 2027-12-25: X}}"),
    (Code.HOURS, WEEK, WEEK[:-1] + ", holidays: {12-24: {name: X, open: [08:00-12:00, «11:00-13:00»]}}}",
     "already from 08:00 to 12:00", "once",
     WEEK[:-1] + ", holidays: {12-24: {name: X, open: [08:00-12:00, 14:00-15:00]}}}"),
    (Code.UNUSED, "  hello: {en", f"  «spare»: {SPARE}\n  hello: {{en", "nobody is ever told it", "take it away",
     "  hello: {en"),
    (Code.UNUSED, "prompts:", "music:\n  first: hello.wav\n  «second»: hello.wav\nprompts:", "played nowhere", "use",
     "calls: {music: second}\nmusic:\n  second: hello.wav\nprompts:"),
    (Code.UNUSED, "prompts:", f"trunks:\n  «carrier»: {{{CARRIER}}}\nprompts:",
     "no call goes out by this trunk, and none comes in", "`outbound` of a client",
     f"trunks:\n  carrier: {{{CARRIER}, accept: {{networks: 203.0.113.7}}}}\nprompts:"),
    (Code.UNUSED, "hours:\n", "hours:\n  «other»: {open: {daily: 08:00-09:00}}\n", "asks for these hours", "take",
     "hours:\n"),
    (Code.UNUSED, "queues:\n", "queues:\n  «spare»: {client: acme}\n", "leads to this queue", "use it",
     'queues:\n  spare: {client: acme, extension: "77"}\n'),
    (Code.UNUSED, "requirements: {english: 3}",
     "requirements: {english: 3}, routing: [«{after: 30s, requirements: {english: 3}}»]", "asks the same as before",
     "ask for less", "requirements: {english: 3}, routing: [{after: 30s, requirements: {english: 2}}]"),
    (Code.SKILL, "english: 4}", "english: 4, «frnch»: 3}", "nobody asks for `frnch`, which ana has", "ask for it",
     "english: 4}"),
    (Code.SKILL, "english: 4}, clients: [acme]}",
     "english: 4, «art»: 3}, clients: [acme]}\n  bob: {name: B, skills: {art: 1, english: 3}, clients: [acme]}",
     "nobody asks for `art`, which ana and 1 other have", "", "english: 4}, clients: [acme]}"),
    (Code.SKILL, "requirements: {english: 3}", "requirements: {any: [{english: 3}, {all: [{«frnch»: 2}]}]}",
     "no agent has the skill `frnch`", "give it to an agent", "requirements: {any: [{english: 3}, {english: 4}]}"),
    (Code.SKILL, "requirements: {english: 3}", "requirements: {any: [{english: 3}, {«englisch»: 2}]}",
     "no agent has the skill `englisch`", "did you mean `english`?", "requirements: {english: 3}"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "old", "bad", "message", "hint", "good"), FINDINGS, ids=lambda value: str(value)[:30])
def test_what_is_odd_is_pointed_at_and_done_well_it_is_not(
    code: Code, old: str, bad: str, message: str, hint: str, good: str, tmp_path: Path
) -> None:
    yaml = marked(changed(old, bad))
    found = [each for each in warnings(tmp_path / "bad", yaml.text) if each.code is code]
    assert [span(each) for each in found] == list(yaml.spans), [str(each) for each in found]
    assert message in found[0].message
    assert hint in found[0].hint
    assert all(each.warning for each in found)
    assert warnings(tmp_path / "good", changed(old, good)) == ()


def test_hours_are_used_where_a_branch_asks_for_them(tmp_path: Path) -> None:
    asks = "    - branch: [{when: {hours: {office: [open, holiday]}}, then: [{queue: sales}]}]\n"
    text = changed("    - hours: {name: office, closed: [{hangup: hello}]}\n", asks + "    - say: hello\n")
    assert warnings(tmp_path, text) == ()


OLD_NAMES: list[tuple[str, str, str]] = [
    ("was: «sales», requirements", "the queue `sales` is still there", "not there any more"),
    ("was: [gone, «other»], requirements", "the queue `other` is still there", "not there any more"),
]


@pytest.mark.parametrize(("bad", "message", "hint"), OLD_NAMES)
def test_an_old_name_of_a_queue_that_is_there_still_is_a_mistake(
    bad: str, message: str, hint: str, tmp_path: Path
) -> None:
    other = '  other: {client: acme, extension: "77"}\n'
    text = changed("sales: {client: acme, requirements", f"sales: {{client: acme, {bad}")
    yaml = marked(text.replace("queues:\n", f"queues:\n{other}"))
    [found] = problems_of(tmp_path, yaml.text)
    assert (found.code, span(found)) == (Code.TWICE, yaml.spans[0])
    assert message in found.message
    assert hint in found.hint


def test_two_queues_cannot_be_the_same_one_under_a_new_name(tmp_path: Path) -> None:
    other = '  other: {client: acme, extension: "77", was: gone}\n'
    text = changed("sales: {client: acme, requirements", "sales: {client: acme, was: «gone», requirements")
    yaml = marked(text.replace("queues:\n", f"queues:\n{other}"))
    [found] = problems_of(tmp_path, yaml.text)
    assert (found.code, span(found)) == (Code.TWICE, yaml.spans[0])
    assert "`gone` is other now" in found.message


ROUND = """\
  a: {client: acme, extension: "71", overflow: {queue: «b»}}
  b: {client: acme, extension: "72", on_full: {queue: «c»}, on_max_wait: continue}
  c: {client: acme, extension: "73", on_max_wait: {queue: «a»}}
"""


def test_queues_that_overflow_round_and_back_are_told_at_each_of_their_words(tmp_path: Path) -> None:
    yaml = marked(changed("queues:\n", f"queues:\n{ROUND}"))
    found = problems_of(tmp_path, yaml.text)
    assert [(each.code, span(each)) for each in found] == [(Code.ENDLESS, at) for at in yaml.spans]
    assert [each.message.rpartition(": ")[2] for each in found] == ["a → b → c → a", "b → c → a → b", "c → a → b → c"]
    assert "let one of these queues end in a flow" in found[0].hint
    ends = yaml.text.replace("on_max_wait: {queue: a}", "on_max_wait: welcome")
    assert [each.code for each in warnings(tmp_path / "good", ends)] == []


def closed_when_somebody_comes(flow: str, queue: str, tmp_path: Path) -> list[Problem]:
    """What is said of hours, where the flow asks for some and the queue for others."""
    more = "  late: {open: {mon-fri: 09:00-20:00}}\n  night: {open: {mon-fri: 20:00-24:00}}\n"
    text = changed("    - queue: sales\n", flow).replace("hours:\n  office", f"hours:\n{more}  office")
    text = text.replace("    - hours: {name: office, closed: [{hangup: hello}]}\n", "    - say: hello\n")
    yaml = marked(text.replace("sales: {client: acme,", f"sales: {{client: acme, {queue},"))
    found = [each for each in warnings(tmp_path, yaml.text) if each.code is Code.HOURS]
    assert [span(each) for each in found] == list(yaml.spans), [str(each) for each in found]
    return found


def test_a_queue_that_is_closed_whenever_somebody_comes_is_told_with_the_hours(tmp_path: Path) -> None:
    door = "    - hours: {name: late, open: [{queue: sales}], closed: [hangup]}\n"
    [found] = closed_when_somebody_comes(door, "«hours»: night, on_closed: continue", tmp_path / "never")
    assert "nobody is ever served here: calls come when it is closed, e.g. mon 09:00-20:00" in found.message
    menu = "    - menu: {prompt: hello, choices: {'1': {then: [{queue: sales}]}}}\n"
    closed = f"    - hours: {{name: late, open: [hangup], closed: [{{goto: welcome2}}]}}\n  welcome2:\n{menu}"
    assert closed_when_somebody_comes(closed, "hours: night, on_closed: continue", tmp_path / "through a flow") == []
    [found] = closed_when_somebody_comes(closed, "«hours»: office, on_closed: continue", tmp_path / "never there")
    assert "calls come when it is closed, e.g. mon 00:00-09:00" in found.message
    dialled = 'extension: "77", hours: office, on_closed: continue'
    assert closed_when_somebody_comes(closed, dialled, tmp_path / "agents bring them") == []


def test_a_door_that_is_open_before_a_queue_that_is_closed_is_told_with_the_hours(tmp_path: Path) -> None:
    door = "    - hours: {name: late, open: [{«queue»: sales}], closed: [hangup]}\n"
    [found] = closed_when_somebody_comes(door, "hours: office", tmp_path)
    assert found.message == "`late` is open mon 18:00-20:00, and the queue sales (`office`) is closed then"
    assert "by `on_closed` at the queue what callers hear" in found.hint
    meant = door.replace("«", "").replace("»", "")
    assert closed_when_somebody_comes(meant, "hours: office, on_closed: continue", tmp_path / "meant") == []


@pytest.mark.parametrize(
    ("open_", "first"),
    [
        ("{mon: 09:00-18:00, tue: 09:00-18:00}", "mon 09:00-18:00"),
        ("{sun: 22:00-02:00}", "mon 00:00-02:00"),
        ("{sat: 22:00-02:00}", "sat 22:00-24:00"),
        ("{fri: [09:00-12:00, 13:00-18:00]}", "fri 09:00-12:00"),
    ],
)
def test_a_week_is_a_set_of_minutes_also_behind_midnight(open_: str, first: str, tmp_path: Path) -> None:
    settings = load_text(tmp_path, changed("{mon-fri: 09:00-18:00}", open_))
    written = Hours.model_validate(settings.written["hours"]["office"])
    found = minutes(written)
    assert told(found) == first
    hours = settings.calls.hours["office"]
    zone = ZoneInfo("UTC")
    for minute in range(0, WEEK_MINUTES, 7):
        at = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=minute)  # a Monday
        assert bool(found >> minute & 1) is (look(hours, zone, at).door is Door.OPEN), at


def test_a_monday_and_a_weekend_may_be_free(tmp_path: Path) -> None:
    assert warnings(tmp_path, changed("mon-fri: 09:00-18:00", "tue-sat: 09:00-18:00")) == ()


def test_holidays_of_next_year_are_missed_from_october_on(tmp_path: Path) -> None:
    text = changed(WEEK, WEEK[:-1] + ", holidays: {2026-11-26: T, 2026-12-25: X}}")
    assert warnings(tmp_path / "a", text, date(2026, 9, 30)) == ()
    assert [each.code for each in warnings(tmp_path / "b", text, date(2026, 10, 1))] == [Code.HOURS]


def test_what_only_something_unused_uses_is_unused_too(tmp_path: Path) -> None:
    text = changed(
        "flows:\n", "flows:\n  left-over:\n    - say: words\n    - queue: {to: sales, keys: {'1': [{say: more}]}}\n"
    )
    text += "  words: {en: {file: hello.wav}}\n  more: {en: {file: hello.wav}}\n"
    assert [each.path for each in warnings(tmp_path, text)] == ["flows.left-over", "prompts.words", "prompts.more"]


def test_a_mistake_hides_what_may_be_unused_by_it(tmp_path: Path) -> None:
    text = changed("- queue: sales", "- queue: salse")
    assert [each.code for each in problems_of(tmp_path, text)] == [Code.NAMES_NOTHING]
