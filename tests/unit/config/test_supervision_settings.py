"""What supervisors may hear: what it becomes, and what is written wrongly, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.calls.phrases import needed_prompts
from callcenter.calls.settings import CodeAction, FeatureCode, Supervisor, find_code
from callcenter.calls.supervision_rules import ALL_ALLOWED, SupervisionRules
from callcenter.config import feature_codes
from callcenter.model.states import SupervisionMode
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span
from tests.unit.config.test_agents_settings import with_client

LISTENING = "supervision: {agent_sees: false, allowed: [listen, whisper], announce: hello}"


def client(text: str) -> str:
    return with_client(f"acme: {{name: Acme, languages: [en], {text}}}")


def test_a_client_says_what_supervisors_may_do_and_what_is_said_of_it(tmp_path: Path) -> None:
    rules = load_text(tmp_path, client(LISTENING)).calls.clients["acme"].supervision
    allowed = frozenset({SupervisionMode.LISTEN, SupervisionMode.WHISPER})
    assert rules == SupervisionRules(agent_sees=False, allowed=allowed, announce="hello")
    assert load_text(tmp_path / "off", client("supervision: off")).calls.clients["acme"].supervision.allowed == set()
    assert load_text(tmp_path / "without").calls.clients["acme"].supervision == ALL_ALLOWED


def test_who_wants_more_than_is_allowed_listens_if_that_is() -> None:
    some = SupervisionRules(allowed=frozenset({SupervisionMode.LISTEN}))
    assert some.mode(SupervisionMode.BARGE) is SupervisionMode.LISTEN
    assert SupervisionRules(allowed=frozenset({SupervisionMode.BARGE})).mode(SupervisionMode.WHISPER) is None


def test_a_supervisor_has_the_phone_of_an_agent(tmp_path: Path) -> None:
    calls = load_text(tmp_path, "supervisors: {eva: {name: Eva, agent: ana}}\n" + GOOD).calls
    assert calls.supervisors == {"eva": Supervisor("eva", "Eva", None, "ana")}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (client("supervision: {allowed: [«lisen»]}"), "", "`listen`"),
        (client("supervision: {announce: «helo»}"), "no prompt is named `helo`", "`hello`"),
        (
            "supervisors: {eva: {name: Eva, agent: «anna»}}\n" + GOOD,
            "no agent is named `anna`", "`ana`",
        ),
        (
            "supervisors: {eva: {name: Eva, agent: ana}, tom: {name: Tom, agent: «ana»}}\n" + GOOD,
            "eva has the phone of `ana` already", "take another agent",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_to_write(tmp_path: Path, text: str, message: str, hint: str) -> None:
    written = marked(text)
    (problem,) = problems_of(tmp_path, written.text)
    assert message in problem.message
    assert hint in problem.hint
    assert span(problem) == written.spans[0]


def test_an_announcement_must_be_there_in_the_languages_of_the_client(tmp_path: Path) -> None:
    text = with_client("acme: {name: Acme, languages: [en, es], supervision: {announce: beep}}")
    text = text.replace("prompts:\n", 'prompts:\n  beep: {en: "Beep."}\n')
    found = [problem for problem in problems_of(tmp_path, text) if "clients.acme.supervision" in problem.message]
    assert [problem.hint for problem in found] == ["add `es: ...`"]


def test_codes_for_supervisors_and_for_who_asks_others_are_one_word_each() -> None:
    for action in CodeAction:
        if action not in (CodeAction.NOT_READY, CodeAction.WRAP_UP_DONE):
            assert feature_codes.FeatureCode.model_validate(action.value).action is action


def test_whom_a_code_is_about_stands_behind_it() -> None:
    codes = {"*71": FeatureCode(CodeAction.LISTEN), "*20": FeatureCode(CodeAction.READY)}
    for dialled in ("*71206", "*71*206", "*71206#"):
        assert find_code(codes, dialled) == (codes["*71"], "206")
    assert find_code(codes, "*71") == (codes["*71"], "")
    assert find_code(codes, "*20") == (codes["*20"], "")
    assert find_code(codes, "*201") is None


def test_a_code_that_nobody_has_the_phone_for_is_a_warning(tmp_path: Path) -> None:
    said = "".join(f"  {name}: {{en: {{file: hello.wav}}}}\n" for name in needed_prompts((), limited=True))
    text = 'feature_codes: {"*71": listen}\n' + GOOD.replace("prompts:\n", f"prompts:\n{said}")
    for supervisor, wanted in (("{name: Eva}", 1), ("{name: Eva, agent: ana}", 0)):
        settings = load_text(tmp_path / str(wanted), f"supervisors: {{eva: {supervisor}}}\n{text}")
        found = [warning for warning in settings.warnings if "no supervisor has a phone" in warning.message]
        assert len(found) == wanted
