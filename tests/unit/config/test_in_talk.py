"""Entries in a talk as they are written, and every way to get them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.calls.phrases import needed_prompts
from callcenter.calls.settings import CodeAction, FeatureCode
from callcenter.config import Code
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

ALLOWS = GOOD.replace("languages: [en]}", "languages: [en], in_talk: [card]}").replace(
    "flows:\n",
    "flows:\n  card:\n    - say: hello\n    - collect: {into: card, prompt: hello, min: 13, max: 19, mask: true}\n"
    "    - set: {paid: asked}\n",
)


def test_a_flow_that_only_asks_may_be_started_in_a_talk(tmp_path: Path) -> None:
    """And counts as used, although no number leads to it."""
    settings = load_text(tmp_path, ALLOWS)
    assert settings.calls.clients["acme"].in_talk == ("card",)
    assert settings.warnings == ()
    codes = 'feature_codes:\n  "*85": {entry_start: card}\n  "*86": entry_cancel\n'
    said = "".join(f"  {name}: {{en: {{file: hello.wav}}}}\n" for name in needed_prompts([], limited=True))
    by_code = load_text(tmp_path / "codes", codes + ALLOWS + said).calls.feature_codes
    assert by_code["*85"] == FeatureCode(CodeAction.ENTRY_START, entry="card")
    assert by_code["*86"] == FeatureCode(CodeAction.ENTRY_CANCEL)
    assert load_text(tmp_path / "none").calls.clients["acme"].in_talk == ()


@pytest.mark.parametrize(
    ("before", "after", "code", "message", "hint"),
    [
        ("[card]", "[«cart»]", Code.NAMES_NOTHING, "no flow is named `cart`", "did you mean `card`?"),
        (
            "clients:",
            'feature_codes: {"*85": {entry_start: «welcome»}}\nclients:',
            Code.FORM,
            "no client permits `welcome`",
            "in_talk: [welcome]",
        ),
        ("[card]", "[card, «card»]", Code.FORM, "stands here twice", "take one away"),
        (
            "- say: hello\n    - col",
            "- «queue»: sales\n    - col",
            Code.FORM,
            "`queue` cannot be in a flow",
            "say, collect",
        ),
        ("- say: hello\n    - col", "- «hangup»\n    - col", Code.FORM, "`hangup` cannot be in a flow", "of its own"),
        (
            "    - collect: {into: card, prompt: hello, min: 13, max: 19, mask: true}\n",
            "",
            Code.FORM,
            "asks for nothing",
            "add",
        ),
    ],
)
def test_a_mistake_is_pointed_at(tmp_path: Path, before: str, after: str, code: Code, message: str, hint: str) -> None:
    text = marked(ALLOWS.replace(before, after, 1))
    problem = next(each for each in problems_of(tmp_path, text.text) if each.code is code)
    assert message in problem.message
    assert hint in problem.hint
    if text.spans:
        assert span(problem) == text.spans[0]
