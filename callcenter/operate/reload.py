"""Reload: the configuration is read again, what it changes is told, and it is in force from one call to the next.

It comes by command, by SIGHUP, or when files were saved (``operate.watch``). One immutable ``Settings`` takes the place
of the other, whole or not at all. For who is there then the rule is this, and ``operate.changes`` tells it before:

- a call goes on by the configuration that it began with;
- a caller who waits keeps the place (since when, and with which priority). What the queue asks of agents, and its
  limits, are the new ones at once. Behind a queue that is gone the caller goes on as behind a full one; a queue that
  has another name (``was``) takes its callers along, each on the same place; a phone that rings may go on to ring;
- an agent keeps what was chosen, the work, the phone, and what was changed at run time. One who is removed talks on,
  is signed out behind it, and leaves nothing;
- what is removed (queue, number, code, trunk, company) is there for nobody who comes from now on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from callcenter.config import ConfigError, Settings, render
from callcenter.config.problems import count
from callcenter.config.secrets import MONITOR, NO_PHONE, Secrets, SecretsError, open_secrets
from callcenter.control.protocol import CommandError
from callcenter.media.plane import MediaError
from callcenter.operate.changes import Change, changes, in_force
from callcenter.operate.life import Life, Phase
from callcenter.publish.mqtt import BrokerError
from callcenter.publish.settings import MqttLogin
from callcenter.signaling.certificates import Certificates
from callcenter.signaling.transport import TransportError
from callcenter.speech.prompts import PromptError

if TYPE_CHECKING:
    from callcenter.app.house import House

log = structlog.get_logger()


class Logins(Protocol):
    """A broker of our own, that is told who may log in."""

    async def set_logins(self, logins: Iterable[MqttLogin]) -> None:
        """Let these in from now on, and no others. Raises BrokerError; then all stays as it was."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration that was read again: in force, with what it changes."""

    settings: Settings
    changes: tuple[Change, ...]
    files: int


