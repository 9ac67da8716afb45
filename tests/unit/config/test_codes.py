"""Feature codes and reasons: what they become, and that whoever dials one hears an answer in a language of theirs."""

from __future__ import annotations

from pathlib import Path

from callcenter.calls.phrases import needed_prompts
from callcenter.calls.settings import CodeAction, FeatureCode
from callcenter.config import Code
from tests.unit.config.floor import GOOD, load_text, problems_of

REASONS = "acd: {reasons: {lunch: Lunch, break: Short break}}\n"
CODES = """\
feature_codes:
  "*20": ready
  "*21": {not_ready: lunch}
  "*29": sign_out
  "*30": wrap_up_done
  "*33": {wrap_up_done: solved}
  "*31": {wrap_up_extend: }
  "*32": state
"""


def spoken(*languages: str) -> str:
    """The prompts that codes need, in these languages."""
    said = ", ".join(f"{language}: {{file: hello.wav}}" for language in languages)
    return "".join(f"  {name}: {{{said}}}\n" for name in needed_prompts(["lunch", "break"], limited=True))


def test_codes_and_reasons_become_what_calls_go_by(tmp_path: Path) -> None:
    calls = load_text(tmp_path, REASONS + CODES + GOOD + spoken("en")).calls
    assert calls.reasons == {"lunch": "Lunch", "break": "Short break"}
    assert calls.feature_codes == {
        "*20": FeatureCode(CodeAction.READY),
        "*21": FeatureCode(CodeAction.NOT_READY, reason="lunch"),
        "*29": FeatureCode(CodeAction.SIGN_OUT),
        "*30": FeatureCode(CodeAction.WRAP_UP_DONE),
        "*33": FeatureCode(CodeAction.WRAP_UP_DONE, disposition="solved"),
        "*31": FeatureCode(CodeAction.WRAP_UP_EXTEND),
        "*32": FeatureCode(CodeAction.STATE),
    }
    assert calls.agent_languages == {"ana": "en"}, "the first language of the agent's first client"


def test_an_agents_own_language_wins_and_every_answer_must_be_there_in_it(tmp_path: Path) -> None:
    text = REASONS + CODES + GOOD.replace("clients: [acme]}", "clients: [acme], language: es}")
    assert load_text(tmp_path, text + spoken("en", "es")).calls.agent_languages == {"ana": "es"}
    problems = problems_of(tmp_path, text + spoken("en"))
    assert {problem.code for problem in problems} == {Code.NO_TRANSLATION}
    assert len(problems) == len(list(needed_prompts(["lunch", "break"], limited=False)))
    assert problems[0].message == "it is not there in es, which agents hear (agents.ana)"
    assert problems[0].hint == "add `es: ...`, or give the agent another `language`"


def test_not_ready_without_a_reason_is_a_mistake_where_reasons_are_configured(tmp_path: Path) -> None:
    codes = 'feature_codes: {"*21": not_ready}\n'
    (problem,) = problems_of(tmp_path, REASONS + codes + GOOD + spoken("en"))
    assert (problem.code, problem.message) == (Code.MISSING, "the reason is missing")
    assert problem.hint == "write {not_ready: REASON} with one of lunch, break"
    calls = load_text(tmp_path, codes + GOOD + spoken("en")).calls
    assert calls.feature_codes == {"*21": FeatureCode(CodeAction.NOT_READY)}


def test_a_reason_that_no_prompt_says_is_told_at_the_reason(tmp_path: Path) -> None:
    reasons = REASONS.replace("lunch: Lunch", "lunch: Lunch, nap: A nap")
    (problem,) = problems_of(tmp_path, reasons + CODES + GOOD + spoken("en"))
    assert (problem.code, problem.path) == (Code.MISSING, "acd.reasons.nap")
    assert "there is no prompt `reason-nap`" in problem.message
    assert problem.hint == 'add it to `prompts`, e.g. reason-nap: {en: "A nap"}'


def test_without_codes_no_prompts_are_asked_for(tmp_path: Path) -> None:
    assert load_text(tmp_path, REASONS + GOOD).calls.feature_codes == {}
