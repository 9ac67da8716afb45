"""Wrap-ups, dispositions, breaks, supervisors: what they become, and what is written wrongly, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.acd.settings import Dispositions, WrapUpSettings
from callcenter.calls.settings import BreakLimits, Supervisor
from callcenter.config import Code
from callcenter.config.secrets import SecretsError, open_secrets
from callcenter.model.states import WrapUpMode
from callcenter.publish.settings import Role
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

CLIENT = "acme: {name: Acme, languages: [en]}"
TREE = """acme:
    name: Acme
    languages: [en]
    dispositions:
      sold: Sold
      not-sold: {label: Not sold, codes: {too-dear: Too dear, later: {label: Later, codes: {spring: In spring}}}}
"""
LONG_CODE = (
    f"acme: {{name: Acme, languages: [en], dispositions: {{{'a' * 40}: {{label: A, codes: {{«{'b' * 40}»: B}}}}}}}}"
)
HASH = "$7$101$bm9ib2R5$c2VjcmV0"


def with_client(text: str) -> str:
    return GOOD.replace(CLIENT, text)


def test_an_optional_wrap_up_has_a_time_and_a_choice(tmp_path: Path) -> None:
    text = GOOD.replace("{client: acme, req", "{client: acme, wrap_up: {mode: optional, time: 1m, choice: 3s}, req")
    assert load_text(tmp_path, text).plan.queues["sales"].wrap_up == WrapUpSettings(
        WrapUpMode.OPTIONAL, 60.0, 0.0, choice=3.0
    )


def test_a_tree_of_dispositions_becomes_its_leaves_by_their_paths(tmp_path: Path) -> None:
    plan = load_text(tmp_path, with_client(TREE + "    dispositions_required: true\n")).plan
    assert plan.dispositions == {
        "acme": Dispositions(
            {
                "sold": "Sold",
                "not-sold/too-dear": "Not sold: Too dear",
                "not-sold/later/spring": "Not sold: Later: In spring",
            },
            required=True,
        )
    }
    assert plan.dispositions_of("sales").find("spring") == "not-sold/later/spring"
    assert load_text(tmp_path / "without").plan.dispositions == {}


def test_reasons_have_limits_or_a_word(tmp_path: Path) -> None:
    reasons = "{lunch: {label: Lunch, longest: 45m, a_day: 1h, at_once: 2}, break: Short break}"
    calls = load_text(tmp_path, f"acd: {{reasons: {reasons}}}\n" + GOOD).calls
    assert calls.reasons == {"lunch": "Lunch", "break": "Short break"}
    assert calls.break_limits == {"lunch": BreakLimits(2700.0, 3600.0, 2)}


def test_supervisors_have_a_login_of_their_own_and_agents_may_answer_by_themselves(tmp_path: Path) -> None:
    supervisors = f"supervisors:\n  eva: {{name: Eva}}\n  tom: {{name: Tom, clients: [acme], mqtt: {HASH}}}\n"
    text = supervisors + GOOD.replace("clients: [acme]}", "clients: [acme], auto_answer: true}")
    settings = load_text(tmp_path, text)
    assert settings.calls.supervisors == {
        "eva": Supervisor("eva", "Eva"),
        "tom": Supervisor("tom", "Tom", frozenset({"acme"})),
    }
    assert settings.calls.auto_answer == {"ana"}
    made = open_secrets(settings)
    logins = {login.user: login for login in made.logins}
    assert (logins["eva"].role, logins["tom"].role) == (Role.SUPERVISOR, Role.SUPERVISOR)
    assert (logins["tom"].hash, logins["tom"].password) == (HASH, "")
    assert "eva" in made.new
    assert "tom" not in made.new
    assert "eva" not in made.credentials, "a supervisor has no phone"
    again = open_secrets(settings)
    assert again.passwords["eva"] == made.passwords["eva"]
    assert again.new == frozenset()


def test_an_older_file_of_credentials_knows_no_supervisors_and_is_completed(tmp_path: Path) -> None:
    before = open_secrets(load_text(tmp_path))
    after = open_secrets(load_text(tmp_path, "supervisors: {eva: {name: Eva}}\n" + GOOD))
    assert after.passwords["ana"] == before.passwords["ana"]
    assert after.new == {"eva"}
    assert after.passwords["eva"].mqtt


def test_credentials_whose_supervisors_are_no_mapping_are_told_of(tmp_path: Path) -> None:
    settings = load_text(tmp_path)
    path = open_secrets(settings).path
    path.write_text(path.read_text() + "supervisors: eva\n")
    with pytest.raises(SecretsError, match="cannot be understood"):
        open_secrets(settings)


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        (
            "{client: acme, req", "{client: acme, wrap_up: «{mode: timed, choice: 3s}», req",
            "`choice` is the time to ask for an optional wrap-up", "write mode: optional",
        ),
        (
            "{client: acme, req", "{client: acme, wrap_up: {mode: «optionl»}, req",
            "", "`optional`",
        ),
        (
            CLIENT, "acme: {name: Acme, languages: [en], dispositions_required: true}",
            "`dispositions_required` without `dispositions`", "add dispositions",
        ),
        (
            CLIENT, "acme: {name: Acme, languages: [en], dispositions: {«Sold»: Sold}}",
            "`Sold` cannot be a name here", "write it as `sold`",
        ),
        (
            CLIENT, LONG_CODE,
            "has 81 characters: 64 at most", "take shorter names",
        ),
        (
            "queues:\n", "acd: {reasons: {lunch: {label: Lunch, longest: «45»}}}\nqueues:\n",
            "`45` has no unit", "write 45s",
        ),
        (
            "queues:\n", "acd: {reasons: {lunch: {label: Lunch, longest: 1h, a_day: 30m}}}\nqueues:\n",
            "`a_day` is less than `longest`", "write more for `a_day`",
        ),
        (
            "queues:\n", "acd: {reasons: {lunch: {label: Lunch, at_once: «0»}}}\nqueues:\n",
            "", "",
        ),
        (
            "queues:\n", "supervisors: {«ana»: {name: Ana}}\nqueues:\n",
            "`ana` is an agent already", "take another name for the login",
        ),
        (
            "queues:\n", "supervisors: {«monitor»: {name: M}}\nqueues:\n",
            "`monitor` cannot be an agent or supervisor", "take another",
        ),
        (
            "queues:\n", "supervisors: {eva: {name: Eva, clients: [«acm»]}}\nqueues:\n",
            "no client is named `acm`", "`acme`?",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_to_write(
    tmp_path: Path, old: str, new: str, message: str, hint: str
) -> None:
    assert old in GOOD
    text = marked(GOOD.replace(old, new, 1))
    (problem,) = problems_of(tmp_path, text.text)
    assert message in problem.message
    assert hint in problem.hint
    if text.spans:
        assert span(problem) == text.spans[0]


def test_a_code_that_dials_a_disposition_nobody_has_is_told_of(tmp_path: Path) -> None:
    codes = '"*31": {wrap_up_done: «sould»}'
    text = marked(with_client(TREE) + f"feature_codes: {{{codes}}}\n")
    found = [problem for problem in problems_of(tmp_path, text.text) if problem.code is Code.NAMES_NOTHING]
    (problem,) = found
    assert problem.message == "no client has the disposition `sould`"
    assert "`sold`?" in problem.hint
    assert span(problem) == text.spans[0]


def test_a_limit_of_those_who_are_out_needs_the_words_to_refuse(tmp_path: Path) -> None:
    reasons = 'acd: {reasons: {lunch: {label: Lunch, at_once: 2}}}\nfeature_codes: {"*20": ready}\n'
    (problem,) = problems_of(tmp_path, reasons + GOOD)
    assert problem.code is Code.MISSING
    assert "agent-break-full" in problem.hint
