"""The public "call me" of a company's website or app: as the desk goes by it, and what must hold for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from callcenter.config.explain import KeyPath
from callcenter.config.names import HoursName, QueueName
from callcenter.config.origins import origin
from callcenter.config.problems import Code
from callcenter.config.settings import CallMe
from callcenter.config.shape import Name, Positive, Shape, Slug, as_list, at_most, mistake

if TYPE_CHECKING:
    from callcenter.config.things import Notes, Things


def _not_at_once(value: float) -> float:
    if not 10.0 <= value <= 86_400.0:
        raise mistake(Code.DURATION, "who asks is called 10 seconds to a day later", "write e.g. 1m")
    return value


class ClientCallMe(Shape):
    """How customers ask on a company's website or in its app to be called."""

    queue: QueueName
    reasons: Annotated[dict[Slug, Name], at_most(100)] = {}
    origins: Annotated[
        tuple[Annotated[str, AfterValidator(origin)], ...],
        at_most(50),
        BeforeValidator(as_list),
    ] = ()
    confirm: Literal["caller", "backend"] = "caller"
    delay: Annotated[Positive, AfterValidator(_not_at_once)] = 60.0
    hours: HoursName | None = None
    per_address: Annotated[int, Field(ge=1, le=10_000)] = 5
    per_number: Annotated[int, Field(ge=1, le=100)] = 3
    per_hour: Annotated[int, Field(ge=1, le=100_000)] = 60
    per_day: Annotated[int, Field(ge=1, le=1_000_000)] = 300


def call_me_settings(things: Things) -> Mapping[str, CallMe]:
    """By client, of those that have one."""
    return {
        name: CallMe(
            queue=written.queue,
            reasons=written.reasons,
            origins=written.origins,
            backend=written.confirm == "backend",
            delay=written.delay,
            hours=written.hours or "",
            per_address=written.per_address,
            per_number=written.per_number,
            per_hour=written.per_hour,
            per_day=written.per_day,
        )
        for name, client in things.clients.items()
        if (written := client.call_me) is not None
    }


def call_me(things: Things, notes: Notes) -> None:
    """Note what keeps a company from calling back whoever asks for it there."""
    for name, client in things.clients.items():
        if (written := client.call_me) is None:
            continue
        path: KeyPath = ("clients", name, "call_me")
        queue = things.queues.get(written.queue)
        if queue is not None and queue.client != name:
            message = f"who asks {name} to be called would stand in a queue of {queue.client}"
            notes.add(Code.OTHER_CLIENT, (*path, "queue"), message, f"name a queue of {name}")
        if not things.desk.enabled:
            message = "nobody can ask there: the desk has the door, and it is off"
            notes.warn(Code.UNUSED, path, message, "write desk: {enabled: true}, or take `call_me` away")
        if "per_hour" in written.model_fields_set and written.per_hour > written.per_day:
            message = f"no more than {written.per_day} are taken in a day anyway (per_day)"
            notes.warn(Code.FORM, (*path, "per_hour"), message, "write less, or more for `per_day`")
        if client.outbound is None:
            message, hint = f"{name} cannot call anybody back: it has no `outbound`", "add `outbound` (see trunks.yaml)"
            notes.add(Code.MISSING, path, message, f"{hint}, or take `call_me` away", key=True)
        elif client.callbacks is not None and not client.callbacks.enabled:
            message = f"{name} calls nobody back, and `call_me` promises it"
            notes.add(Code.FORM, path, message, "take `callbacks: off` away, or `call_me`", key=True)
