"""Gate: the shell of the guard: every message passes here before anything is made of it; bans are told in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from callcenter.runtime.clock import Clock
from callcenter.runtime.driver import Driver
from callcenter.sip.guard import BanBegan, BanEnded, Guard, Kind, News, Verdict, kind_of, kind_of_method
from callcenter.sip.message import Request

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Message

# Bans that are logged within so many seconds: who comes from everywhere at once does not fill the disk.
TOLD_WITHIN = 60.0
MOST_TOLD = 20

log = structlog.get_logger()


class Gate:
    """Asks the guard about each message, and tells it who guesses."""

    def __init__(self, guard: Guard, clock: Clock) -> None:
        self.guard = guard
        self._clock = clock
        self._driver: Driver[News] = Driver(guard, self._tell, clock)
        self._told_since = 0.0
        self._told = 0
        # Whose ban was logged: of those alone the end is, too.
        self._told_of: set[str] = set()

    def datagram(self, data: bytes, flow: Flow) -> Verdict:
        """Whether to take a datagram."""
        return self.guard.admit(flow, kind_of(data), self._clock.monotonic())

    def message(self, message: Message, flow: Flow) -> Verdict:
        """Whether to take a message that came over a connection."""
        kind = kind_of_method(message.method) if isinstance(message, Request) else Kind.RESPONSE
        return self.guard.admit(flow, kind, self._clock.monotonic())

    def retry_after(self, flow: Flow) -> int:
        """The seconds after which who was refused may come again."""
        return self.guard.retry_after(flow, self._clock.monotonic())

    def unreadable(self, flow: Flow) -> None:
        """Something that was let in could not be read."""
        self._driver.run(self.guard.unreadable(flow, self._driver.now()))

    def may_try(self, flow: Flow) -> bool:
        """Whether credentials are looked at."""
        return self.guard.may_try(flow)

    def failed(self, flow: Flow) -> None:
        """Wrong credentials came."""
        self._driver.run(self.guard.failed(flow, self._driver.now()))

    def close(self) -> None:
        """Let no ban end any more. May be called twice."""
        self._driver.close()

    def __repr__(self) -> str:
        return f"<Gate {self.guard!r}>"

    def _tell(self, news: News) -> None:
        match news:
            case BanBegan(source=source, why=why, seconds=seconds):
                now = self._clock.monotonic()
                if now - self._told_since > TOLD_WITHIN:
                    self._told_since, self._told = now, 0
                self._told += 1
                if self._told <= MOST_TOLD:
                    self._told_of.add(source)
                    log.warning("source banned", source=source, why=why, seconds=round(seconds))
            case BanEnded(source=source):
                if source in self._told_of:
                    self._told_of.discard(source)
                    log.info("ban over", source=source)
