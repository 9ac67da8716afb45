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


def reason_prompt(reason: str) -> str:
    """The name of the prompt that says a reason for being not ready."""
    return f"reason-{reason}"


def needed_prompts(reasons: Iterable[str], *, limited: bool) -> Iterator[str]:
    """The prompts that must be there when there are codes: whatever anybody may hear, whoever chose it, and how.

    ``limited``: whether a break may be refused, because too many are out.
    """
    yield from (str(phrase) for phrase in Phrase if limited or phrase is not Phrase.BREAK_FULL)
    yield from map(reason_prompt, reasons)
