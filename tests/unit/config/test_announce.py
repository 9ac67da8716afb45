"""What waiting callers are told and may do, read from YAML: places in line, keys, transfers, and their mistakes."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from callcenter.calls.settings import Announce, Hangup, Menu, ToQueue
from callcenter.config import Code, render
from callcenter.config.settings import Settings
from callcenter.speech.prompts import Recorded, Rendering
from callcenter.speech.wav import RATE, Sound, write
from tests.unit.config.floor import GOOD, is_pointed_at, load_text, marked, problems_of, span

PLACE = '  place: {en: "You are number {position} in line."}\n'
WAITING = GOOD + PLACE + "calls: {announce: {position: place, most: 3, prompts: hello}}\n"


def with_queue(step: str) -> str:
    """The floor with another step behind key 1."""
    return GOOD.replace("{queue: sales}", step)


def first_step(settings: Settings) -> ToQueue:
    """The step behind key 1."""
    menu = settings.calls.flows["welcome"].steps[1]
    assert isinstance(menu, Menu)
    step = menu.choices["1"].then[0]
    assert isinstance(step, ToQueue)
    return step


def test_a_position_prompt_is_there_once_for_each_place(tmp_path: Path) -> None:
    """Two queues that ask for different lengths: the longer one counts."""
    text = WAITING.replace("requirements: {english: 3}", "announce: {position: place, most: 5}, requirements: {}")
    settings = load_text(tmp_path, text)
    made = {key: sounds for (key, _), sounds in settings.sounds.texts.items() if key.startswith("place")}
    assert sorted(made) == [f"place/{position}" for position in range(1, 6)]
    texts = [sound.text for sounds in made.values() for sound in sounds if isinstance(sound, Rendering)]
    assert texts == [f"You are number {position} in line." for position in range(1, 6)]
    files = {sound.target.name for sounds in made.values() for sound in sounds if isinstance(sound, Rendering)}
    assert len(files) == 5
    assert all("/" not in name and name.startswith("place-") for name in files)


def test_recordings_may_name_the_place_too(tmp_path: Path) -> None:
    text = WAITING.replace('"You are number {position} in line."', '{file: "place-{position}.wav"}')
    folder = tmp_path / "config"
    folder.mkdir()
    for position in (1, 2):
        write(folder / f"place-{position}.wav", Sound(RATE, array("h", [0, 900] * 400)))
    [problem] = problems_of(tmp_path, text)
    assert (problem.code, "`place-3.wav` is not there" in problem.message) == (Code.NO_RECORDING, True)
    write(folder / "place-3.wav", Sound(RATE, array("h", [0, 900] * 400)))
    prompts = render(load_text(tmp_path, text)).calls.prompts
    assert [Path(prompts.position("place", "en", position)[0].path).name for position in (1, 2, 3)] == [
        "place-1.wav",
        "place-2.wav",
        "place-3.wav",
    ]


def test_a_queue_s_own_announcements_stand_in_place_of_the_common_ones(tmp_path: Path) -> None:
    common = load_text(tmp_path, WAITING).calls.treatments["sales"].announce
    assert common == Announce("place", 15.0, 30.0, 3, None, ("hello",))
    own = load_text(tmp_path, WAITING.replace("requirements", "announce: {prompts: [hello], every: 1m}, requirements"))
    assert own.calls.treatments["sales"].announce == Announce(None, 15.0, 60.0, 10, None, ("hello",))
    off = load_text(tmp_path, WAITING.replace("requirements", "announce: off, requirements"))
    silent = off.calls.treatments["sales"].announce
    assert silent is not None
    assert silent.silent
    assert load_text(tmp_path).calls.treatments["sales"].announce is None


def test_keys_and_transfers_are_read(tmp_path: Path) -> None:
    step = (
        "{queue: {to: sales, keys: {'1': [hangup], '*': [{transfer: sales}]}, on_timeout: [{transfer: {to: sales}}]}}"
    )
    queue = first_step(load_text(tmp_path, with_queue(step)))
    assert queue.keys == {"1": (Hangup(),), "*": (ToQueue("sales", keep_place=True),)}
    assert queue.on_timeout == (ToQueue("sales", keep_place=True),)
    assert not queue.keep_place


def test_a_prompt_that_is_no_recorded_sound_is_no_job_of_ours(tmp_path: Path) -> None:
    """What is not about a place is one sound, as ever."""
    settings = load_text(tmp_path, WAITING)
    [hello] = settings.sounds.texts["hello", "en"]
    assert isinstance(hello, Recorded)


@pytest.mark.parametrize(
    ("code", "text", "message", "hint"),
    [
        (
            Code.POSITION,
            WAITING.replace('"You are number {position} in line."', "«You are in line.»"),
            "does not say the place in line, as calls.announce.position wants",
            "write {position}",
        ),
        (Code.POSITION, WAITING.replace("say: hello", "say: «place»"), "`place` names a place in line", "without"),
        (Code.POSITION, WAITING.replace("prompts: hello", "prompts: [hello, «place»]"), "names a place in line", ""),
        (
            Code.MISSING,
            GOOD + "calls:\n  announce: «{beyond: hello, prompts: hello}»\n",
            "`beyond` needs `position`",
            "add position",
        ),
        (Code.DURATION, WAITING.replace("most: 3", "every: «2s»"), "too often", "30s"),
        (Code.NAMES_NOTHING, WAITING.replace("position: place", "position: «palce»"), "no prompt is named", "`place`"),
        (
            Code.NAMES_NOTHING,
            with_queue("{queue: {to: sales, keys: {'1': [{transfer: «slaes»}]}}}"),
            "no queue is named `slaes`",
            "`sales`",
        ),
        (Code.FORM, with_queue("{queue: {to: sales, keys: {«'11'»: [hangup]}}}"), "not a key of a telephone", "0 to 9"),
        (Code.FORM, with_queue("{queue: {to: sales, keys: «{}»}}"), "it is empty", "at least one"),
    ],
)  # fmt: skip
def test_a_mistake_is_pointed_at(code: Code, text: str, message: str, hint: str, tmp_path: Path) -> None:
    is_pointed_at(tmp_path, text, code, message, hint)


def test_an_announcement_must_be_there_in_every_language_of_the_queue_s_company(tmp_path: Path) -> None:
    text = WAITING.replace("languages: [en]", "languages: [en, es]").replace(
        "hello: {en: {file: hello.wav}}", "hello: {en: {file: hello.wav}, es: {file: hello.wav}}"
    )
    yaml = marked(text.replace("  place:", "  «place»:"))
    [problem] = problems_of(tmp_path, yaml.text)
    assert (problem.code, span(problem)) == (Code.NO_TRANSLATION, yaml.spans[0])
    assert "not there in es, which acme is served in (calls.announce.position)" in problem.message


def test_a_place_that_nobody_is_told_is_a_warning(tmp_path: Path) -> None:
    [warning] = load_text(tmp_path, GOOD + PLACE).warnings
    assert (warning.code, warning.path, warning.warning) == (Code.POSITION, "prompts.place", True)


OVERFLOW = """\
clients:
  acme: {name: Acme, languages: [en]}
