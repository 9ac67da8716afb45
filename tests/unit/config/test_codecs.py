"""Codecs in the configuration: names however they are spelled, an order of one's own, and what is not there here."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config.problems import Code
from callcenter.media.settings import USUAL_CODECS
from callcenter.rtp import opus
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

ANA = "  ana: {name: Ana, skills: {english: 4}, clients: [acme]}\n"


def with_codecs(agent: str) -> str:
    assert ANA in GOOD
    return GOOD.replace(ANA, ANA.replace("}\n", f", codecs: {agent}}}\n"))


def test_without_a_word_narrow_band_is_preferred_and_everything_spoken(tmp_path: Path) -> None:
    settings = load_text(tmp_path)
    assert settings.media.codecs == USUAL_CODECS == ("PCMU", "PCMA", "G722", "opus")
    assert settings.calls.agent_codecs == {}


@pytest.mark.parametrize(
    ("written", "codecs"),
    [
        ("[opus, G722, PCMU]", ("opus", "G722", "PCMU")),
        ("[OPUS, G.722, pcmu, alaw]", ("opus", "G722", "PCMU", "PCMA")),
        ("L16", ("L16",)),
    ],
)
def test_names_are_known_however_they_are_spelled(tmp_path: Path, written: str, codecs: tuple[str, ...]) -> None:
    assert load_text(tmp_path, with_codecs(written)).calls.agent_codecs == {"ana": codecs}
    assert load_text(tmp_path, GOOD + f"media: {{codecs: {written}}}\n").media.codecs == codecs


@pytest.mark.parametrize(
    ("code", "written", "message", "hint"),
    [
        (Code.CHOICE, "[PCMU, «G729»]", "`G729` is not known here", "known here: PCMU, PCMA, G722, opus, L16"),
        (Code.FORM, "«[PCMU, G722, pcmu]»", "`PCMU` stands here twice", "take one away"),
        (Code.FORM, "«[]»", "it is empty", "write at least one"),
        (Code.CHOICE, "[«8»]", "is not", ""),
    ],
)
@pytest.mark.parametrize("where", ["agent", "media"])
def test_a_mistake_is_pointed_at(tmp_path: Path, where: str, code: Code, written: str, message: str, hint: str) -> None:
    text = with_codecs(written) if where == "agent" else GOOD + f"media: {{codecs: {written}}}\n"
    wanted = marked(text)
    (found,) = [problem for problem in problems_of(tmp_path, wanted.text) if not problem.warning]
    assert message in found.message
    assert hint in found.hint
    assert span(found) == wanted.spans[0]
    assert found.code == code or message == "is not"


@pytest.fixture
def without_libopus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "library", lambda: None)


@pytest.mark.usefixtures("without_libopus")
def test_a_codec_whose_library_is_not_here_is_told_with_the_remedy(tmp_path: Path) -> None:
    settings = load_text(tmp_path, GOOD + "media: {codecs: [PCMU, opus]}\n")
    (warning,) = [each for each in settings.warnings if each.code is Code.CODEC]
    assert (warning.path, warning.message) == ("media.codecs", "`opus` is left out: its library is not here")
    assert "apt-get install libopus0" in warning.hint
    wanted = marked(with_codecs("«[opus]»"))
    (found,) = [each for each in problems_of(tmp_path, wanted.text) if not each.warning]
    assert (found.code, span(found)) == (Code.CODEC, wanted.spans[0])
    assert found.message == "there is nothing but `opus`, whose library is not here"
