"""What the tests of the wire share: a switch on trial, and what is known of its floor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.wire.switch import Switch


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[Switch]:
    """A switch on its embedded defaults; after the test it must be gone without a trace and without a complaint."""
    async with Switch(tmp_path / "switch") as running:
        yield running
