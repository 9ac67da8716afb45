"""The tree of a client's dispositions, as the leaves that agents choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from callcenter.config import schema


def leaves(codes: Mapping[str, schema.Disposition], path: str = "", family: str = "") -> Iterator[tuple[str, str]]:
    """Each disposition that has none below it, by its path (``not-sold/too-dear``), with the labels on the way."""
    for name, about in codes.items():
        label = f"{family}: {about.label}" if family else about.label
        if about.codes:
            yield from leaves(about.codes, f"{path}{name}/", label)
        else:
            yield f"{path}{name}", label
