"""Callbacks as they are written: whom a company calls back, what is said, and every way to get it wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from callcenter.calls.callback_numbers import callable_number
from callcenter.calls.overflow import ToCallback, overflow_of
from callcenter.calls.settings import (
    AskCallback,
    CallbackPrompts,
    CallbackRules,
    Missed,
    RingsIn,
    Say,
    ToQueue,
    position_of,
)
from callcenter.calls.windows import Wish
from callcenter.config import DEFAULT_FOLDER, Code, load
from tests.unit.config.floor import load_text, marked, problems_of, span

NAMES = CallbackPrompts()
FLOOR = """\
clients:
  acme:
    name: Acme
    languages: [en]
    outbound: {trunks: [carrier], caller_id: "+15555550100", country: "1", national_prefix: "1"}
numbers:
  "+15555550100": {client: acme, flow: welcome}
  "+442079460000": {client: acme, flow: welcome}
trunks:
  carrier: {peers: [192.0.2.10]}
flows:
  welcome:
    - queue: {to: sales, keys: {"1": [{callback: sales}]}}
    - hangup
queues:
  sales: {client: acme, requirements: {english: 3}}
agents:
  ana: {name: Ana, skills: {english: 4}, clients: [acme]}
prompts:
  hello: {en: {file: hello.wav}}
""" + "".join(f"  {name}: {{en: {{file: hello.wav}}}}\n" for name in NAMES.all if name != NAMES.digit)


def written(tmp_path: Path, *changes: tuple[str, str]) -> str:
    """The floor, with a recording for each digit, and something changed in it."""
    folder = tmp_path / "config"
    text = FLOOR + '  callback-digit: {en: {file: "digit-{digit}.wav"}}\n'
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after, 1)
    folder.mkdir(parents=True, exist_ok=True)
    return text


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A folder that has a recording of every digit."""
    folder = tmp_path / "config"
    folder.mkdir(parents=True, exist_ok=True)
    source = next((DEFAULT_FOLDER / "prompts" / "en").glob("callback-digit-1-*.wav"))
    for digit in range(10):
        (folder / f"digit-{digit}.wav").write_bytes(source.read_bytes())
    return tmp_path


def rules(tmp_path: Path, *changes: tuple[str, str]) -> CallbackRules:
    """The company's rules."""
    found = load_text(tmp_path, written(tmp_path, *changes)).calls.clients["acme"].callbacks
    assert found is not None
    return found


def with_rules(text: str) -> tuple[str, str]:
    return "    languages: [en]\n", f"    languages: [en]\n    callbacks: {text}\n"


def test_a_step_callback_is_read_with_what_holds_for_all(digits: Path) -> None:
    settings = load_text(digits, written(digits, ("callback: sales", "callback: {queue: sales, confirm: hello}")))
    queue, _ = settings.calls.flows["welcome"].steps
    assert isinstance(queue, ToQueue)
    (step,) = queue.keys["1"]
    assert isinstance(step, AskCallback)
    assert (step.queue, step.timeout, step.retries, step.otherwise) == ("sales", 5.0, 2, None)
    assert step.prompts is not None
    assert (step.prompts.confirm, step.prompts.accepted) == ("hello", NAMES.accepted)
    assert settings.calls.callback_prompts == NAMES
    assert {position_of(NAMES.digit, digit) for digit in range(10)} <= {name for name, _ in settings.sounds.texts}
    assert settings.warnings == ()
    assert settings.calls.prompts.ringback[0].path.endswith("ringback.wav")


def test_what_follows_when_nothing_comes_of_it_may_be_said(digits: Path) -> None:
    for otherwise, steps in (("[{say: hello}]", (Say("hello"),)), ("continue", ())):
        change = ("callback: sales", f"callback: {{queue: sales, otherwise: {otherwise}}}")
        queue, _ = load_text(digits, written(digits, change)).calls.flows["welcome"].steps
        assert isinstance(queue, ToQueue)
        (step,) = queue.keys["1"]
        assert isinstance(step, AskCallback)
        assert step.otherwise == steps


