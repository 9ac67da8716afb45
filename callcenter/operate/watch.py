"""Watch: files of the configuration that are saved are put in force by themselves, where the operator wants that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from callcenter.config.settings import ReloadWhen, Settings
from callcenter.config.source import is_configuration
from callcenter.control.protocol import CommandError
from callcenter.operate.reload import Reloader, reload_unattended
from callcenter.runtime.scopes import Background

# Looking at a dozen files costs some 50 us. Unlike what the kernel tells of them, it works on network drives, on the
# folders that are mounted into containers, and with editors that put another file in the place of the old one.
EVERY = 1.0
# Several files are saved one after the other: what they say together is one reload.
QUIET = 2.0

BY = "saved files"

# What tells that a file is another one now: its number on the disk, its size, and when it was written (ns).
Seen: TypeAlias = dict[str, tuple[int, int, int]]

log = structlog.get_logger()


class Watch:
    """Looks at the files, and reloads once they have been left alone for ``quiet`` seconds.

    Only while ``switch.reload`` in the settings in force says ``on_change``. Files with mistakes change nothing; the
    mistakes are told once, however often the same ones are saved. ``aside`` runs what touches the disk.
    """

    def __init__(
        self,
        reloader: Reloader,
        settings: Callable[[], Settings],
        *,
        every: float = EVERY,
        quiet: float = QUIET,
        aside: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread,
    ) -> None:
        self._reloader = reloader
        self._settings = settings
        self._every = every
        self._quiet = quiet
        self._aside = aside
        self._told: list[str] = []
        self._running = Background(limit=1)

    def begin(self) -> None:
        """Begin to look: at once also whether the files still say what the switch was started with."""
        self._running.start(self._run(), name="watch")

    def close(self) -> None:
        """Look no more."""
        self._running.cancel()

    async def _run(self) -> None:
        known: Seen | None = None
        while True:
            await asyncio.sleep(self._every)
            if (seen := await self._look()) == known:
                continue
            while True:  # somebody is at it
                await asyncio.sleep(self._quiet)
                if (later := await self._look()) == seen:
                    break
                seen = later
            if self._reloader.busy:
                continue  # then it is looked at again
            before, known = seen if known is None else known, seen
            changed = {path for path in seen.keys() | before.keys() if seen.get(path) != before.get(path)}
            if self._settings().switch.reload is ReloadWhen.ON_CHANGE:
                await self._reload(always=not all(is_configuration(Path(path)) for path in changed))

    async def _look(self) -> Seen:
        settings = self._settings()
        seen: Seen = await self._aside(lambda: dict(_stamps(settings)))
        return seen

    async def _reload(self, *, always: bool) -> None:
        """Reload; ``always`` also when the YAML says what it said before, for the sake of the files that it names."""
        try:
            await reload_unattended(self._reloader, BY, always=always)
        except CommandError as error:
            problems = error.details.get("problems", [str(error)])
            if problems != self._told:
                log.error("saved, and not in force", reason=str(error), problems=problems)
            self._told = problems
        else:
            self._told = []


def _stamps(settings: Settings) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for path in _files(settings):
        try:
            stat = path.stat()
        except OSError:  # it is gone, or being put in another's place
            continue
        yield str(path), (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _files(settings: Settings) -> Iterator[Path]:
    """The files that a reload reads: YAML, and certificates, which are renewed under the same name."""
    try:
        yield from (path for path in settings.folder.iterdir() if is_configuration(path))
    except OSError:
        pass
    tls = settings.sip.tls
    for certificate in tls.certificates:
        yield certificate.cert
        if certificate.key is not None:
            yield certificate.key
    yield from (path for path in (tls.client_ca, tls.ca_file) if path is not None)
