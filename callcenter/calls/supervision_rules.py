"""SupervisionRules: what a client lets supervisors do in its calls, and who is told."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.model.states import SupervisionMode


@dataclass(frozen=True, slots=True)
class SupervisionRules:
    """What a client lets supervisors do in its calls. ``agent_sees``: the agent is shown who takes part, and how.

    ``announce``: the clips that caller and agent hear when a supervisor begins to, where the law wants them told.
    """

    agent_sees: bool = True
    allowed: frozenset[SupervisionMode] = frozenset(SupervisionMode)
    announce: str = ""

    def mode(self, wanted: SupervisionMode) -> SupervisionMode | None:
        """How a supervisor takes part who wants to do so: where that is not allowed she listens, if that is."""
        if wanted in self.allowed:
            return wanted
        return SupervisionMode.LISTEN if SupervisionMode.LISTEN in self.allowed else None


ALL_ALLOWED = SupervisionRules()
