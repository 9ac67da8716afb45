"""Look-up: a company's own CRM is asked who calls, beside the call, which waits for nothing of it.

The desk follows the calls that arrive, asks, and tells the switch what it learnt (``customer_known``). Whatever a CRM
does, slow, dead or lying, is over within its time-out and never nearer to a call than that command.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import structlog

from callcenter.config.crm import CrmSettings
from callcenter.config.secrets import SecretsError, read_password
from callcenter.config.settings import Settings
from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.integrations.breaker import Breaker, BreakerState
from callcenter.desk.integrations.mapping import BadAnswer, address, asks_for, customer_of, headers
from callcenter.desk.integrations.store import Store
from callcenter.desk.integrations.web import Server, Web, WebError, WebTimeout
from callcenter.desk.switch import SwitchAway
from callcenter.model.access import Actor
from callcenter.model.facts import CallArrived, CallEnded, DigitsEntered, Fact, utc
from callcenter.model.spread import Spread
from callcenter.model.states import Direction
from callcenter.runtime.clock import Clock
from callcenter.storage.database import Database, StorageError

# A customer is some hundred bytes.
LONGEST_ANSWER = 256 * 1024
# Questions to one CRM at once: more calls than these come in while it is slow, and are not asked for.
AT_ONCE = 32
# A call that arrived so long ago, while no desk was there, is asked for still. Seconds.
NOT_LONG_AGO = 20.0
# Facts that are looked through for such calls.
LOOKED_THROUGH = 2_000
# Calls that are remembered, for the account that a caller may enter.
REMEMBERED = 5_000
# How often is looked whether a company has a CRM now.
LOOK_EVERY = 2.0
NOBODY_STATUS = (204, 404)
# Seconds by which answers are counted: a pop waits for 0.3 at most.
TOOK = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
KINDS = frozenset({CallArrived.__name__, DigitsEntered.__name__, CallEnded.__name__})

log = structlog.get_logger()


class AsksSwitch(Protocol):
    """The switch as the look-ups need it."""

    async def ask(
        self, do: str, actor: Actor | None, *, id: str | None = None, timeout: float = 10.0, **fields: Any
    ) -> dict[str, Any]:
        """Have one command done."""
        ...

    def facts(self, after: int | None = None, kinds: Collection[str] | None = None) -> AsyncIterator[Fact]:
        """The facts behind number ``after``, of these kinds."""
        ...


@dataclass(slots=True)
class Tally:
    """What the questions to one CRM came to, since the desk began. Milliseconds are of answers that came.

    Of those that ``failed`` so many ``timed_out``; ``opened`` is how often the breaker did. ``took`` spreads the
    answers by seconds.
    """

    asked: int = 0
    found: int = 0
    nobody: int = 0
    remembered: int = 0
    failed: int = 0
    timed_out: int = 0
    left_out: int = 0
    opened: int = 0
    last_ms: int = 0
    slowest_ms: int = 0
    total_ms: int = 0
    last_error: str = ""
    took: Spread = field(default_factory=lambda: Spread(TOOK))

    def answered(self, took_ms: int) -> None:
        """An answer came."""
        self.last_ms, self.total_ms = took_ms, self.total_ms + took_ms
        self.slowest_ms = max(self.slowest_ms, took_ms)
        self.took.add(took_ms / 1000)


@dataclass(slots=True, eq=False)
class Crm:
    """One company's CRM: how it is asked, how it goes, and the connections to it."""

    settings: CrmSettings
    server: Server
    breaker: Breaker
    secret: str = field(default="", repr=False)
    trouble: str = ""
    under_way: int = 0
    tally: Tally = field(default_factory=Tally)

    def __repr__(self) -> str:
        return f"<Crm {self.settings.client} {self.breaker.state} {self.under_way} under way>"


