"""The log: one line a fact, and nothing in it that tells who called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from callcenter import observe
from callcenter.model.facts import AgentRang, Body, CallArrived, Fact, MediaMissing, TrunkTried
from callcenter.model.states import Side

ARRIVED = CallArrived("tech", "main", "+14155550100", "Jo Doe", "+18005550100", "UDP", "10.0.0.9:5060", "x@y")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave structlog as it was found."""
    yield
    structlog.reset_defaults()


def told(body: Body, capsys: pytest.CaptureFixture[str], level: str = "info") -> str:
    observe.set_up("json", level)
    observe.FactLogger().take(Fact(7, datetime(2026, 11, 21, tzinfo=UTC), "b", 1, "cc1-x", body))
    return capsys.readouterr().err


def test_a_fact_is_one_line_of_json_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    line = json.loads(told(ARRIVED, capsys))
    assert (line["event"], line["call_id"], line["seq"], line["to_number"]) == (
        "call arrived",
        "cc1-x",
        7,
        "+18005550100",
    )


def test_the_callers_number_is_masked_and_the_name_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(ARRIVED, capsys)
    assert "+1415555****" in text
    assert '5550100"' not in text.replace("+18005550100", "")
    assert "Jo Doe" not in text


def test_credentials_never_reach_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    observe.set_up("json")
    structlog.get_logger().info("signed in", password="hunter2", authorization="Digest response=abc", ha1="0123")
    text = capsys.readouterr().err
    assert not any(secret in text for secret in ("hunter2", "abc", "0123"))


def test_quiet_facts_are_for_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(AgentRang("o1", "amy"), capsys) == ""
    assert "agent rang" in told(AgentRang("o1", "amy"), capsys, "debug")


def test_whom_somebody_called_outside_is_masked_as_any_number(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(TrunkTried("carrier", "udp 198.51.100.7:5060", "+14155550188", 503, "503 Service Unavailable"), capsys)
    assert json.loads(text)["number"] == "+1415555****"
    assert "5550188" not in text


def test_sound_that_does_not_come_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    line = json.loads(told(MediaMissing(Side.CALLER, "nothing is heard from the caller"), capsys, "warning"))
    assert (line["event"], line["level"]) == ("media missing", "warning")


@pytest.mark.parametrize(("number", "masked"), [("+14155550100", "+1415555****"), ("ana", "ana"), ("1000", "1000")])
def test_masking_keeps_what_is_no_callers_number(number: str, masked: str) -> None:
    assert observe.mask_number(number) == masked


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    observe.set_up("text")
    structlog.get_logger().info("call arrived", from_number="+14155550100")
    text = capsys.readouterr().err
    assert "call arrived" in text
    assert "+1415555****" in text


def test_what_a_caller_sends_cannot_command_the_operators_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    observe.set_up("text")
    structlog.get_logger().info("call arrived", from_number="\x1b]0;owned\x07", contact="\x9b31m\u202e", said="a\nb")
    text = capsys.readouterr().err
    assert "]0;owned" in text
    assert all(char.isprintable() for char in text.rstrip("\n")), repr(text)


def test_a_traceback_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    observe.set_up("text")
    try:
        raise ValueError("ours\x1b[31m")
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert text.count("\n") > 3
    assert "\x1b" not in text


def test_a_number_that_an_agent_wants_to_ask_is_masked_behind_its_code_and_in_an_order() -> None:
    event = observe.mask(None, "", {"code": "*80+14155550300#", "order": "consult +14155550300", "target": "bob"})
    assert event == {"code": "*80+1415555****#", "order": "consult +1415555****", "target": "bob"}
