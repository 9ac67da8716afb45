"""Commands: what a route has the switch do, for who asks, once for each ``Idempotency-Key``."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import Request

from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.desk import Desk
from callcenter.desk.problems import Problem
from callcenter.model.access import Actor

HEADER = "Idempotency-Key"
# As the draft has it, a key is short: a UUID, or what the caller knows a thing by.
LONGEST_KEY = 255


async def command(desk: Desk, request: Request, actor: Actor, do: str, **fields: Any) -> dict[str, Any]:
    """Have the switch do it, and return what came of it.

    Who sends an ``Idempotency-Key`` again gets the answer of the first time; with another body a 409. Raises Problem.
    """
    try:
        return await desk.switch.ask(do, actor, id=command_id(request, actor), **fields)
    except CommandError as error:
        if error.field == "id" and error.reason is Reason.CONFLICT:
            detail = "this key was used for something else: take a new one for each request"
            raise Problem(409, Reason.CONFLICT, detail, HEADER) from None
        raise Problem.of(error) from None


def command_id(request: Request, actor: Actor) -> str | None:
    """The command's id by the request's key: another's key is another id. Raises Problem."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Problem(400, Reason.INVALID, f"a key is 1 to {LONGEST_KEY} printable characters of ASCII", HEADER)
    # By the token itself where there is one: its name may be another's later, who is not told what came of this.
    whose = request.headers.get("Authorization", "") or f"{actor.role} {actor.user}"
    return hashlib.sha256(f"{whose}\n{key}".encode()).hexdigest()[:40]
