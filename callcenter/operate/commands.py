"""Commands: what the control socket understands, each in its few lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callcenter.calls.orders import FIELDS, SUPERVISORS_ALONE
from callcenter.calls.settings import Supervisor
from callcenter.config.shape import LONGEST
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.media.plane import MediaError
from callcenter.model.access import Actor, Role, Scope
from callcenter.operate.audit import audit_commands
from callcenter.operate.callbacks import callback_commands
from callcenter.operate.crm import crm_commands
from callcenter.operate.customers import customer_commands
from callcenter.operate.do_not_call import do_not_call_commands
from callcenter.operate.figures import figures
from callcenter.operate.followups import followup_commands
from callcenter.operate.life import Life, Phase
from callcenter.operate.paperwork import paperwork_commands
from callcenter.operate.recordings import recording_commands
from callcenter.operate.reload import Reloader
from callcenter.operate.snapshot import snapshot
from callcenter.operate.status import health, media, media_metrics, sip_metrics, status
from callcenter.operate.trace import trace
from callcenter.operate.waiting import waiting
from callcenter.operate.why import why

if TYPE_CHECKING:
    from callcenter.app.house import House

DEFAULT_LIMIT = 600.0
# What may be done with the workers that carry sound, and how long one may take that ends with its last call.
MEDIA_ACTIONS = ("drain", "resume", "replace", "upgrade")
WORKER_LIMIT = 4 * 3600.0
# What agents do themselves, done for them, and what only others may do: it goes to the same desk.
FOR_AGENTS = tuple(FIELDS)


class Commands:
    """The commands of one switch."""

    def __init__(self, house: House, life: Life, reloader: Reloader) -> None:
        self._house = house
        self._life = life
        self._reloader = reloader

    def all(self) -> Mapping[str, Command]:
        """Every command by its name."""
        return {
            "status": Command(self._status, changes=False),
            "health": Command(self._health, changes=False),
            "trace": Command(self._trace, changes=False, scope=Scope.SUPERVISE),
            "why": Command(self._why, changes=False, scope=Scope.AGENTS_READ),
            "snapshot": Command(self._snapshot, changes=False, scope=Scope.EVENTS_READ),
            "waiting": Command(self._waiting, changes=False, scope=Scope.CALLS_READ),
            "metrics": Command(self._metrics, changes=False),
            "reload": Command(self._reload, scope=Scope.CONFIG, secret=True),
            "reload_look": Command(self._reload_look, changes=False, scope=Scope.CONFIG),
            "drain": Command(self._drain),
            "media": Command(self._media),
            **recording_commands(self._house),
            **audit_commands(self._house),
            **crm_commands(self._house),
            **paperwork_commands(self._house, self.all),
            **customer_commands(self._house),
            **do_not_call_commands(self._house),
            **followup_commands(self._house, self.all),
            **dict.fromkeys(FOR_AGENTS, Command(self._for_agent, scope=Scope.CALLS_CONTROL)),
            **dict.fromkeys(SUPERVISORS_ALONE, Command(self._for_agent, scope=Scope.SUPERVISE)),
            **callback_commands(self._house),
        }

    def for_programs(self) -> frozenset[str]:
        """Those that a program may ask for in somebody's name, who holds the scope that each takes."""
        return frozenset(name for name, command in self.all().items() if command.scope is not None)

    async def _status(self, asked: Asked) -> dict[str, Any]:
        asked.only()
        return await status(self._house, self._life)

    async def _health(self, asked: Asked) -> dict[str, Any]:
        asked.only()
        return health(self._house, self._life)

    async def _trace(self, asked: Asked) -> dict[str, Any]:
        return await trace(self._house, asked)

    async def _why(self, asked: Asked) -> dict[str, Any]:
        return await why(self._house, asked)

    async def _snapshot(self, asked: Asked) -> dict[str, Any]:
        return await snapshot(self._house, asked)

    async def _waiting(self, asked: Asked) -> dict[str, Any]:
        return await waiting(self._house, asked)

    async def _metrics(self, asked: Asked) -> dict[str, Any]:
        asked.only()
        return {
            **sip_metrics(self._house),
            "media": media_metrics(self._house),
            "floor": await figures(self._house, self._life),
        }

    async def _reload(self, asked: Asked) -> dict[str, Any]:
        asked.only("dry", "revision")
        _of_the_whole_house(asked)
        dry, revision = asked.fields.get("dry", False), asked.fields.get("revision")
        if not isinstance(dry, bool):
            raise CommandError("`dry` is true or false")
        if not isinstance(revision, str | None):
            raise CommandError("`revision` is a text: the one that a dry reload told")
        if self._life.phase is Phase.ENDING:
            raise CommandError("the switch goes down")
        if dry:
            return await self._reloader.look()
        return await self._reloader.reload(asked.by, revision)

    async def _reload_look(self, asked: Asked) -> dict[str, Any]:
        """As a dry ``reload``; asked again with the same id, it looks again."""
        asked.only()
        _of_the_whole_house(asked)
        if self._life.phase is Phase.ENDING:
            raise CommandError("the switch goes down", Reason.UNAVAILABLE)
        return await self._reloader.look()

    async def _drain(self, asked: Asked) -> dict[str, Any]:
        asked.only("seconds", "cancel")
        seconds, cancel = asked.fields.get("seconds"), asked.fields.get("cancel", False)
        if not isinstance(cancel, bool):
            raise CommandError("`cancel` is true or false")
        right = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= LONGEST
        if seconds is not None and not right:
            raise CommandError(f"`seconds` is a number from 0 to {LONGEST:.0f}")
        if self._life.phase is Phase.ENDING:
            raise CommandError("the switch goes down")
        if not cancel:
            if self._life.phase is Phase.STARTING:
                raise CommandError("the switch is starting: ask again in a moment")
            # Configured to end at once, the switch is not therefore to hang up on who asks for a drain.
            limit = seconds if seconds is not None else self._house.settings.switch.drain_limit or DEFAULT_LIMIT
            self._life.begin_drain(asked.by, limit)
        elif not self._life.cancel_drain(asked.by):
            ending = self._life.phase is Phase.DRAINING
            raise CommandError(
                "the switch was told to end: start it again" if ending else "there is no drain to cancel"
            )
        return health(self._house, self._life)

    async def _media(self, asked: Asked) -> dict[str, Any]:
        asked.only("action", "worker", "seconds")
        action, worker, seconds = (asked.fields.get(name) for name in ("action", "worker", "seconds"))
        if action not in MEDIA_ACTIONS:
            raise CommandError(f"`action` is one of {', '.join(MEDIA_ACTIONS)}")
        if seconds is None:
            seconds = WORKER_LIMIT
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= LONGEST:
            raise CommandError(f"`seconds` is a number from 0 to {LONGEST:.0f}")
        named = isinstance(worker, int) and not isinstance(worker, bool)
        if not named if action != "upgrade" else worker is not None:
            raise CommandError("`worker` is a number, as `callcenter status` shows it; to upgrade is to replace all")
        if self._life.phase is Phase.ENDING:
            raise CommandError("the switch goes down")
        plane = self._house.edges.plane
        every = sorted({each.index for each in plane.status().workers})
        workers = [worker] if isinstance(worker, int) else every
        try:
            for index in workers:
                if action in ("drain", "resume"):
                    plane.drain_worker(index, cancel=action == "resume")
                else:
                    await plane.replace_worker(index, seconds)
        except MediaError as error:
            raise CommandError(str(error)) from error
        return media(self._house)

    async def _for_agent(self, asked: Asked) -> dict[str, Any]:
        command = {**asked.fields, "do": asked.do, "id": asked.id or self._house.ids.new()}
        actor = asked.behalf
        if actor is None:
            # Whoever may write to the socket may command for everybody: it is private to the switch's own user.
            supervisor = Supervisor(asked.by, asked.by)
            answer = self._house.desk.take(command, by=f"supervisor {asked.by} (control)", supervisor=supervisor)
        elif actor.role is Role.AGENT:
            if command.pop("agent", actor.agent) != actor.agent:
                raise CommandError("an agent commands for himself alone", Reason.FORBIDDEN, field="agent")
            acd = self._house.acd
            served = acd.who(actor.agent).clients if actor.agent in acd.plan.agents else ()
            # Of whoever signed in as the agent this is so; a token may have been made for less.
            if actor.user != actor.agent and not all(map(actor.sees, served)):
                sentence = f"{actor.agent} serves companies that this token does not see: make one that sees them"
                raise CommandError(sentence, Reason.FORBIDDEN)
            answer = self._house.desk.take(command, by=str(asked.by), agent=actor.agent)
        else:
            others = command.get("agent", actor.agent) != actor.agent
            if others and not (actor.may(Scope.AGENTS_CONTROL) or actor.may(Scope.SUPERVISE)):
                raise CommandError(f"{asked.do} for others takes the scope {Scope.AGENTS_CONTROL}", Reason.FORBIDDEN)
            answer = self._house.desk.take(command, by=str(asked.by), supervisor=supervisor_of(self._house, actor))
        if not answer.pop("ok"):
            raise CommandError(str(answer["error"]), Reason(answer.get("reason", Reason.INVALID)))
        answer.pop("id", None)
        return answer


def _of_the_whole_house(asked: Asked) -> None:
    """Raises CommandError for who sees some companies alone: what changes is told of all of them, and binds all."""
    if asked.actor.clients is not None:
        raise CommandError("the configuration is that of all companies: ask who sees all of them", Reason.FORBIDDEN)


def supervisor_of(house: House, actor: Actor) -> Supervisor:
    """The supervisor whom somebody is who asks from elsewhere: as configured where they are one of those."""
    known = house.services.settings.supervisors.get(actor.user)
    agent = actor.agent or (known.agent if known is not None else "")
    return Supervisor(actor.user, known.name if known is not None else actor.user, actor.clients, agent)