def test_without_a_word_the_countries_of_its_own_numbers_are_called_and_nothing_costly(digits: Path) -> None:
    found = rules(digits)
    assert (found.outside, found.tries, found.spacing, found.ring_for) == (("+1", "+44"), 3, 300.0, 40.0)
    assert (found.per_caller, found.per_day) == (3, 5)
    assert found.permits("+12025550123")
    assert found.permits("+442079460123")
    for number in ("+19005550123", "+18765550123", "+447000000000", "+449098790000", "+34915550123", "+88216000000"):
        assert not found.permits(number), number


def test_the_companys_own_word_counts_and_costly_numbers_only_by_name(digits: Path) -> None:
    text = (
        '{outside: ["+", "+190055"], never: ["+1202"], tries: 5, spacing: 1m, ring_for: 20s, per_caller: 0, per_day: 2}'
    )
    found = rules(digits, with_rules(text))
    assert (found.tries, found.spacing, found.ring_for) == (5, 60.0, 20.0)
    assert (found.per_caller, found.per_day) == (0, 2)
    assert found.permits("+34915550123")
    assert found.permits("+19005550123")
    assert not found.permits("+19015550123".replace("901", "900").replace("555", "444"))
    assert not found.permits("+12025550123")


def test_numbers_are_read_as_the_company_writes_them_and_no_emergency_comes_of_any(digits: Path) -> None:
    settings = load_text(digits, written(digits)).calls
    acme = settings.clients["acme"]
    assert callable_number(settings, acme, "202 555 0123") == "+12025550123"
    assert callable_number(settings, acme, "12025550123") == "+12025550123"
    for nobody in ("911", "112", "1911", "9112025550", "5550123", "+15555550100", "anonymous", "", "00911"):
        assert callable_number(settings, acme, nobody) is None, nobody


def test_a_queue_may_overflow_into_a_callback_for_every_reason_or_one(digits: Path) -> None:
    for key, reason in (("overflow", "full"), ("on_full", "full"), ("on_max_wait", "timeout")):
        text = written(
            digits, ("english: 3}}", f"english: 3}}, {key}: callback}}"), ("{callback: sales}", "{say: hello}")
        )
        settings = load_text(digits, text)
        assert settings.plan.queues["sales"].action(reason) == ToCallback().word
        assert overflow_of(ToCallback().word) == ToCallback()
        assert settings.warnings == ()


def test_when_and_how_often_is_read_with_what_holds_without_a_word(digits: Path) -> None:
    found = rules(digits)
    assert (found.hours, found.mode, found.missed, found.rings_in) == ("", "agent_first", "next", "merge")
    assert (found.preview, found.tries_per_day, found.spaced("busy"), found.keep_for) == (
        False,
        None,
        300.0,
        365 * 86400,
    )
    text = (
        "{spacing: {busy: 2m, no_answer: 30m, declined: 1d, otherwise: 10m}, tries_per_day: 2, hours: may,"
        " missed: expire, rings_in: keep, preview: {time: 20s, again: 5m}, keep_for: forever}"
    )
    zone = ("    languages: [en]\n", "    languages: [en]\n    time_zone: Europe/Madrid\n")
    hours = ("queues:\n", "hours:\n  may: {open: {daily: ['09:00-18:00']}}\nqueues:\n")
    found = rules(digits, with_rules(text), zone, hours)
    assert [found.spaced(cause) for cause in ("busy", "no_answer", "declined", "rejected")] == [120, 1800, 86400, 600]
    assert (found.least_spacing, found.tries_per_day, found.hours) == (120.0, 2, "may")
    assert (found.missed, found.rings_in) == (Missed.EXPIRE, RingsIn.KEEP)
    assert (found.preview, found.preview_for, found.preview_again, found.keep_for) == (True, 20.0, 300.0, math.inf)
    assert rules(digits, with_rules("{preview: 40s}")).preview_for == 40.0
    assert rules(digits, with_rules("{preview: on}")).preview


def test_hours_by_which_nobody_knows_what_time_it_is_are_told(digits: Path) -> None:
    hours = ("queues:\n", "hours:\n  may: {open: {daily: ['09:00-18:00']}}\nqueues:\n")
    found = problems_of(digits, written(digits, with_rules("{hours: may}"), hours))
    assert any("no time zone" in each.message for each in found)


