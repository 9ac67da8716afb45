"""What queues do with their callers, read from YAML: who may join, where they overflow to, hours, service level."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.acd.estimate import RANGES
from callcenter.calls.settings import AnnounceWait, OnClose, wait_of
from callcenter.config import Code
from callcenter.speech.prompts import Rendering
from tests.unit.config.floor import GOOD, is_pointed_at, load_text, marked, problems_of

TWO = GOOD.replace(
    "queues:\n", "queues:\n  help: {client: acme}\n  other: {client: beta}\n"
).replace("  acme: {name: Acme, languages: [en]}\n", (
    "  acme: {name: Acme, languages: [en], time_zone: Europe/Madrid}\n"
    "  beta: {name: Beta, languages: [en], time_zone: Europe/Madrid}\n"
)).replace("clients: [acme]", "clients: [acme, beta]")  # fmt: skip
OFFICE = "hours: {office: {open: {daily: 09:00-18:00}}}\n"
CALLING_OUT = TWO.replace(
    "languages: [en], time_zone",
    'languages: [en], outbound: {trunks: [carrier], caller_id: "+15555550100", country: "1"}, time_zone',
    1,
) + "trunks: {carrier: {peers: [192.0.2.1]}}\n"  # fmt: skip


def sales(text: str, base: str = TWO) -> str:
    """The floor with more said about the queue for sales."""
    return base.replace("sales: {client: acme,", f"sales: {{client: acme, {text},")


def test_what_nobody_says_is_as_callers_would_have_it(tmp_path: Path) -> None:
    """They may join and stay whoever is there, go on behind the queue, and 80 % shall be answered within 20 s."""
    queue = load_text(tmp_path).plan.queues["sales"]
    assert (queue.join_empty, queue.leave_empty, queue.leave_after) == (frozenset(), frozenset(), 30.0)
    assert {queue.action(reason) for reason in ("timeout", "full", "closed", "nobody_ready")} == {"continue"}
    assert (queue.service_level_ms, queue.service_level_target) == (20_000, 0.8)


def test_each_reason_has_its_overflow_and_one_stands_for_all(tmp_path: Path) -> None:
    queue = load_text(tmp_path, sales("on_max_wait: welcome")).plan.queues["sales"]
    assert [queue.action(reason) for reason in ("timeout", "full", "closed", "nobody_ready")] == ["welcome"] * 4
    text = sales("overflow: {queue: help}, on_full: continue, on_empty: welcome, refuse_when: nobody_ready")
    queue = load_text(tmp_path, text).plan.queues["sales"]
    assert [queue.action(reason) for reason in ("timeout", "full", "closed", "nobody_signed_in")] == [
        "queue:help",
        "continue",
        "queue:help",
        "welcome",
    ]
    queue = load_text(tmp_path, sales('overflow: {number: "+14155550199"}', CALLING_OUT)).plan.queues["sales"]
    assert queue.action("timeout") == "number:+14155550199"


def test_who_may_join_and_stay_is_said_for_all_queues_or_for_one(tmp_path: Path) -> None:
    common = "acd: {refuse_when: nobody_signed_in, leave_when: [nobody_ready], leave_after: 1m}\n"
    queue = load_text(tmp_path, TWO + common).plan.queues["sales"]
    assert queue.join_empty == {"nobody_signed_in"}
    assert queue.leave_empty == {"nobody_ready"}
    assert queue.leave_after == 60.0
    queue = load_text(tmp_path, sales("refuse_when: [], leave_when: []") + common).plan.queues["sales"]
    assert (queue.join_empty, queue.leave_empty) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("written", "within", "target"),
    [
        ("{within: 30s, target: 90%}", 30_000, 0.9),
        ("30s", 30_000, 0.8),
        ("{target: 0.75}", 20_000, 0.75),
    ],
)
def test_the_service_level_is_a_time_and_a_share(written: str, within: int, target: float, tmp_path: Path) -> None:
    queue = load_text(tmp_path, sales(f"service_level: {written}")).plan.queues["sales"]
    assert (queue.service_level_ms, queue.service_level_target) == (within, target)


def test_a_queue_has_opening_hours(tmp_path: Path) -> None:
    settings = load_text(tmp_path, sales("hours: office, on_close: leave, on_closed: continue") + OFFICE)
    treatment = settings.calls.treatments["sales"]
    assert (treatment.hours, treatment.on_close) == ("office", OnClose.LEAVE)
    assert not [warning for warning in settings.warnings if warning.path.startswith("hours")]


def test_a_company_has_its_own_music_and_a_queue_another(tmp_path: Path) -> None:
    music = "music: {house: hello.wav, jazz: hello.wav, piano: hello.wav}\n"
    text = TWO.replace("name: Acme,", "name: Acme, music: jazz,") + music
    treatments = load_text(tmp_path, text.replace("help: {client: acme", "help: {client: acme, music: piano")).calls
    assert {name: each.music for name, each in treatments.treatments.items()} == {
        "sales": "jazz",
        "help": "piano",
        "other": "house",
    }


def test_a_queue_that_others_overflow_into_is_not_unused(tmp_path: Path) -> None:
    def unused(text: str) -> bool:
        return "queues.help" in [warning.path for warning in load_text(tmp_path, text).warnings]

    assert unused(TWO)
    assert not unused(sales("overflow: {queue: help}"))


@pytest.mark.parametrize(
    ("code", "text", "message", "hint"),
    [
        (Code.NAMES_NOTHING, sales("on_full: «welcom»"), "no flow is named `welcom`", "`welcome`"),
        (Code.NAMES_NOTHING, sales("on_full: {queue: «halp»}"), "no queue is named `halp`", "`help`"),
        (Code.FORM, sales('overflow: «{queue: help, number: "+14155550199"}»'), "one thing follows", "name of a flow"),
        (Code.FORM, sales("overflow: {number: «0800»}"), "not a number in E.164", "+1555"),
        (Code.MISSING, sales('overflow: {number: «"+14155550199"»}'), "acme has no trunk", "outbound"),
        (Code.OTHER_CLIENT, sales("overflow: {queue: «other»}"), "would wait in a queue of beta", "a queue of acme"),
        (Code.ENDLESS, sales("overflow: {queue: «sales»}"), "overflows into itself", "another queue"),
        (Code.CHOICE, sales("refuse_when: [«nobody_here»]"), "`nobody_here` is not known here", "nobody_ready"),
        (Code.FORM, sales("service_level: {target: «120%»}"), "`120%` is no share", "80%"),
        (Code.DURATION, sales("service_level: «20»"), "`20` has no unit", "20s"),
        (Code.NAMES_NOTHING, sales("hours: «offices»") + OFFICE, "no set of hours is named `offices`", "`office`"),
        (Code.CHOICE, sales("hours: office, on_close: «throw_out»") + OFFICE, "is not known here", "leave"),
    ],
)  # fmt: skip
def test_a_mistake_is_pointed_at(code: Code, text: str, message: str, hint: str, tmp_path: Path) -> None:
    is_pointed_at(tmp_path, text, code, message, hint)


def test_what_is_said_of_closing_needs_hours(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, sales("on_closed: welcome"))
    assert (problem.code, problem.path) == (Code.MISSING, "queues.sales")
    assert "`on_closed` needs `hours`" in problem.message


def test_the_hours_of_a_queue_need_a_time_zone(tmp_path: Path) -> None:
    text = sales("hours: office").replace(", time_zone: Europe/Madrid", "") + OFFICE
    problems = problems_of(tmp_path, text)
    assert [(problem.code, problem.path) for problem in problems] == [(Code.MISSING, "hours.office")]
    assert "queues.sales.hours" in problems[0].message


# Whispers

WHISPERING = (
    TWO.replace("languages: [en], time_zone", "languages: [en, es], time_zone", 1).replace(
        "hello: {en: {file: hello.wav}}", "hello: {en: {file: hello.wav}, es: {file: hello.wav}}"
    )
    + 'calls:\n  whisper: {en: "{client}, {queue}, {intent}, in {language}"}\n'
)


def test_a_whisper_is_made_of_pieces_for_all_that_callers_can_be(tmp_path: Path) -> None:
    settings = load_text(tmp_path, WHISPERING)
    treatments = settings.calls.treatments
    assert treatments["sales"].whisper == {
        "en": ("said/Acme", "said/sales", "{intent}", "said/in", "{language}"),
    }
    assert treatments["help"].whisper["en"][1] == "said/help"
    texts = {
        key: sound.text for (key, language), [sound] in settings.sounds.texts.items() if isinstance(sound, Rendering)
    }
    assert texts == {
        "said/Acme": "Acme",
        "said/Beta": "Beta",
        "said/sales": "sales",
        "said/help": "help",
        "said/other": "other",
        "said/in": "in",
        "intent/sales": "sales",
        "language/en": "English",
        "language/es": "Spanish",
    }


def test_how_names_are_spoken_may_be_said(tmp_path: Path) -> None:
    words = "  words: {sales: {en: new business}, es: {en: Castilian}, acme: {en: Akmee}}\n"
    texts = load_text(tmp_path, WHISPERING + words).sounds.texts
    for key, spoken in (
        ("said/Akmee", "Akmee"),
        ("said/new business", "new business"),
        ("intent/sales", "new business"),
        ("language/es", "Castilian"),
    ):
        [sound] = texts[key, "en"]
        assert isinstance(sound, Rendering)
        assert sound.text == spoken


def test_a_queue_s_own_whisper_counts_before_the_client_s_and_off_is_none(tmp_path: Path) -> None:
    text = WHISPERING.replace("name: Acme,", 'name: Acme, whisper: {en: "{client}"},')
    text = text.replace("help: {client: acme", "help: {client: acme, whisper: off")
    treatments = load_text(tmp_path, text).calls.treatments
    assert {name: each.whisper for name, each in treatments.items() if name != "other"} == {
        "sales": {"en": ("said/Acme",)},
        "help": {},
    }


def test_a_whisper_may_be_a_recording(tmp_path: Path) -> None:
    settings = load_text(tmp_path, TWO + "calls: {whisper: {en: {file: hello.wav}}}\n")
    [part] = settings.calls.treatments["sales"].whisper["en"]
    assert [Path(clip.path).name for clip in settings.calls.prompts.there(part, "en")] == ["hello.wav"]


@pytest.mark.parametrize(
    ("code", "text", "message", "hint"),
    [
        (Code.CHOICE, 'calls: {whisper: {en: «"{clint}"»}}\n', "`{clint}` means nothing here", "{client}, {queue}"),
        (Code.NO_TRANSLATION, 'calls: {«whisper»: {es: "{client}"}}\n', "not there in en", "agents.ana"),
        (Code.NO_RECORDING, "calls: {whisper: {en: {file: «gone.wav»}}}\n", "`gone.wav` is not there", ""),
    ],
)
def test_a_mistake_in_a_whisper_is_pointed_at(code: Code, text: str, message: str, hint: str, tmp_path: Path) -> None:
    yaml = marked(TWO + text)
    found = [problem for problem in problems_of(tmp_path, yaml.text) if problem.code is code]
    assert [problem.place.line for problem in found] == [yaml.spans[0][0]], [str(problem) for problem in found]
    assert message in found[0].message
    assert hint in found[0].hint + found[0].message


# How long it may still take

WAITS = '  under: {en: "Less than {high} minutes."}\n  between: {en: "From {low} to {high} minutes."}\n'
TELLING = TWO + WAITS + "calls: {announce: {wait: {under: under, between: between}}}\n"


def test_a_wait_is_there_once_for_each_range_that_may_be_told(tmp_path: Path) -> None:
    settings = load_text(tmp_path, TELLING)
    announce = settings.calls.treatments["sales"].announce
    assert announce is not None
    assert announce.wait == AnnounceWait("under", "between")
    texts = {key: sound for (key, _), [sound] in settings.sounds.texts.items() if isinstance(sound, Rendering)}
    assert set(texts) == {wait_of("between" if low else "under", low, high) for low, high in RANGES}
    assert texts["under/0-5"].text == "Less than 5 minutes."
    assert texts["between/10-20"].text == "From 10 to 20 minutes."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TELLING.replace('"Less than {high} minutes."', "«Soon.»"), "it does not say {high}"),
        (TELLING.replace('"Less than {high} minutes."', '«"Not {low} but {high}."»'), "it says {low}"),
        (TELLING.replace('"From {low} to {high} minutes."', '«"Up to {high}."»'), "it does not say {low}"),
        (TELLING.replace("say: hello", "say: «under»"), "`under` names a time to wait"),
    ],
)
def test_a_wait_that_is_worded_wrongly_is_pointed_at(text: str, message: str, tmp_path: Path) -> None:
    is_pointed_at(tmp_path, text, Code.POSITION, message)
