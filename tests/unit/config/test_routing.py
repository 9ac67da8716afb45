"""How the configuration says who gets which caller: steps, strategies, shares and weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.acd.requirements import AnyOf, Requirement
from callcenter.acd.settings import RoutingStep, Share, Strategy
from callcenter.config import Code
from tests.unit.config.floor import GOOD, load_text, problems_of, span


def test_steps_strategy_ageing_shares_and_weights_are_read(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path,
        GOOD,
        "queues.sales.routing=[{after: 30s, requirements: {any: [{english: 1}, {sales: 2}]}}, {after: 2m}]",
        "queues.sales.strategy=weighted_random",
        "queues.sales.age_weight=0.5",
        "clients.acme.share={minimum: 2, weight: 3}",
        "agents.ana.weight=4",
    )
    queue = settings.plan.queues["sales"]
    alternatives = AnyOf((Requirement("english", 1), Requirement("sales", 2)))
    assert queue.steps == (RoutingStep(30.0, alternatives), RoutingStep(120.0, None))
    assert (queue.strategy, queue.age_weight) == (Strategy.WEIGHTED_RANDOM, 0.5)
    assert settings.plan.shares == {"acme": Share(2, 3.0)}
    assert settings.plan.agents["ana"].weight == 4
    assert settings.plan.revision == settings.revision


def test_the_default_is_the_agent_idle_longest(tmp_path: Path) -> None:
    settings = load_text(tmp_path)
    assert settings.plan.queues["sales"].strategy is Strategy.LONGEST_IDLE
    assert settings.plan.shares == {}


def test_a_queue_that_somebody_serves_after_a_step_is_served(tmp_path: Path) -> None:
    harder = "queues.sales.requirements={english: 5}"
    assert any(problem.code is Code.NOBODY_SERVES for problem in problems_of(tmp_path / "one", GOOD, harder))
    step = "queues.sales.routing=[{after: 30s, requirements: {english: 4}}]"
    assert load_text(tmp_path / "two", GOOD, harder, step).warnings == ()


def test_a_step_that_nobody_meets_is_warned_of(tmp_path: Path) -> None:
    step = "queues.sales.routing=[{after: 30s, requirements: {english: 5}}]"
    [problem] = load_text(tmp_path, GOOD, step).warnings
    assert (problem.code, problem.path) == (Code.NOBODY_SERVES, "queues.sales.routing.0")


@pytest.mark.parametrize(
    ("argument", "code", "column", "end", "words"),
    [
        ("queues.sales.routing=[{after: 60s}, {after: 30s}]", Code.FORM, 22, 50, "stands behind one after 60 s"),
        ("queues.sales.routing=[]", Code.FORM, 22, 24, "it is empty"),
        ("queues.sales.routing=[{requirements: {}}]", Code.MISSING, 23, 41, "`after` is missing"),
        ("queues.sales.age_weight=-1", Code.FORM, 25, 27, "out of range"),
        ("clients.acme.share={minimum: -1}", Code.FORM, 30, 32, "out of range"),
        ("clients.acme.share={weight: 0}", Code.FORM, 29, 30, "out of range"),
        ("agents.ana.weight=0", Code.FORM, 19, 20, "out of range"),
    ],
)
def test_what_is_written_wrongly_is_told_with_its_place(
    argument: str, code: Code, column: int, end: int, words: str, tmp_path: Path
) -> None:
    found = [p for p in problems_of(tmp_path, GOOD, argument) if p.place.source.name == f"--set {argument}"]
    assert [(p.code, span(p)) for p in found][:1] == [(code, (1, column, end))], [str(p) for p in found]
    assert words in found[0].message
