"""The configuration that is shipped: clean, complete, audible at once, and nobody's real number in it."""

from __future__ import annotations

import csv
import itertools
import re
from datetime import date
from pathlib import Path

import pytest

from callcenter.calls.settings import Menu, Prompts, ToQueue
from callcenter.config import DEFAULT_FOLDER, Settings, load
from callcenter.config.prompts import Prompt
from callcenter.model.customer import normalise_number
from callcenter.speech import level, wav

# 555-01xx in North America is set aside for fiction; a Brazilian subscriber's number never begins with two zeros.
FICTION = re.compile(r"\+1\d{3}55501\d\d|\+55\d{2}00000\d{3}")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load(None, data=tmp_path_factory.mktemp("data"))


def test_it_checks_clean_and_speaks_without_any_speech_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.speech.voices._installed", lambda engine: False)
    settings = load(None, data=tmp_path, today=date(2026, 11, 21))  # a year on, the next holidays are missing
    assert [str(warning) for warning in settings.warnings] == []
    assert settings.sounds.jobs == ()


def test_two_companies_are_served_in_their_languages(shipped: Settings) -> None:
    clients = shipped.calls.clients
    assert {name: client.languages for name, client in clients.items()} == {
        "the-tech-giant": ("en", "es"),
        "casa-lumina": ("pt-BR",),
    }
    for client in clients.values():
        for language in client.languages:
            assert "Ana" in client.greeting_for(language, "Ana")
    assert {number.aliases[0]: number.client for number in shipped.calls.numbers.values()} == {
        "1000": "the-tech-giant",
        "1001": "the-tech-giant",
        "2000": "casa-lumina",
    }
    assert len(shipped.plan.agents) == 6


def test_every_key_of_every_menu_leads_to_somebody(shipped: Settings) -> None:
    queues = set()
    for flow in shipped.calls.flows.values():
        stack = list(flow.steps)
        while stack:
            match stack.pop():
                case Menu() as menu:
                    stack += [step for choice in menu.choices.values() for step in choice.then]
                    stack += menu.otherwise
                case ToQueue(queue=queue):
                    queues.add(queue)
                case _:
                    pass
    assert queues == set(shipped.plan.queues)


def test_every_default_that_is_written_there_is_the_default(shipped: Settings, tmp_path: Path) -> None:
    """switch.yaml says that what stands in it is what holds without it."""
    bare = load(None, [f"{section}=~" for section in ("switch", "sip", "media", "mqtt")], data=shipped.switch.data)
    assert (bare.sip, bare.media, bare.mqtt) == (shipped.sip, shipped.media, shipped.mqtt)
    assert (bare.switch, bare.calls.pop_wait, bare.calls.max_calls) == (
        shipped.switch,
        shipped.calls.pop_wait,
        shipped.calls.max_calls,
    )


def test_numbers_are_fictional(shipped: Settings) -> None:
    assert shipped.customers is not None
    with shipped.customers.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["client"] for row in rows} == set(shipped.calls.clients)
    numbers = [number for row in rows for number in row["numbers"].split(";")]
    for number in (*numbers, *shipped.calls.numbers):
        assert FICTION.fullmatch(number), number
        assert normalise_number(number) == number
    assert not set(numbers) & set(shipped.calls.numbers)


def test_no_password_stands_in_it() -> None:
    for path in DEFAULT_FOLDER.glob("*.yaml"):
        assert not re.search(r"^\s*(sip_md5|sip_sha256|password):", path.read_text("utf-8"), re.MULTILINE), path


def sounds(prompts: Prompts) -> list[Path]:
    return sorted({Path(clip.path) for clips in prompts.texts.values() for clip in clips})


def test_every_prompt_is_loud_enough_clear_of_clipping_and_begins_at_once(shipped: Settings) -> None:
    for path in sounds(shipped.calls.prompts):
        sound = wav.read(path)
        assert wav.probe(path).for_the_line, path
        assert level.loudness(sound.samples) == pytest.approx(level.TARGET_DBFS, abs=1.5), path
        assert max(map(abs, sound.samples)) < 0.95 * 32768, path
        levels = level.frame_levels(sound.samples)
        audible = [at for at, value in enumerate(levels) if value > 100]
        assert audible[0] <= 8, f"{path} begins with silence"
        assert len(levels) - audible[-1] <= 26, f"{path} ends with silence"  # behind a soft s
        assert 0.5 < sound.seconds < 12, path


def test_the_music_is_quieter_than_speech_and_loops_without_a_seam(shipped: Settings) -> None:
    (clip,) = shipped.calls.prompts.music(shipped.calls.treatments["lumina-sales"].music)
    samples = wav.read(Path(clip.path)).samples
    assert 20 < clip.seconds < 60
    assert -32 < level.loudness(samples) < -22
    steps = sorted(abs(b - a) for a, b in itertools.pairwise(samples))
    assert abs(samples[0] - samples[-1]) <= steps[len(steps) * 99 // 100], "a click at the seam"


def test_each_sound_that_ships_is_used_and_its_licence_is_named(shipped: Settings) -> None:
    folder = DEFAULT_FOLDER / "prompts"
    assert sorted(folder.glob("*/*.wav")) == sounds(shipped.calls.prompts)
    licences = (folder / "LICENSES.md").read_text("utf-8")
    for language in folder.iterdir():
        if language.is_dir():
            assert f"`{language.name}/*.wav`" in licences
    for music in (DEFAULT_FOLDER / "music").iterdir():
        assert f"`../music/{music.name}`" in licences
    assert sum(path.stat().st_size for path in DEFAULT_FOLDER.rglob("*.wav")) < 13_000_000


def test_the_schema_of_prompts_reads_parts_in_other_languages() -> None:
    prompt = Prompt.model_validate({"languages": {"es": ["hola", {"language": "en", "text": "bye"}]}})
    assert [(part.text, part.language) for part in prompt.languages["es"]] == [("hola", None), ("bye", "en")]
