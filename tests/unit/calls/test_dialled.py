"""What a number or a name means that an agent dials, and what everybody must prove first."""

from __future__ import annotations

import pytest

from callcenter.acd.settings import AgentSettings, Plan, QueueSettings
from callcenter.calls.dialled import Colleague, Destination, Forbidden, Line, Outside, destination, e164, guarded
from callcenter.calls.settings import CallsSettings, Client, DialRules, Number

ACME, BETA = (Client(name, name.title(), ("en",)) for name in ("acme", "beta"))
SETTINGS = CallsSettings(
    clients={"acme": ACME, "beta": BETA},
    numbers={"+18005550100": Number("+18005550100", "acme", "main", ("1000", "acme"))},
    may_dial={
        "ana": DialRules(outside=("+34", "+1"), never=("+1900", "+34")),
        "bea": DialRules(agents=False, queues=False),
    },
    agent_extensions={"201": "ana", "202": "bea", "299": "gone"},
    queue_extensions={"600": "sales"},
    dial_prefixes={"8": "beta", "82": "acme"},
    home_clients={"ana": "acme"},
)
PLAN = Plan(
    queues={"sales": QueueSettings("sales", "acme")},
    agents={name: AgentSettings(name, name.title(), {}, frozenset({"acme"})) for name in ("ana", "bea", "cas")},
)


@pytest.mark.parametrize(
    ("agent", "dialled", "meant"),
    [
        ("ana", "bea", Colleague("bea")),
        ("ana", "202", Colleague("bea")),
        ("ana", "sales", Line("sales")),
        ("ana", "600", Line("sales")),
        ("ana", "ana", Forbidden(486, "dials himself")),
        ("ana", "299", Forbidden(404, "nobody has it")),
        ("bea", "ana", Forbidden(403, "may dial no agents")),
        ("bea", "600", Forbidden(403, "may dial no queues")),
        ("ana", "+14155550100", Outside("acme", "+14155550100")),
        ("ana", "0014155550100", Outside("acme", "+14155550100")),
        ("ana", "820014155550100", Outside("acme", "+14155550100")),
        ("ana", "8+14155550100", Forbidden(403, "does not dial for beta")),
        ("ana", "+19005550100", Forbidden(403, "may not dial this number")),
        ("ana", "+34911223344", Forbidden(403, "may not dial this number")),
        ("bea", "+14155550100", Forbidden(403, "may not dial this number")),
        ("cas", "+14155550100", Forbidden(403, "may not dial this number")),
        ("ana", "14155550100", Forbidden(404, "nobody has it")),
        ("ana", "+0123456789", Forbidden(404, "nobody has it")),
        ("ana", "nobody", Forbidden(404, "nobody has it")),
    ],
)
def test_whom_an_agent_means(agent: str, dialled: str, meant: Destination) -> None:
    assert destination(SETTINGS, PLAN, agent, dialled) == meant


@pytest.mark.parametrize(
    ("dialled", "asked"),
    [
        ("1000", False),
        ("acme", False),
        ("+18005550100", False),
        ("0018005550100", False),
        ("", False),
        ("ana", True),
        ("nobody", True),
        ("sales", True),
        ("201", True),
        ("999", True),
        ("9999", False),
        ("*77", False),
        ("+14155550100", True),
        ("820014155550100", True),
        ("+19005550100", False),
        ("+34911223344", False),
        ("+4930123456", False),
    ],
)
def test_what_only_those_may_dial_who_prove_who_they_are(dialled: str, asked: bool) -> None:
    assert guarded(SETTINGS, dialled) is asked


def test_the_longer_beginning_counts_and_of_equals_the_forbidden_one() -> None:
    rules = DialRules(outside=("+", "+1900555"), never=("+1900", "+44"))
    numbers = ("+34911223344", "+1900666000", "+1900555000", "+44123456789")
    assert [rules.permits(number) for number in numbers] == [True, False, True, False]
    assert not DialRules().permits("+34911223344")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+34911223344", "+34911223344"),
        ("0034 911-22.33(44)", "+34911223344"),
        ("911223344", None),
        ("+341", None),
        ("+1234567890123456", None),
        ("ana", None),
        ("00", None),
    ],
)
def test_only_what_is_e164_is_dialled_outside(written: str, number: str | None) -> None:
    assert e164(written) == number
