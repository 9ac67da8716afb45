"""The section `switch`: the program itself."""

from __future__ import annotations

from callcenter.config.settings import ReloadWhen
from callcenter.config.shape import Duration, Shape, Slug


class Switch(Shape):
    """``switch``: the program itself."""

    node: Slug = "cc1"
    data: str | None = None
    drain_limit: Duration = 600.0
    reload: ReloadWhen = ReloadWhen.ON_REQUEST
