"""The tree of a client's dispositions, as the leaves that agents choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from callcenter.calls.settings import FollowUpDemand
from callcenter.config import schema


def leaves(codes: Mapping[str, schema.Disposition], path: str = "", family: str = "") -> Iterator[tuple[str, str]]:
    """Each disposition that has none below it, by its path (``not-sold/too-dear``), with the labels on the way."""
    for name, about in codes.items():
        label = f"{family}: {about.label}" if family else about.label
        if about.codes:
            yield from leaves(about.codes, f"{path}{name}/", label)
        else:
            yield f"{path}{name}", label


def demands(codes: Mapping[str, schema.Disposition], path: str = "") -> Iterator[tuple[str, FollowUpDemand]]:
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