numbers:
  "+15555550100": {client: acme, flow: welcome}
flows:
  welcome:
    - queue: {to: sales, on_timeout: [{transfer: help}]}
  again:
    - transfer: sales
queues:
  sales: {client: acme, on_max_wait: «again»}
  help: {client: acme, on_max_wait: again}
agents:
  ana: {name: Ana, clients: [acme]}
prompts:
  hello: {en: {file: hello.wav}}
"""


def test_queues_that_hand_a_caller_round_for_ever_are_told_with_their_place(tmp_path: Path) -> None:
    """Sales gives up after its longest wait and leads to help, help to again, and again to sales, for ever."""
    yaml = marked(OVERFLOW)
    found = problems_of(tmp_path, yaml.text)
    assert [(problem.code, span(problem)) for problem in found] == [(Code.ENDLESS, yaml.spans[0])]
    assert "again → again" in found[0].message


def test_a_way_out_by_a_key_does_not_end_the_round_of_those_who_press_nothing(tmp_path: Path) -> None:
    text = OVERFLOW.replace("- transfer: sales", "- transfer: {to: sales, keys: {'1': [hangup]}}")
    assert [problem.code for problem in problems_of(tmp_path, marked(text).text)] == [Code.ENDLESS]


def test_a_round_that_needs_a_key_each_time_is_the_caller_s_own_wish(tmp_path: Path) -> None:
    text = OVERFLOW.replace(
        "- transfer: sales", "- transfer: {to: sales, keys: {'1': [{goto: again}]}, on_timeout: [hangup]}"
    )
    warnings = load_text(tmp_path, marked(text).text).warnings
    assert [warning.code for warning in warnings] == [Code.UNUSED], "a prompt, that nobody hears now"
