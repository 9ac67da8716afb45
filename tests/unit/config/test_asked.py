"""What calls ask beyond their queues, by language, intent, tier, step and preference, from YAML; and its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.acd.requirements import parse
from callcenter.calls.settings import Menu, Routing, ToQueue
from callcenter.config import Code
from callcenter.config.settings import Settings
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

CLIENT = "acme: {name: Acme, languages: [en]"
STEP = "{queue: sales}"
QUEUE = "requirements: {english: 3}"


def step_of(settings: Settings) -> ToQueue:
    menu = settings.calls.flows["welcome"].steps[1]
    assert isinstance(menu, Menu)
    step = menu.choices["1"].then[0]
    assert isinstance(step, ToQueue)
    return step


def test_nothing_is_asked_and_a_place_is_kept_for_two_minutes_when_nothing_is_written(tmp_path: Path) -> None:
    settings = load_text(tmp_path)
    assert settings.calls.clients["acme"].routing == Routing(keep_place_for=120.0, prefer_for=20.0)
    assert (step_of(settings).needs, step_of(settings).prefer, settings.calls.intents) == ((), None, {})


def test_a_client_says_what_language_intent_and_tier_mean_and_who_comes_first(tmp_path: Path) -> None:
    asked = (
        "language_skills: {en: {english: 2}}, intents: {sales: {any: [{english: 4}, {sales: 1}]}},"
        " tiers: {gold: 20, bronze: -5}, prefer: [customer, last_agent, ana], prefer_for: 45s,"
        " last_agent_within: 48h, keep_place_for: 10m"
    )
    settings = load_text(tmp_path, GOOD.replace(CLIENT, f"{CLIENT}, {asked}"))
    assert settings.calls.clients["acme"].routing == Routing(
        languages={"en": parse("english>=2")},
        intents={"sales": parse("english>=4 or sales>=1")},
        tiers={"gold": 20, "bronze": -5},
        prefer=("customer", "last_agent", "ana"),
        prefer_for=45.0,
        last_agent_within=48 * 3600.0,
        keep_place_for=600.0,
    )


def test_what_holds_for_all_clients_stands_under_calls_and_a_client_s_own_stands_before_it(tmp_path: Path) -> None:
    common = "calls: {keep_place_for: 5m, prefer_for: 10s, last_agent_within: 1h}\n"
    routing = load_text(tmp_path, GOOD + common).calls.clients["acme"].routing
    assert (routing.keep_place_for, routing.prefer_for, routing.last_agent_within) == (300.0, 10.0, 3600.0)
    text = (GOOD + common).replace(CLIENT, f"{CLIENT}, keep_place_for: off, prefer_for: 1s")
    routing = load_text(tmp_path, text).calls.clients["acme"].routing
    assert (routing.keep_place_for, routing.prefer_for, routing.last_agent_within) == (0.0, 1.0, 3600.0)


def test_a_step_asks_and_prefers_and_a_queue_has_its_own_meaning_of_an_intent(tmp_path: Path) -> None:
    text = GOOD.replace(
        STEP, "{queue: {to: sales, requirements: {english: 4}, priority: 7, prefer: ana, prefer_for: 5s}}"
    ).replace(QUEUE, f"{QUEUE}, intents: {{sales: {{english: 4}}}}")
    settings = load_text(tmp_path, text)
    assert step_of(settings) == ToQueue("sales", priority=7, needs=parse("english>=4"), prefer=("ana",), prefer_for=5.0)
    assert settings.calls.intents == {"sales": {"sales": parse("english>=4")}}
    assert settings.calls.preferred == {"ana"}


def test_a_step_may_prefer_nobody_where_the_client_prefers_somebody(tmp_path: Path) -> None:
    text = GOOD.replace(STEP, "{queue: {to: sales, prefer: []}}").replace(CLIENT, f"{CLIENT}, prefer: last_agent")
    settings = load_text(tmp_path, text)
    assert step_of(settings).prefer == ()
    assert settings.calls.clients["acme"].routing.prefer == ("last_agent",)


# Code, what is changed in the good floor, into what, words of the message, words of the hint.
MISTAKES: list[tuple[Code, str, str, str, str]] = [
    (Code.NAMES_NOTHING, STEP, "{queue: {to: sales, prefer: «anna»}}", "no agent is named `anna`", "`ana`?"),
    (Code.NAMES_NOTHING, STEP, "{queue: {to: sales, prefer: [ana, «last-agent»]}}", "no agent", "`last_agent`?"),
    (Code.NAMES_NOTHING, CLIENT, f"{CLIENT}, prefer: «zoe»", "no agent is named `zoe`", "last_agent, promise"),
    (Code.FORM, CLIENT, f"{CLIENT}, prefer: «[ana, ana]»", "`ana` stands here twice", "take one away"),
    (Code.DURATION, CLIENT, f"{CLIENT}, keep_place_for: «2h»", "nobody is waited for that long", "at most 1h"),
    (Code.DURATION, CLIENT, f"{CLIENT}, keep_place_for: «120»", "no unit", "120s"),
    (Code.DURATION, STEP, "{queue: {to: sales, prefer_for: «soon»}}", "not a duration", "20s"),
    (Code.FORM, CLIENT, f"{CLIENT}, tiers: {{gold: «500»}}", "`500` is out of range", "at most 100"),
    (Code.NO_TRANSLATION, CLIENT, f"{CLIENT}, language_skills: {{«es»: {{english: 1}}}}", "not served in `es`", "en"),
    (Code.NAMES_NOTHING, CLIENT, f"{CLIENT}, intents: {{«sale»: {{english: 1}}}}", "no menu has", "`sales`?"),
    (Code.NAMES_NOTHING, QUEUE, f"{QUEUE}, intents: {{«billing»: {{english: 1}}}}", "no menu has", "`intent`"),
    (Code.NOBODY_SERVES, CLIENT, f"{CLIENT}, language_skills: {{«en»: {{englich: 2}}}}",
     "nobody serves acme and has englich>=2", "Ana, who has englich 0 of 2"),
    (Code.NOBODY_SERVES, CLIENT, f"{CLIENT}, intents: {{«sales»: {{any: [{{english: 5}}, {{sales: 1}}]}}}}",
     "nobody serves acme and has english>=5 or sales>=1", "nearest is Ana"),
    (Code.NOBODY_SERVES, QUEUE, f"{QUEUE}, intents: {{«sales»: {{english: 5}}}}",
     "nobody may take callers of `sales` and has english>=5", "english 4 of 5"),
    (Code.NOBODY_SERVES, STEP, "{queue: {to: sales, «requirements»: {english: 5}}}",
     "nobody may take callers of `sales` and has english>=5", "english 4 of 5"),
    (Code.FORM, STEP, "{queue: {to: sales, requirements: «{english: [{sales: 2}]}»}}", "a list stands behind", "any:"),
    (Code.FORM, QUEUE, "requirements: «{any: {english: 3}}»", "no list stands",
     "write any: [{...}, {...}]"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "old", "new", "message", "hint"), MISTAKES)
def test_every_mistake_is_pointed_at(tmp_path: Path, code: Code, old: str, new: str, message: str, hint: str) -> None:
    assert old in GOOD
    text = marked(GOOD.replace(old, new))
    [problem] = problems_of(tmp_path, text.text)
    assert problem.code is code, problem
    assert message in problem.message
    assert hint in problem.hint
    assert [span(problem)] == list(text.spans)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (STEP, "{queue: {to: sales, prefer: «bob»}}", "Bob may not take callers of `sales`"),
        (STEP, "{queue: {to: sales, requirements: {english: 4}, prefer: [ana, «cid»]}}", "Cid may not take callers"),
        (CLIENT, f"{CLIENT}, prefer: [last_agent, «dan»]", "Dan does not serve acme"),
    ],
)
def test_who_is_preferred_and_can_never_take_the_call_is_warned_of(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    more = (
        "  bob: {name: Bob, skills: {english: 2}, clients: [acme]}\n"
        "  cid: {name: Cid, skills: {english: 3}, clients: [acme]}\n"
        "  dan: {name: Dan, skills: {english: 5}, clients: [other]}\n"
    )
    floor = GOOD.replace("prompts:\n", more + "prompts:\n")
    floor = floor.replace("clients:\n", "clients:\n  other: {name: O, languages: [en]}\n", 1)
    text = marked(floor.replace(old, new))
    [warning] = [each for each in load_text(tmp_path, text.text).warnings if each.code is Code.NOBODY_SERVES]
    assert message in warning.message
    assert [span(warning)] == list(text.spans)
