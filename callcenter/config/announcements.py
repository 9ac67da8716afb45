"""Announcements: what waiting callers are told."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callcenter.calls import settings
from callcenter.config.names import PromptName
from callcenter.config.problems import Code
from callcenter.config.shape import Positive, Shape, as_list, mistake, off_as, seconds

# More often than this callers would hear more talk than music.
MOST_OFTEN = 5.0


def _not_too_often(value: float) -> float:
    if value < MOST_OFTEN:
        raise mistake(Code.DURATION, "that is too often: nobody wants to be spoken to all the time", "write e.g. 30s")
    return value


class AnnounceWait(Shape):
    """``announce.wait``: the prompts that tell how long it may still take."""

    under: PromptName
    between: PromptName


class Announce(Shape):
    """``announce``: what waiting callers are told."""

    position: PromptName | None = None
    wait: AnnounceWait | None = None
    first: Positive = 15.0
    every: Annotated[float, BeforeValidator(seconds), AfterValidator(_not_too_often)] = 30.0
    most: Annotated[int, Field(ge=1, le=100)] = 10
    beyond: PromptName | None = None
    prompts: Annotated[tuple[PromptName, ...], BeforeValidator(as_list)] = ()

    @model_validator(mode="after")
    def _belongs_together(self) -> Announce:
        if self.beyond is not None and self.position is None:
            raise mistake(Code.MISSING, "`beyond` needs `position`", "add position: PROMPT, or take `beyond` away")
        return self


AnnounceOrOff = Annotated[Announce, off_as({})]


def announce_settings(announce: Announce | None) -> settings.Announce | None:
    """The same as calls go by it."""
    if announce is None:
        return None
    return settings.Announce(
        position=announce.position,
        first=announce.first,
        every=announce.every,
        most=announce.most,
        beyond=announce.beyond,
        prompts=announce.prompts,
        wait=settings.AnnounceWait(announce.wait.under, announce.wait.between) if announce.wait is not None else None,
    )
