"""Signals: what the system, the terminal and the service manager ask of the process."""

from __future__ import annotations

import asyncio
import signal

import structlog

from callcenter.control.protocol import CommandError
from callcenter.operate.life import Life
from callcenter.operate.reload import Reloader, reload_unattended
from callcenter.runtime.scopes import Background

log = structlog.get_logger()


class Signals:
    """SIGINT and SIGTERM ask the switch to end, SIGHUP ends it: its terminal is closed, nobody reads what it says."""

    def __init__(self, life: Life) -> None:
        self._loop = asyncio.get_running_loop()
        self._reloads = Background(limit=1)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, life.ask_to_end, number.name)
        # Started by nohup, it is to outlive its terminal.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            self._loop.add_signal_handler(signal.SIGHUP, life.end, signal.SIGHUP.name)

    def hangup_reloads(self, reloader: Reloader) -> None:
        """Reload at SIGHUP, as programs without a terminal do."""
        self._loop.add_signal_handler(signal.SIGHUP, lambda: self._reloads.start(_reload(reloader), name="reload"))


async def _reload(reloader: Reloader) -> None:
    try:
        await reload_unattended(reloader, "SIGHUP")
    except CommandError as error:
        log.error("not reloaded", reason=str(error), problems=error.details.get("problems", []))
