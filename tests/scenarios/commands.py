"""What stories with commands share: somebody asks, as the control socket would have it."""

from __future__ import annotations

from typing import Any

from callcenter.control.protocol import Asked
from callcenter.model.access import Actor, Role
from callcenter.operate.commands import Commands
from callcenter.operate.life import Life
from callcenter.operate.reload import Reloader
from callcenter.simulation.world import World


async def ask(world: World, do: str, actor: Actor | None = None, id: str | None = None, **fields: Any) -> Any:
    """The answer to a command, of an operator where nobody is named. Raises CommandError."""
    life = Life()
    reloader = Reloader(world.house, life, lambda: world.settings, None)
    command = Commands(world.house, life, reloader).all()[do]
    asked = Asked(do, "olga" if actor is None else f"{actor.role} {actor.user}", id, fields, actor)
    command.check(asked)
    return await command.run(asked)


def agent(name: str, *clients: str) -> Actor:
    """One of the agents, who sees these companies' customers."""
    return Actor(name, Role.AGENT, frozenset(clients or ("tech",)), agent=name)


def supervisor(name: str = "sue", *clients: str) -> Actor:
    """A supervisor of these companies."""
    return Actor(name, Role.SUPERVISOR, frozenset(clients or ("tech",)))
