"""What is odd about a whole configuration: found, pointed at, and told with a remedy; and the same done well is not."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from callcenter.config import Code, Problem, load
from tests.unit.config.floor import marked, problems_of, span, write_floor

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
