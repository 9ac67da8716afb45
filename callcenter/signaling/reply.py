"""Reply: what a request outside a session is answered with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """A final answer without body. ``reason``: the words beside the status; None: those of the RFC."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
