"""Commands that are asked wrongly are refused with what to write instead, and nothing is done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import pytest

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.model.access import Actor, Role
from callcenter.operate.commands import Commands
from callcenter.operate.life import Life


@pytest.mark.parametrize(
    ("do", "fields", "error"),
    [
        ("status", {"numbers": True}, "status knows no field `numbers`; there are: none"),
        ("reload", {"dry-run": True}, "reload knows no field `dry-run`; there are: `dry`, `revision`"),
        ("reload", {"dry": "yes"}, "`dry` is true or false"),
        ("reload", {"revision": 7}, "`revision` is a text"),
        ("drain", {"limit": 7}, "drain knows no field `limit`; there are: `seconds`, `cancel`"),
        ("drain", {"seconds": -1}, "`seconds` is a number from 0 to 604800"),
        ("drain", {"seconds": True}, "`seconds` is a number"),
        ("drain", {"seconds": float("nan")}, "`seconds` is a number"),
        ("drain", {"seconds": 10**9}, "`seconds` is a number"),
        ("drain", {"cancel": 1}, "`cancel` is true or false"),
        ("drain", {"cancel": True}, "there is no drain to cancel"),
        ("media", {}, "`action` is one of drain, resume, replace, upgrade"),
        ("media", {"action": "kill", "worker": 0}, "`action` is one of"),
        ("media", {"action": "drain"}, "`worker` is a number, as `callcenter status` shows it"),
        ("media", {"action": "drain", "worker": True}, "`worker` is a number"),
        ("media", {"action": "upgrade", "worker": 0}, "to upgrade is to replace all"),
        ("media", {"action": "replace", "worker": 0, "seconds": -1}, "`seconds` is a number from 0 to"),
        ("media", {"action": "drain", "worker": 0, "limit": 1}, "media knows no field `limit`"),
    ],
)
async def test_what_is_asked_wrongly_is_refused(do: str, fields: dict[str, Any], error: str) -> None:
    nobody = cast("Any", None)
    commands = Commands(MagicMock(), Life(), nobody).all()
    with pytest.raises(CommandError) as caught:
        await commands[do].run(Asked(do, "olga", "1", fields))
    assert error in str(caught.value)


@pytest.mark.parametrize(("do", "fields"), [("reload", {}), ("reload", {"dry": True}), ("reload_look", {})])
async def test_the_configuration_of_all_is_read_and_changed_by_nobody_who_sees_some(
    do: str, fields: dict[str, Any]
) -> None:
    """What would change is told of every company, and is in force for every one."""
    command = Commands(MagicMock(), Life(), cast("Any", None)).all()[do]
    asked = Asked(do, "admin ida", fields=fields, behalf=Actor("ida", Role.ADMIN, frozenset({"acme"})))
    command.check(asked)
    with pytest.raises(CommandError, match="of all companies") as refused:
        await command.run(asked)
    assert refused.value.reason is Reason.FORBIDDEN


async def test_a_switch_that_goes_down_is_neither_reloaded_nor_drained() -> None:
    nobody, life = cast("Any", None), Life()
    life.end("SIGTERM")
    commands = Commands(MagicMock(), life, nobody).all()
    for do, fields in (("reload", {}), ("drain", {}), ("media", {"action": "upgrade"})):
        with pytest.raises(CommandError, match="the switch goes down"):
            await commands[do].run(Asked(do, "olga", fields=fields))


async def test_a_drain_is_not_lost_on_a_switch_that_is_not_ready_yet() -> None:
    nobody = cast("Any", None)
    settings = SimpleNamespace(switch=SimpleNamespace(drain_limit=600.0))
    commands = Commands(MagicMock(settings=settings), Life(), nobody).all()
    with pytest.raises(CommandError, match="the switch is starting: ask again in a moment"):
        await commands["drain"].run(Asked("drain", "olga"))