def test_a_queue_may_call_back_who_hangs_up_and_a_step_may_ask_when(digits: Path) -> None:
    for word, seconds in (("callback", 30.0), ("{callback: 2m}", 120.0)):
        text = written(digits, ("english: 3}}", f"english: 3}}, on_abandon: {word}}}"))
        assert load_text(digits, text).calls.treatments["sales"].call_back_after == seconds
    keys = '{"1": now, "2": in 2h, "3": tomorrow 09:00-12:00, "4": mon 22:00-02:00}'
    change = ("callback: sales", f"callback: {{queue: sales, at: {{prompt: hello, keys: {keys}}}}}")
    queue, _ = load_text(digits, written(digits, change)).calls.flows["welcome"].steps
    assert isinstance(queue, ToQueue)
    (step,) = queue.keys["1"]
    assert isinstance(step, AskCallback)
    assert step.when is not None
    assert step.when.wishes == {
        "1": Wish(),
        "2": Wish(after=7200.0),
        "3": Wish(540, 720, day=1),
        "4": Wish(1320, 1560, weekday=0),
    }


def test_a_company_may_call_nobody_back(digits: Path) -> None:
    text = written(digits, with_rules("off"), ("{callback: sales}", "{say: hello}"))
    assert load_text(digits, text).calls.clients["acme"].callbacks is None


MISTAKES: list[tuple[Code, str, str, str, str]] = [
    (Code.NAMES_NOTHING, "callback: sales", "callback: «sale»", "no queue is named `sale`", "did you mean `sales`?"),
    (
        Code.UNKNOWN_KEY,
        "callback: sales",
        "callback: {queue: sales, «confrm»: hello}",
        "`confrm` is not known",
        "",
    ),
    (Code.MISSING, "callback: sales", "«callback»: {retries: 1}", "`queue` is missing", "queue: ..."),
    (Code.MISSING, "  acme:\n", "  «acme»:\n", "cannot call anybody back", "trunks.yaml"),
    (Code.FORM, "languages: [en]", "languages: [en]\n    «callbacks»: off", "calls nobody back", "take `off` away"),
    (Code.DURATION, "languages: [en]", "languages: [en]\n    callbacks: {spacing: «5s»}", "30 seconds", "5m"),
    (Code.DURATION, "languages: [en]", "languages: [en]\n    callbacks: {ring_for: «5m»}", "5 seconds", "40s"),
    (Code.FORM, "languages: [en]", "languages: [en]\n    callbacks: {tries: «0»}", "out of range", "at least 1"),
    (Code.FORM, "languages: [en]", 'languages: [en]\n    callbacks: {outside: [«"0800"»]}', "E.164", '"+1"'),
    (Code.FORM, "languages: [en]", 'languages: [en]\n    callbacks: {outside: ["+1"], «never»: ["+1"]}', "both", ""),
    (Code.CHOICE, "languages: [en]", "languages: [en]\n    callbacks: {spacing: «{bussy: 2m}»}", "by `bussy`", "busy"),
    (Code.DURATION, "languages: [en]", "languages: [en]\n    callbacks: {spacing: {busy: «9d»}}", "a week apart", "5m"),
    (Code.NAMES_NOTHING, "languages: [en]", "languages: [en]\n    callbacks: {hours: «may»}", "`may`", "hours"),
    (Code.CHOICE, "languages: [en]", "languages: [en]\n    callbacks: {missed: «drop»}", "drop", "next"),
    (Code.CHOICE, "languages: [en]", "languages: [en]\n    callbacks: {mode: «mine»}", "mine", "agent_first"),
    (Code.DURATION, "languages: [en]", "languages: [en]\n    callbacks: {preview: {time: «1s»}}", "5 seconds", "30s"),
    (
        Code.MISSING,
        "languages: [en]",
        "languages: [en]\n    «callbacks»: {mode: customer_first}",
        "connecting",
        "prompts",
    ),
    (Code.FORM, "english: 3}}", "english: 3}, on_abandon: «queue»}", "from a hang-up", "{callback: 30s}"),
    (
        Code.FORM,
        "callback: sales",
        'callback: {queue: sales, at: {prompt: hello, keys: {"1": «whenever»}}}',
        "no time to be called",
        "tomorrow 09:00-12:00",
    ),
    (
        Code.FORM,
        "callback: sales",
        'callback: {queue: sales, at: {prompt: hello, keys: {"1": «today 9-12»}}}',
        "no time to be called",
        "today 14:00-17:00",
    ),
    (
        Code.NAMES_NOTHING,
        "callback: sales",
        'callback: {queue: sales, at: {prompt: «when», keys: {"1": now}}}',
        "no prompt is named `when`",
        "prompts",
    ),
    (Code.NO_TRANSLATION, "languages: [en]", "languages: [en, es]", "not there in es", "add `es: ...`"),
    (Code.MISSING, "  callback-enter: {en: {file: hello.wav}}\n", "", "there is no prompt `callback-enter`", "prompts"),
    (Code.MISSING, "english: 3}}", "english: 3}, on_full: callback}", "cannot call anybody back", "trunks.yaml"),
    (Code.POSITION, '{en: {file: "digit-{digit}.wav"}}', "{en: «{file: hello.wav}»}", "read a digit out", "{digit}"),
]


