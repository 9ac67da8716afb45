"""The targets by name, and how one input of them is tried: a name and a seed are all that a finding is repeated by."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.unit.sip.fuzzing import conversing, reading

TARGETS: dict[str, Callable[[Random], None]] = {
    "datagram": reading.datagram,
    "stream": reading.stream,
    "description": reading.description,
    "value": reading.value,
    "registrations": reading.registrations,
    "strangers": conversing.strangers,
    "conversation": conversing.conversation,
}


def try_one(target: str, seed: int) -> None:
    """Try the input that this seed makes. Whatever it raises is a finding."""
    TARGETS[target](Random(f"{target} {seed}"))
