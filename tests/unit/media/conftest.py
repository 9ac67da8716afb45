"""The houses in which the conformance suite is run: each of its tests in both, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.media.peers import House, RealHouse, SimHouse


@pytest.fixture(params=["embedded", "simulated"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    settings: dict[str, Any] = getattr(request.function, "settings", {})
    made: RealHouse | SimHouse = (RealHouse if request.param == "embedded" else SimHouse)(tmp_path, **settings)
    await made.plane.start()
    yield cast("House", made)
    await made.close()
    assert made.plane.status().sessions == 0
