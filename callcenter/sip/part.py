"""Part: what works for one session, and does not keep it alive.

A session owns its parts. Were it held by them in turn, the two would be a ring that only the garbage collector opens,
and its rounds stop every call (tests/scenarios/test_gone_at_once.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from callcenter.sip.invite import Session


class Part:
    """A part of one session, which lives as long as that at most."""

    __slots__ = ("_whole",)

    def __init__(self, session: Session) -> None:
        self._whole = ref(session)

    @property
    def _session(self) -> Session:
        session = self._whole()
        assert session is not None, "a part outlived its session"
        return session