class LookUps:
    """The CRMs of all companies. :meth:`run` asks them, for as long as it runs."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        switch: AsksSwitch,
        reader: Database,
        store: Store,
        clock: Clock,
        web: Web,
    ) -> None:
        self._settings = settings
        self._switch = switch
        self._reader = reader
        self._store = store
        self._clock = clock
        self._web = web
        self._crms: dict[str, Crm] = {}
        self._in_force: object = None
        self._calls: dict[str, CallArrived] = {}

    @property
    def crms(self) -> Mapping[str, Crm]:
        """The CRM of each company that has one."""
        return self._crms

    async def run(self) -> None:
        """Ask for each call that arrives, until cancelled. Without a CRM nothing is read."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._take_up_settings()
                    if self._crms:
                        await self._follow(group)
                    else:
                        await asyncio.sleep(LOOK_EVERY)
        finally:
            for crm in self._crms.values():
                await crm.server.close()
            self._crms.clear()
            self._in_force = None

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        async for fact in self._switch.facts(await self._not_long_ago(), kinds=KINDS):
            await self._take_up_settings()
            if not self._crms:
                return
            if (question := self._question(fact)) is not None:
                crm, call, number, account = question
                group.create_task(self._ask(crm, call, number, account), name=f"ask the CRM for {call}")

    async def _take_up_settings(self) -> None:
        settings = self._settings()
        if settings is self._in_force:
            return
        self._in_force = settings
        for client, crm in list(self._crms.items()):
            if settings.crm.get(client) != crm.settings:
                # What is under way fails by this, and is another's business no more.
                del self._crms[client]
                await crm.server.close()
        for client, written in settings.crm.items():
            if client in self._crms:
                continue
            secret, trouble = "", ""
            if written.secret is not None:
                secret, trouble = await asyncio.to_thread(_secret, written)
            if trouble:
                log.error("a CRM is not asked", client=client, reason=trouble)
            server = self._web.server(private=True)
            self._crms[client] = Crm(written, server, Breaker(written.failures, written.pause), secret, trouble)

    async def _not_long_ago(self) -> int:
        """The fact behind which calls are asked for: those that arrived while the desk began, too."""
        rows = await self._reader.fetch_all("SELECT seq, at FROM facts ORDER BY seq DESC LIMIT ?", (LOOKED_THROUGH,))
        since = utc(self._clock.now() - timedelta(seconds=NOT_LONG_AGO))
        return next((seq for seq, at in rows if at < since), rows[-1][0] - 1 if rows else 0)

    def _question(self, fact: Fact) -> tuple[Crm, str, str, str] | None:
        """Whom to ask for which call, by which number or account; None: nobody."""
        call = fact.call_id
        match fact.body:
            case CallArrived(client=client) as arrived if call is not None and client in self._crms:
                if arrived.direction is not Direction.INBOUND and not arrived.callback:
                    return None
                while len(self._calls) >= REMEMBERED:
                    del self._calls[next(iter(self._calls))]
                self._calls[call] = arrived
                crm = self._crms[client]
                number = asks_for(crm.settings, arrived.from_number) if crm.settings.wants_number else ""
                return (crm, call, number, "") if number and not crm.trouble else None
            case DigitsEntered(account=True, masked=False) as entered if call in self._calls:
                found = self._crms.get(self._calls[call].client)
                if found is None or found.trouble or not found.settings.wants_account or not entered.digits:
                    return None
                return found, call, asks_for(found.settings, self._calls[call].from_number), entered.digits
            case CallEnded() if call is not None:
                self._calls.pop(call, None)
        return None

    async def _ask(self, crm: Crm, call: str, number: str, account: str) -> None:
        """Ask one question, and tell the switch what came of it."""
        try:
            customer = await self._customer(crm, call, number, account)
            if customer is not None:
                await self._tell(call, customer, by_account=bool(account))
        except StorageError as error:
            log.warning("what a CRM answers cannot be kept", client=crm.settings.client, reason=str(error))
        except Exception:
            # A mistake of ours with one answer must not keep the others from being asked for.
            log.exception("a look-up failed", client=crm.settings.client, call=call)

    async def _customer(self, crm: Crm, call: str, number: str, account: str) -> Mapping[str, Any] | None:
        settings, tally = crm.settings, crm.tally
        key = f"account {account}" if account else f"number {number}"
        now = self._clock.now().timestamp()
        if settings.cache and (kept := await self._store.remembered(settings.client, key, now)) is not None:
            tally.remembered += 1
            return kept
        if crm.under_way >= AT_ONCE or not crm.breaker.may_ask(self._clock.monotonic()):
            tally.left_out += 1
            return None
        crm.under_way += 1
        tally.asked += 1
        began = self._clock.monotonic()
        try:
            customer = await self._exchange(crm, {"number": number, "account": account, "call": call})
        except (WebError, BadAnswer) as error:
            self._failed(crm, error)
            return None
        except BaseException:
            crm.breaker.gave_up()
            raise
        finally:
            crm.under_way -= 1
        crm.breaker.succeeded()
        tally.answered(round((self._clock.monotonic() - began) * 1000))
        if customer is None:
            tally.nobody += 1
            return None
        tally.found += 1
        if settings.cache:
            kept_until = self._clock.now().timestamp() + settings.cache
            await self._store.remember(settings.client, key, customer, kept_until)
        return customer

    async def _exchange(self, crm: Crm, values: Mapping[str, str]) -> dict[str, Any] | None:
        """The customer of the CRM's answer; None: it knows nobody. Raises WebError, BadAnswer."""
        settings = crm.settings
        sent, content = headers(settings, crm.secret), None
        if settings.method == "POST":
            content = json.dumps({name: value for name, value in values.items() if value}).encode()
            sent = {"Content-Type": "application/json", **sent}
        answer = await crm.server.ask(
            settings.method,
            address(settings, values, crm.secret),
            headers=sent,
            content=content,
            within=settings.timeout,
            most=LONGEST_ANSWER,
        )
        if answer.status in NOBODY_STATUS:
            return None
        if answer.status != 200:
            why = ": no redirect is followed" if 300 <= answer.status < 400 else ""
            raise BadAnswer(f"it answered {answer.status}{why}")
        return customer_of(settings, answer.body)

    def _failed(self, crm: Crm, error: WebError | BadAnswer) -> None:
        why = str(error)
        crm.tally.failed += 1
        crm.tally.timed_out += isinstance(error, WebTimeout)
        crm.tally.last_error = why
        before = crm.breaker.state
        crm.breaker.failed(self._clock.monotonic())
        crm.tally.opened += crm.breaker.state is BreakerState.OPEN and before is BreakerState.CLOSED
        client = crm.settings.client
        if crm.breaker.state is not before or crm.breaker.in_a_row == 1:
            log.warning("a CRM fails", client=client, reason=why, asked=str(crm.breaker.state))

    async def _tell(self, call: str, customer: Mapping[str, Any], *, by_account: bool) -> None:
        """Tell the switch; a call that is over meanwhile needs it no more."""
        asked: dict[str, Any] = {"call": call, "customer": dict(customer), "by_account": by_account}
        # The same again, also by a desk that begins anew, is the same command.
        known_as = "crm-" + hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:40]
        try:
            await self._switch.ask("customer_known", None, id=known_as, **asked)
        except CommandError as error:
            if error.reason is not Reason.NOT_FOUND:
                log.error("the switch does not take a CRM's word", call=call, reason=str(error))
        except SwitchAway as error:
            log.warning("the switch is not there to be told who calls", call=call, reason=str(error))


def _secret(settings: CrmSettings) -> tuple[str, str]:
    """The secret, or why there is none."""
    assert settings.secret is not None, "it has one"
    client = settings.client
    try:
        secret = read_password(f"clients.{client}.crm", settings.secret)
    except SecretsError as error:
        return "", str(error)
    if not secret.isascii() or not secret.isprintable():
        return "", f"clients.{client}.crm: the secret is more than one line of ASCII"
    return secret, ""
