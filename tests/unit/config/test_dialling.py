"""Who may dial what: what is written becomes rules, and what makes no sense is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.calls.settings import DialRules
from callcenter.config import Code
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

ANA = "ana: {name: Ana, skills: {english: 4}, clients: [acme]}"
DEFAULT = "acd: {may_dial: {queues: false, outside: +1}, direct: {ring_for: 12s, max_wait: 45s}}\n"


def with_ana(more: str) -> str:
    """The good floor, with more said of Ana."""
    return GOOD.replace(ANA, ANA.replace("clients: [acme]}", f"clients: [acme], {more}}}"))


def test_what_agents_may_dial_arrives_with_the_default_for_who_says_nothing(tmp_path: Path) -> None:
    text = GOOD.replace(ANA, f'{ANA}\n  bea: {{name: Bea, skills: {{english: 3}}, clients: [acme], extension: "202", '
                             'may_dial: {agents: false, outside: ["+34", "+"], never: "+1900"}}')  # fmt: skip
    text = text.replace("requirements: {english: 3}}", 'requirements: {english: 3}, extension: "600"}')
    text = text.replace("languages: [en]}", 'languages: [en], dial_prefix: "8"}')
    settings = load_text(tmp_path, DEFAULT + text)
    calls = settings.calls
    assert calls.may_dial == {
        "ana": DialRules(queues=False, outside=("+1",)),
        "bea": DialRules(agents=False, outside=("+34", "+"), never=("+1900",)),
    }
    assert (calls.agent_extensions, calls.queue_extensions) == ({"202": "bea"}, {"600": "sales"})
    assert (calls.dial_prefixes, calls.home_clients) == ({"8": "acme"}, {"ana": "acme", "bea": "acme"})
    direct = settings.plan.direct
    assert (direct.id, direct.ring_for, direct.max_wait, direct.wrap_up) == ("", 12.0, 45.0, None)


def test_who_says_nothing_lets_agents_dial_each_other_and_nobody_outside(tmp_path: Path) -> None:
    assert load_text(tmp_path, GOOD).calls.may_dial == {"ana": DialRules()}
    assert DialRules() == DialRules(agents=True, queues=True, outside=(), never=())


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("may_dial: {outside: [«34»]}", "`34` is not the beginning of a number in E.164"),
        ('may_dial: {outside: [«"0034"»]}', "`0034` is not the beginning of a number in E.164"),
        ('may_dial: {outside: [«"+0"»]}', "`+0` is not the beginning of a number in E.164"),
        ('may_dial: {outside: [«"+1*"»]}', "`+1*` is not the beginning of a number in E.164"),
        (
            'may_dial: «{outside: "+1", never: "+44"}»',
            "nothing in `outside` lets anybody dial `+44`, so there is nothing to except",
        ),
        ('may_dial: «{outside: "+1", never: "+1"}»', "`+1` stands in `outside` and in `never`"),
        ('extension: «"2"»', "`2` is not an extension"),
        ("extension: «ana»", "`ana` is not an extension"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_told_with_its_place(tmp_path: Path, written: str, message: str) -> None:
    yaml = marked(with_ana(written))
    (problem,) = problems_of(tmp_path, yaml.text)
    assert (problem.code, problem.message) == (Code.FORM, message)
    assert problem.hint
    assert (span(problem),) == yaml.spans


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_ana('extension: «"1000"»'), "`1000` reaches +15555550100 already"),
        (
            with_ana('extension: "201"').replace("{english: 3}}", '{english: 3}, extension: «"201"»}'),
            "`201` reaches agents.ana already",
        ),
        (
            GOOD.replace(
                "languages: [en]}",
                'languages: [en], dial_prefix: "8"}\n  beta: {name: Beta, languages: [en], dial_prefix: «"8"»}',
            ),
            "`8` chooses acme already",
        ),
        (
            GOOD.replace("languages: [en]}", 'languages: [en], dial_prefix: «"1000"»}'),
            "`1000` reaches +15555550100 already",
        ),
        (
            with_ana('extension: "201"').replace("languages: [en]}", 'languages: [en], dial_prefix: «"201"»}'),
            "`201` reaches agents.ana already",
        ),
    ],
)
def test_a_short_number_reaches_one_and_a_prefix_chooses_one(tmp_path: Path, text: str, message: str) -> None:
    yaml = marked(text)
    problems = [problem for problem in problems_of(tmp_path, yaml.text) if problem.code is Code.SAME_NUMBER]
    assert [problem.message for problem in problems] == [message]
    assert (span(problems[0]),) == yaml.spans
