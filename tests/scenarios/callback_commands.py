"""What stories of planned callbacks share: commands as programs send them, and who asks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from callcenter.control.protocol import Asked
from callcenter.model.access import Actor, Role
from callcenter.model.facts import utc
from callcenter.operate.callbacks import callback_commands
from callcenter.simulation.world import World
from tests.scenarios.callbacks import SALES

AMY = Actor("amy", Role.AGENT, frozenset({"tech"}), agent="amy")
BOB = Actor("bob", Role.AGENT, frozenset({"tech"}), agent="bob")
BOSS = Actor("boss", Role.SUPERVISOR, frozenset({"tech"}))
STRANGER = Actor("mallory", Role.SUPERVISOR, frozenset({"other"}))


async def ask(
    world: World, do: str, *, actor: Actor | None = None, command: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Ask the switch, as the control socket does. Raises CommandError."""
    by = "operator" if actor is None else f"{actor.role} {actor.user}"
    asked = Asked(do, by, command, fields, actor)
    found = callback_commands(world.house)[do]
    found.check(asked)
    return dict(await found.run(asked))


async def plan(world: World, number: str, *, after: float = 0.0, lasts: float | None = None, **fields: Any) -> str:
    """Have somebody called back ``after`` so many seconds, within a window; its id."""
    now = world.house.edges.clock.now()
    times = {"not_before": utc(now + timedelta(seconds=after))} if after else {}
    if lasts is not None:
        times["not_after"] = utc(now + timedelta(seconds=after + lasts))
    actor = fields.pop("actor", None)
    asked = {"client": "tech", "queue": SALES, "number": number, **times, **fields}
    answer = await ask(world, "callback_schedule", actor=actor, **asked)
    return str(answer["callback"]["id"])


async def shown(world: World, callback: str) -> dict[str, Any]:
    """A callback as it is told."""
    answer = await ask(world, "callback_get", callback=callback)
    found: dict[str, Any] = answer["callback"]
    return found


def now(world: World) -> datetime:
    """What the clock on the wall shows."""
    return world.house.edges.clock.now()
