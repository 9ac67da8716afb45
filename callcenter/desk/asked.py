"""What several routes ask for in the same way: pages, moments, and what is theirs to see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, Field

from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.problems import Problem, not_found
from callcenter.desk.reading.paging import DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT
from callcenter.model.access import Actor, Role

T = TypeVar("T")

# Names, numbers and ids are shorter; whatever is longer is none.
LONGEST = 200

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many at most")]
After = Annotated[
    str | None, Query(max_length=MAX_CURSOR, description="the `next` of the page before; without: the first page")
]
Word = Annotated[str, Query(max_length=LONGEST)]
Name = Annotated[str, Path(max_length=LONGEST)]
FIRST_PAGE = DEFAULT_LIMIT


def _moment(at: datetime) -> datetime:
    """In UTC; what names no zone is meant in it."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no calendar has this moment in UTC") from None


Moment = Annotated[
    datetime | None,
    AfterValidator(lambda at: None if at is None else _moment(at)),
    Query(description="ISO 8601; without a zone it is UTC", examples=["2026-11-30T10:00:00Z"]),
]


class ListOf(BaseModel):
    """What every list is."""

    next: str | None = Field(
        default=None, description="the cursor of the next page, for `after`; null: there is none", examples=[None]
    )


def refused(what: str, error: CommandError) -> Problem:
    """A refusal of the switch; of what is not there, or not theirs, in the same words for all of it."""
    return not_found(what) if error.reason is Reason.NOT_FOUND else Problem.of(error)


def for_whom(actor: Actor, value: T, for_client: Callable[[T], T]) -> T:
    """``value``, and for somebody of a client company what is left of it for them."""
    return for_client(value) if actor.role is Role.CLIENT else value


def not_for_clients(actor: Actor, what: str) -> None:
    """Raises Problem where somebody of a client company asks for what is of the house's people."""
    if actor.role is Role.CLIENT:
        raise Problem(403, Reason.FORBIDDEN, f"{what} is for the house's own people")
