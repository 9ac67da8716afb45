"""Codes that are pressed in a talk: which keys are one, and which are meant for the other side."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from callcenter.calls.settings import CodeAction, FeatureCode
from callcenter.calls.sound import Sound
from callcenter.calls.star_keys import PAUSE, StarKeys
from callcenter.simulation.clock import run

CODES = {
    "*21": FeatureCode(CodeAction.NOT_READY, reason="lunch"),
    "*80": FeatureCode(CodeAction.CONSULT),
    "*82": FeatureCode(CodeAction.CONSULT_JOIN),
}


@pytest.mark.parametrize(
    ("keys", "codes"),
    [
        ("*82", ["*82"]),
        ("*80206#", ["*80206#"]),
        ("*80*206#", ["*80*206#"]),
        ("*80#", ["*80#"]),
        ("12*82", ["*82"]),
        ("**82", ["*82"]),
        ("*8*82", ["*82"]),
        ("*99#", []),
        ("82#*", []),
        ("*82*21", ["*82", "*21"]),
        ("*8 2", []),
    ],
)
def test_what_is_obeyed(keys: str, codes: list[str]) -> None:
    """A blank is a pause that is too long for one code."""

    async def pressed() -> list[str]:
        obeyed: list[str] = []
        sound = Sound()
        party = cast(Any, SimpleNamespace(sound=sound))
        reads = StarKeys(party, lambda: CODES, obeyed.append)
        for key in keys:
            if key == " ":
                await asyncio.sleep(PAUSE + 0.1)
            else:
                sound.press(key)
                await asyncio.sleep(0.2)
        reads.close()
        sound.press("*")
        assert sound.on_change is None
        return obeyed

    assert run(pressed()) == codes
