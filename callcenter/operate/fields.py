"""Fields: what a command was asked with, read and checked; every mistake names the field and what to write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.model.customer_form import MAX_ID

if TYPE_CHECKING:
    from callcenter.app.house import House

# How long a change may take to be in the database before the answer is that nobody knows.
WRITTEN_WITHIN = 5.0


def text(asked: Asked, name: str, *, most: int = 500, wanted: bool = False, lines: bool = False) -> str:
    """A text without blanks around it; empty when it is not there. With ``lines`` it may have several."""
    value = asked.fields.get(name)
    if value is None:
        value = ""
    said = value.replace("\n", "").replace("\t", "") if lines and isinstance(value, str) else value
    if not isinstance(value, str) or len(value) > most or not said.isprintable():
        raise CommandError(f"`{name}` is a text of up to {most} characters", field=name)
    if wanted and not value.strip():
        raise CommandError(f"`{name}` is missing", field=name)
    return value.strip()


def customer(asked: Asked) -> str:
    """The id of a customer, as long as those of files may be; empty when it is not there."""
    return text(asked, "customer", most=MAX_ID)


def flag(asked: Asked, name: str) -> bool:
    """True or false; false when it is not there."""
    value = asked.fields.get(name, False)
    if not isinstance(value, bool):
        raise CommandError(f"`{name}` is true or false", field=name)
    return value


def number(asked: Asked, name: str, *, least: int, most: int, usual: int) -> int:
    """A whole number; ``usual`` when it is not there."""
    value = asked.fields.get(name)
    if value is None:
        return usual
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise CommandError(f"`{name}` is a number from {least} to {most}", field=name)
    return value


def moment(asked: Asked, name: str) -> datetime | None:
    """An instant, of UTC where it names no zone; None when it is not there."""
    written = text(asked, name, most=64)
    if not written:
        return None
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        hint = "write e.g. 2026-11-30 or 2026-11-30T10:00Z"
        raise CommandError(f"`{name}` is no moment: {hint}", field=name) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def client(house: House, asked: Asked, *, wanted: bool = True) -> str:
    """The company that is meant: it is there, and whoever asks sees it. Where they see one alone, it need not be named.

    Empty where it is not ``wanted``, and not named.
    """
    name = text(asked, "client", most=64)
    there = house.services.settings.clients
    theirs = asked.actor.clients
    if not name and wanted:
        alone = sorted(there) if theirs is None else sorted(theirs & there.keys())
        if len(alone) != 1:
            raise CommandError("`client` is missing: whose is it?", field="client")
        return alone[0]
    if name and (name not in there or not asked.actor.sees(name)):
        raise CommandError(f"there is no client `{name}`", Reason.NOT_FOUND, field="client")
    return name
