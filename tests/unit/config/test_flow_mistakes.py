"""Mistakes in flows and opening hours: each found, pointed at to the column, and told with what to write instead."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from callcenter.calls import settings as calls
from callcenter.calls.hours import Door
from callcenter.config import Code, Problem, load
from callcenter.model.customer import Match
from tests.unit.config.floor import load_text, marked, problems_of, span, write_floor

GOOD = """\
clients:
  acme: {name: Acme, languages: [en], time_zone: Europe/Madrid}
numbers:
  "+15555550100": {client: acme, flow: welcome}
hours:
  office:
    open: {mon-fri: "09:00-18:00"}
    holidays: {12-25: Christmas}
flows:
  welcome:
    - hours: {name: office, closed: [{hangup: hello}]}
    - set: {plan: none, vip: false}
    - collect: {into: account, prompt: hello, min: 0, max: 8, look_up: customer, not_found: [{say: hello}]}
    - branch:
        - when: {attribute: {plan: gold}, customer: sure}
          then: [{queue: {to: sales, priority: 10}}]
        - when: {caller: {prefix: "+1"}, intent: sales, hours: office}
          then: [{flow: promise}]
        - otherwise: [{say: hello}]
    - menu:
        prompt: hello
        choices:
          "1": {intent: sales, then: [{queue: sales}]}
          "2": {then: [{goto: welcome}]}
          "9": repeat
    - hangup
  promise:
    - say: hello
queues:
  sales: {client: acme}
agents:
  ana: {name: Ana, clients: [acme]}
prompts:
  hello: {en: {file: hello.wav}}
