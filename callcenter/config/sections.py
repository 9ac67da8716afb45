"""Every section that is one thing: those of ``schema``, and those that have a file of their own."""

from __future__ import annotations

from collections.abc import Mapping

from callcenter.config import schema
from callcenter.config.desk import Desk
from callcenter.config.shape import Shape

SECTIONS: Mapping[str, type[Shape]] = {**schema.SECTIONS, "desk": Desk}
