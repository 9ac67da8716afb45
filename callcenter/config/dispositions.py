"""The tree of a client's dispositions, as the leaves that agents choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from callcenter.calls.settings import FollowUpDemand
from callcenter.config.problems import Code
from callcenter.config.shape import Name, Positive, Shape, Slug, either, mistake, shown, some, tell, word_as


def _required(value: Any) -> Any:
    """The short forms: ``required``, or when it is due."""
    if value == "required":
        return {"required": True}
    if isinstance(value, bool) or value in ("yes", "no", "on", "off", "never"):
        hint = "write required, or when it is due where the agent says no other time, as in 48h; or take it away"
        raise mistake(Code.FORM, f"{shown(value)} does not say how it is followed up", hint)
    return {"due": value} if isinstance(value, str | int) else value


tell(_required, lambda inner: either(inner, {"type": ["string", "integer"]}))


class FollowUp(Shape):
    """That a disposition is to be followed up, and when, where nobody says another time."""

    required: bool = True
    due: Positive | None = None


class Disposition(Shape):
    """What a call may come to, or with ``codes`` a family of such."""

    label: Name
    follow_up: Annotated[FollowUp, BeforeValidator(_required)] | None = None
    codes: Annotated[dict[Slug, Annotated[Disposition, word_as("label")]], some(200)] | None = None


def leaves(codes: Mapping[str, Disposition], path: str = "", family: str = "") -> Iterator[tuple[str, str]]:
    """Each disposition that has none below it, by its path (``not-sold/too-dear``), with the labels on the way."""
    for name, about in codes.items():
        label = f"{family}: {about.label}" if family else about.label
        if about.codes:
            yield from leaves(about.codes, f"{path}{name}/", label)
        else:
            yield f"{path}{name}", label


def demands(codes: Mapping[str, Disposition], path: str = "") -> Iterator[tuple[str, FollowUpDemand]]:
    """The leaves that have to do with a follow-up, by their paths: what a family says holds for all below it."""
    for name, about in codes.items():
        said = about.follow_up
        demand = None if said is None else FollowUpDemand(said.required, said.due)
        if about.codes:
            below = dict(demands(about.codes, f"{path}{name}/"))
            for code, _ in leaves(about.codes, f"{path}{name}/"):
                if (found := below.get(code, demand)) is not None:
                    yield code, found
        elif demand is not None:
            yield f"{path}{name}", demand