@pytest.mark.parametrize(("code", "before", "after", "message", "hint"), MISTAKES)
def test_each_mistake_is_told_where_it_is_and_how_to_mend_it(
    digits: Path, code: Code, before: str, after: str, message: str, hint: str
) -> None:
    text = written(digits, (before, after))
    if "cannot call" in message:
        text = "\n".join(line for line in text.splitlines() if "outbound" not in line) + "\n"
    shown = marked(text)
    found = [problem for problem in problems_of(digits, shown.text) if problem.code is code]
    assert found, "not found"
    words = "stands in `outside` and in `never`" if message == "both" else message
    assert any(words in problem.message and hint in problem.hint for problem in found), [str(each) for each in found]
    if shown.spans:
        assert shown.spans[0][:2] in [span(problem)[:2] for problem in found]


def test_callers_of_one_company_are_not_called_back_from_a_queue_of_another(digits: Path) -> None:
    text = written(
        digits,
        ("  acme:\n", "  other: {name: Other, languages: [en]}\n  acme:\n"),
        ("  sales: {client", "  theirs: {client: other}\n  sales: {client"),
        ("clients: [acme]}", "clients: [acme, other]}"),
        ("callback: sales", "callback: theirs"),
    )
    assert Code.OTHER_CLIENT in [problem.code for problem in problems_of(digits, text)]


def test_callbacks_without_a_way_to_call_out_are_no_use(digits: Path) -> None:
    text = written(digits, with_rules("{tries: 2}"), ("{callback: sales}", "{say: hello}"))
    text = "\n".join(line for line in text.splitlines() if "outbound" not in line) + "\n"
    found = problems_of(digits, text)
    assert [(each.code, each.path) for each in found] == [(Code.MISSING, "clients.acme.callbacks")]


def test_steps_behind_a_callback_without_otherwise_are_never_reached(digits: Path) -> None:
    text = written(digits, ("[{callback: sales}]", "[{callback: sales}, {say: hello}]"))
    assert [each.code for each in load_text(digits, text).warnings] == [Code.UNREACHED]


def test_the_shipped_example_works_when_its_signs_are_taken_away(tmp_path: Path) -> None:
    """As flows.yaml and trunks.yaml say: a trunk, how the company calls out, and the queue with a key."""
    queue = '[{queue: {to: tech-giant-support-en, keys: {"1": [{callback: tech-giant-support-en}]}}}]'
    outbound = '{trunks: [carrier], caller_id: "+18005550100", country: "1", national_prefix: "1"}'
    overrides = (
        "trunks={carrier: {peers: [203.0.113.20]}}",
        f"clients.the-tech-giant.outbound={outbound}",
        'clients.the-tech-giant.callbacks={outside: ["+1"], never: ["+1900"], tries: 3, spacing: 5m, ring_for: 40s}',
        f"flows.tech-giant-to-support={queue}",
    )
    settings = load(None, overrides, data=tmp_path)
    assert [str(warning) for warning in settings.warnings if warning.code is not Code.UNUSED] == []
    assert settings.sounds.jobs == ()
    spoken = {(name, language) for name, language in settings.sounds.texts}
    for prompt in NAMES.all:
        name = position_of(prompt, 7) if prompt == NAMES.digit else prompt
        assert {(name, "en"), (name, "es"), (name, "pt-BR")} <= spoken
    assert "callback: tech-giant-support-en" in (DEFAULT_FOLDER / "flows.yaml").read_text("utf-8")