class Reloader:
    """Reloads one house, one reload at a time. With mistakes, or when something cannot be made, nothing changes.

    ``load`` reads the configuration as the switch was started with it, and raises ConfigError; ``accounts`` reads the
    passwords, and makes those that are missing. ``aside`` runs what takes its time: files, voices and password hashes
    must not keep the loop, and with it every call, waiting.
    """

    def __init__(
        self,
        house: House,
        life: Life,
        load: Callable[[], Settings],
        broker: Logins | None = None,
        *,
        accounts: Callable[[Settings], Secrets] = open_secrets,
        aside: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread,
    ) -> None:
        self._house = house
        self._life = life
        self._load = load
        self._broker = broker
        self._accounts = accounts
        self._aside = aside
        self._busy = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether a reload is under way."""
        return self._busy.locked()

    async def look(self) -> dict[str, Any]:
        """What a reload would change now; nothing is done. Raises CommandError with every mistake."""
        reading = await self._read()
        return {**self._told(reading), "to_make": [job.name for job in reading.settings.sounds.jobs]}

    async def reload(self, by: str, revision: str | None = None) -> dict[str, Any]:
        """Put in force what stands in the files. ``revision`` is what was looked at: another one is not loaded.

        Raises CommandError, and nothing has changed.
        """
        if self._busy.locked():
            raise CommandError("a reload is under way: ask again when it is done")
        async with self._busy:
            self._life.reloading(True)
            try:
                return await self._reload(by, revision)
            finally:
                self._life.reloading(False)

    async def _reload(self, by: str, revision: str | None) -> dict[str, Any]:
        clock = self._house.edges.clock
        began = clock.monotonic()
        reading = await self._read()
        if revision is not None and revision != reading.settings.revision:
            raise CommandError("the files have changed since they were looked at, nothing is loaded: look again")
        told = self._told(reading)
        settings, secrets, certificates = await self._made_ready(reading.settings)
        if self._life.phase is Phase.ENDING:
            # Its last word is said, and perhaps its log closed.
            raise CommandError("the switch goes down: nothing is loaded")
        # From here to the end nothing waits: there is no moment with half of it in force.
        waiting = [change.path for change in reading.changes if change.waits]
        keyring = self._house.edges.keyring
        renewed = keyring.use(certificates) if keyring is not None and certificates is not None else ()
        self._house.reconfigure(settings, secrets, by, at_next_start=waiting)
        return {
            **told,
            "took_ms": round((clock.monotonic() - began) * 1000),
            "certificates": [str(shown) for shown in renewed],
            "passwords": _passwords(settings, secrets),
            "credentials": str(secrets.path),
        }

    async def _read(self) -> Reading:
        house = self._house
        try:
            settings = await self._aside(self._load)
        except ConfigError as error:
            raise CommandError(
                f"{count(error.problems)}, the running configuration is untouched",
                problems=[problem.excerpt() for problem in error.problems],
            ) from None
        house.dispatcher.decide()  # who joined or left a queue this moment is counted rightly
        clock, calls = house.edges.clock, list(house.supervisor.calls.values())
        found = changes(house.settings, settings, house.acd, calls, clock.monotonic(), clock.now())
        names = {path.name for path in settings.folder.glob("*.y*ml")} if settings.folder.is_dir() else set()
        return Reading(in_force(house.settings, settings), tuple(found), len(names))

    async def _made_ready(self, settings: Settings) -> tuple[Settings, Secrets, Certificates | None]:
        """Everything that can fail or takes its time, done while the old configuration is in force.

        Certificates are read in any case: their files are renewed under the same name.
        """
        house = self._house
        try:
            if settings.sounds.jobs:
                settings = await self._aside(lambda: render(settings))
            known = {clip.path for clip in house.settings.calls.prompts.clips()}
            await house.edges.plane.prepare(clip for clip in settings.calls.prompts.clips() if clip.path not in known)
            secrets = await self._aside(lambda: self._accounts(settings))
            keyring = house.edges.keyring
            certificates = await self._aside(lambda: keyring.load(settings.sip.tls)) if keyring is not None else None
            if self._broker is not None:
                await self._broker.set_logins(secrets.logins)
        except (PromptError, MediaError, SecretsError, BrokerError, TransportError) as error:
            raise CommandError(f"{error}; the running configuration is untouched") from None
        return settings, secrets, certificates

    def _told(self, reading: Reading) -> dict[str, Any]:
        return {
            "before": self._house.settings.revision,
            "revision": reading.settings.revision,
            "files": reading.files,
            "changes": [change.plain() for change in reading.changes],
            "calls": len(self._house.supervisor.calls),
            "warnings": [warning.excerpt() for warning in reading.settings.warnings],
        }


async def reload_unattended(reloader: Reloader, by: str, *, always: bool = True) -> dict[str, Any] | None:
    """Reload where nobody looks on: what changes is said in the log before it happens, and that it has.

    Without ``always`` nothing is done, and None returned, when nothing is written differently. Raises CommandError.
    """
    seen = await reloader.look()
    if not always and seen["revision"] == seen["before"]:
        return None
    for change in seen["changes"]:
        note = "takes effect at the next start" if change["waits"] else change["note"]
        values = {key: change[key] for key in ("before", "after") if change[key]}
        log.info(
            "to be reloaded", change=f"{change['sign']} {change['path']}", **values, **({"note": note} if note else {})
        )
    told = await reloader.reload(by, seen["revision"])
    changed = [f"{each['sign']} {each['path']}" for each in told["changes"]]
    log.info("reloaded", by=by, revision=told["revision"], changes=changed, new_passwords_in=told["credentials"])
    return told


def _passwords(settings: Settings, secrets: Secrets) -> list[dict[str, str]]:
    """The passwords that were made just now, to be told this once."""
    rows = []
    for user, agent in settings.plan.agents.items():
        if user in secrets.new:
            held = secrets.passwords[user]
            rows.append({"user": user, "sip": held.sip, "mqtt": held.mqtt, "name": agent.name})
    for user, supervisor in settings.calls.supervisors.items():
        if user in secrets.new:
            rows.append({"user": user, "sip": NO_PHONE, "mqtt": secrets.passwords[user].mqtt, "name": supervisor.name})
    for user, about in settings.desk.users.items():
        if user in secrets.new:
            rows.append({"user": user, "sip": NO_PHONE, "mqtt": secrets.passwords[user].mqtt, "name": about.name})
    if MONITOR in secrets.new and secrets.monitor is not None:
        rows.append({"user": MONITOR, "sip": "", "mqtt": secrets.monitor.password, "name": ""})
    return rows