"""

# Code, what is changed, into what (the marks show where the caret must stand), words of the message, of the hint.
MISTAKES: list[tuple[Code, str, str, str, str]] = [
    (Code.FORM, "time_zone: Europe/Madrid", "time_zone: «Madrid»", "not the name of a time zone", "`Europe/Madrid`"),
    (Code.MISSING, ", time_zone: Europe/Madrid", "", "no time zone, nor has acme", "add `time_zone: ...`"),
    (Code.FORM, '"09:00-18:00"', '«"9-18"»', "not hours of a day", "09:00-18:00"),
    (Code.FORM, '"09:00-18:00"', '["09:00-12:00", «"13:00-13:00"»]', "ends as it begins", "00:00-24:00"),
    (Code.FORM, "{mon-fri:", "{«lun-vie»:", "not days of a week", "mon-fri, or daily"),
    (Code.FORM, 'open: {mon-fri: "09:00-18:00"}', 'open: «{mon-fri: "09:00-18:00", fri: "10:00-12:00"}»',
     "`fri` stands in `mon-fri` and in `fri`", "each day once"),
    (Code.FORM, "12-25: Christmas", "«25-12»: Christmas", "in no calendar", "month, then day"),
    (Code.FORM, "12-25: Christmas", "«xmas»: Christmas", "not a date", "2026-12-25"),
    (Code.NAMES_NOTHING, "hours: {name: office", "hours: {name: «ofice»", "no set of hours is named", "`office`"),
    (Code.NAMES_NOTHING, "hours: office}", "hours: «ofice»}", "no set of hours is named `ofice`", "`office`"),
    (Code.CHOICE, "hours: office}", "hours: {office: «opened»}}", "`opened` is not known", "mean `open`?"),
    (Code.MISSING, "- hours: {name: office, closed: [{hangup: hello}]}", "- hours: «{name: office}»", "leads nowhere",
     "add `open"),
    (Code.FORM, "set: {plan: none", "set: {«Plan»: none", "cannot be a name", "write it as `plan`"),
    (Code.FORM, "min: 0, max: 8", "min: 9, max: «8»", "less than the 9 of `min`", "max >= min"),
    (Code.FORM, "max: 8", "max: «99»", "`99` is out of range", "at most 32"),
    (Code.MISSING, "min: 0, max: 8", "min: 0", "`max` is missing", "add `max: ...`"),
    (Code.FORM, "min: 0", 'terminator: «"5"», min: 0', "not a key that ends an entry", 'write "#"'),
    (Code.MISSING, "look_up: customer, ", "", "`not_found` needs a `look_up`", "add look_up: customer"),
    (Code.CHOICE, "look_up: customer", "look_up: «costumer»", "`costumer` is not known", "`customer`"),
    (Code.NAMES_NOTHING, "collect: {into: account, prompt: hello", "collect: {into: account, prompt: «helo»",
     "no prompt is named", "`hello`"),
    (Code.NAMES_NOTHING, "attribute: {plan: gold}", "attribute: {«plam»: gold}", "no step sets the attribute `plam`",
     "did you mean `plan`?"),
    (Code.NAMES_NOTHING, "intent: sales, hours", "intent: «sails», hours", "no menu has the intent `sails`", "`sales`"),
    (Code.CHOICE, "customer: sure", "customer: «shure»", "`shure` is not known", "`sure`"),
    (Code.FORM, 'prefix: "+1"', 'prefix: «"one"»', "not the beginning of a number", '"+1"'),
    (Code.UNKNOWN_KEY, "customer: sure", "«custmer»: sure", "`custmer` is not known", "did you mean `customer`?"),
    (Code.MISSING, "when: {attribute: {plan: gold}, customer: sure}", "when: «{}»", "would always hold", "attribute,"),
    (Code.FORM, "    - otherwise: [{say: hello}]", "    - «o»therwise: []\n          when: {customer: sure}",
     "`when` with `then`, or `otherwise`", "own dash"),
    (Code.NAMES_NOTHING, "{flow: promise}", "{flow: «promises»}", "no flow is named", "`promise`"),
    (Code.NAMES_NOTHING, "{goto: welcome}", "{goto: «wellcome»}", "no flow is named", "`welcome`"),
    (Code.CHOICE, '"9": repeat', '"9": «repaet»', "not what a key means", "write repeat"),
    (Code.MISSING, '"9": repeat', '"9": «{}»', "this key does nothing", "`intent: NAME`"),
    (Code.FORM, '"9": repeat', '"9": «{repeat: true, intent: again}»', "does nothing else", "`repeat` alone"),
    (Code.NO_TRANSLATION, "    - hangup", "    - language: «fr»", "acme is not served in `fr`", "one of en"),
    (Code.FORM, "    - hangup", "    - language: «spanish»", "not the tag of a language", "`en`"),
    (Code.NO_TRANSLATION, "intent: sales, hours", "language: [en, «de»], hours", "no company of this flow", "en"),
    (Code.ENDLESS, "    - say: hello\nqueues:", "    - say: hello\n    - goto: «promise»\nqueues:", "promise → promise",
     "end with hangup"),
    (Code.ENDLESS, "    - say: hello\nqueues:", "    - set: {a: 1}\n    - flow: «promise»\nqueues:",
     "promise → promise", "hangup"),
    (Code.ENDLESS, "min: 0, max: 8", "otherwise: [{goto: «welcome»}], min: 0, max: 8", "welcome → welcome", "hangup"),
    (Code.ENDLESS, "    - hangup\n", "        otherwise: [{goto: «welcome»}]\n", "welcome → welcome", "hangup"),
]  # fmt: skip


def broken(old: str, new: str) -> str:
    assert old in GOOD, old
    return GOOD.replace(old, new, 1)


def test_the_good_floor_is_good_and_means_what_it_says(tmp_path: Path) -> None:
    settings = load_text(tmp_path, GOOD)
    assert not settings.warnings
    hours, noted, collect, branch, menu, _ = settings.calls.flows["welcome"].steps
    assert isinstance(hours, calls.AskHours)
    assert hours.then[Door.CLOSED] == hours.then[Door.HOLIDAY] == (calls.Hangup("hello"),)
    assert noted == calls.SetAttributes({"plan": "none", "vip": "false"})
    assert isinstance(collect, calls.Collect)
    assert (collect.shortest, collect.longest, collect.terminator, collect.otherwise) == (0, 8, "#", None)
    assert isinstance(branch, calls.Branch)
    assert [case.when for case in branch.cases] == [
        (calls.AttributeIs("plan", frozenset({"gold"})), calls.CustomerIs(frozenset({Match.SURE}))),
        (
            calls.CallerIs(prefixes=("+1",)),
            calls.IntentIs(frozenset({"sales"})),
            calls.HoursAre("office", frozenset({Door.OPEN})),
        ),
    ]
    assert isinstance(menu, calls.Menu)
    assert menu.choices["9"].repeat


@pytest.mark.parametrize(("code", "old", "new", "message", "hint"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_named_with_its_place_and_what_to_write(
    code: Code, old: str, new: str, message: str, hint: str, tmp_path: Path
) -> None:
    yaml = marked(broken(old, new))
    found = [problem for problem in problems_of(tmp_path, yaml.text) if problem.code is code]
    if yaml.spans:
        assert [span(problem) for problem in found] == list(yaml.spans), [str(problem) for problem in found]
    assert message in found[0].message
    assert hint in found[0].hint


WARNINGS: list[tuple[Code, str, str, str]] = [
    (Code.UNUSED, "{flow: promise}", "{say: hello}", "flows.promise"),
    (Code.UNUSED, "hours:\n  office:", "hours:\n  other: {open: {daily: 08:00-09:00}}\n  office:", "hours.other"),
    (Code.HOURS, 'open: {mon-fri: "09:00-18:00"}', "open: {mon-fri: []}", "hours.office.open"),
    (Code.HOURS, "{12-25: Christmas}", "{2026-01-06: Epiphany, 2025-12-25: Christmas}", "hours.office.holidays"),
    (Code.UNREACHED, "    - hangup\n", "    - hangup\n    - say: hello\n    - say: hello\n", "flows.welcome.6"),
    (Code.UNREACHED, "    - set: {plan", "    - goto: promise\n    - set: {plan", "flows.welcome.2"),
    (Code.UNREACHED, "closed: [{hangup: hello}]", "open: [{goto: promise}], closed: [hangup, {say: hello}]",
     "flows.welcome.0.hours.closed.1"),
    (Code.UNREACHED, "closed: [{hangup: hello}]", "open: [{goto: promise}], closed: [hangup]", "flows.welcome.1"),
    (Code.UNREACHED, "        - otherwise: [{say: hello}]", "        - otherwise: [hangup]", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "old", "new", "path"), WARNINGS, ids=lambda value: str(value)[:40])
def test_what_is_useless_is_a_warning_and_the_switch_starts(
    code: Code, old: str, new: str, path: str, tmp_path: Path
) -> None:
    folder = write_floor(tmp_path / "config", broken(old, new))
    found = load(folder, data=tmp_path / "data", today=date(2026, 11, 21)).warnings
    assert all(problem.warning and problem.place.line and problem.hint for problem in found if problem.code is code)
    assert path in [problem.path for problem in found if problem.code is code] or not path, [*map(str, found)]


@pytest.mark.parametrize(
    ("step", "unreached"),
    [
        ("branch: [{when: {customer: sure}, then: [hangup]}, {otherwise: [hangup]}]", True),
        ("branch: [{when: {customer: sure}, then: [hangup]}, {otherwise: [{say: hello}]}]", False),
        ("branch: [{when: {customer: sure}, then: [hangup]}]", False),
        ("hours: {name: office, open: [hangup], closed: [hangup]}", True),
        ("hours: {name: office, open: [hangup], closed: [hangup], holiday: [{say: hello}]}", False),
        ("hours: {name: office, open: [hangup]}", False),
        (
            "menu: {id: m, prompt: hello, choices: {'1': {then: [hangup]}, '9': repeat}, otherwise: [{say: hello}]}",
            True,
        ),
        ("menu: {id: m, prompt: hello, choices: {'1': {then: [hangup]}, '2': {intent: sales}}}", False),
        ("collect: {into: x, prompt: hello, max: 4}", False),
        ("queue: sales", False),
        ("queue: {to: sales, on_timeout: [hangup]}", True),
        ("flow: last", True),
        ("say: hello", False),
    ],
)
def test_what_stands_behind_a_step_is_reached_when_a_call_can_come_out_of_it(
    step: str, unreached: bool, tmp_path: Path
) -> None:
    text = broken("    - say: hello\nqueues:", f"    - {step}\n    - say: hello\n  last:\n    - hangup\nqueues:")
    found = [each.path for each in load_text(tmp_path, text).warnings if each.code is Code.UNREACHED]
    assert (found == ["flows.promise.1"]) is unreached, found


def test_the_last_holiday_counts_until_its_day_is_over(tmp_path: Path) -> None:
    folder = write_floor(tmp_path / "config", broken("{12-25: Christmas}", "{2026-11-21: Today}"))

    def warnings(today: date) -> list[Problem]:
        return [each for each in load(folder, data=tmp_path, today=today).warnings if each.code is Code.HOURS]

    assert not warnings(date(2026, 11, 21))
    assert warnings(date(2026, 11, 22))


def test_a_menu_that_leads_back_by_keys_alone_is_no_endless_round(tmp_path: Path) -> None:
    """Steps behind a menu are reached by a key, and so is what they lead to."""
    text = broken('"1": {intent: sales, then: [{queue: sales}]}', '"1": {intent: sales, then: [{say: hello}]}')
    settings = load_text(tmp_path, text.replace("    - hangup\n", "    - goto: welcome\n"))
    assert not settings.warnings


def test_a_round_over_two_flows_is_told_at_both_of_its_words(tmp_path: Path) -> None:
    text = broken("    - say: hello\nqueues:", "    - flow: «second»\n  second:\n    - goto: «promise»\nqueues:")
    yaml = marked(text)
    found = problems_of(tmp_path, yaml.text)
    assert [(problem.code, span(problem)) for problem in found] == [(Code.ENDLESS, at) for at in yaml.spans]


def test_a_flow_that_only_ends_calls_leaves_nothing_to_reach_behind_it(tmp_path: Path) -> None:
    text = broken("    - say: hello\nqueues:", "    - hangup\nqueues:")
    text = text.replace("        - otherwise: [{say: hello}]", "        - otherwise: [{flow: promise}, {say: hello}]")
    found = load_text(tmp_path, text).warnings
    assert [(each.code, each.path) for each in found] == [
        (Code.UNREACHED, "flows.welcome.3.branch.2.otherwise.1"),
    ], [*map(str, found)]
