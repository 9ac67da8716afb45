"""Phrases: what an agent may hear who dials a code; each is a prompt of the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum


class Phrase(StrEnum):
    """What an agent may hear: the name of a prompt."""

    READY = "agent-ready"
    READY_NEXT = "agent-ready-next"
    NOT_READY = "agent-not-ready"
    NOT_READY_NEXT = "agent-not-ready-next"
    SIGNED_OUT = "agent-signed-out"
    SIGNED_OUT_NEXT = "agent-signed-out-next"
    MISSED = "agent-missed"
    UNREACHED = "agent-unreached"
    NO_PHONE = "agent-no-phone"
    IN_A_CALL = "agent-in-a-call"
    IN_WRAP_UP = "agent-in-wrap-up"
    WRAPPED_UP = "agent-wrapped-up"
    EXTENDED = "agent-extended"
    NOTHING_TO_WRAP_UP = "agent-nothing-to-wrap-up"
    NEEDS_DISPOSITION = "agent-needs-disposition"
    NOT_EXTENDABLE = "agent-not-extendable"
    EXTENDED_BEFORE = "agent-extended-before"
    BREAK_FULL = "agent-break-full"
    RECORDED = "agent-recorded"
    RECORD_PAUSED = "agent-record-paused"
    NOT_RECORDED = "agent-not-recorded"
    NOT_RECORDABLE = "agent-not-recordable"
    MUST_RECORD = "agent-must-record"


OF_LIMITS = frozenset({Phrase.BREAK_FULL})
OF_RECORDING = frozenset(
    {Phrase.RECORDED, Phrase.RECORD_PAUSED, Phrase.NOT_RECORDED, Phrase.NOT_RECORDABLE, Phrase.MUST_RECORD}
)


def reason_prompt(reason: str) -> str:
    """The name of the prompt that says a reason for being not ready."""
    return f"reason-{reason}"


def needed_prompts(reasons: Iterable[str], *, limited: bool, recorded: bool = False) -> Iterator[str]:
    """The prompts that must be there when there are codes: whatever anybody may hear, whoever chose it, and how.

    ``limited``: whether a break may be refused, because too many are out. ``recorded``: whether a code is about
    recording.
    """
    unheard = (frozenset() if limited else OF_LIMITS) | (frozenset() if recorded else OF_RECORDING)
    yield from (str(phrase) for phrase in Phrase if phrase not in unheard)
    yield from map(reason_prompt, reasons)
