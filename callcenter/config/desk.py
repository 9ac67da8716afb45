"""The desk as it is written: where it listens, who may ask from elsewhere, and who signs in beside the agents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callcenter.config.addresses import check_address
from callcenter.config.crm import LOOPBACK
from callcenter.config.hashes import DeskHash, MosquittoHash
from callcenter.config.names import AgentSlug, ClientName
from callcenter.config.origins import origin, web_address
from callcenter.config.problems import Code
from callcenter.config.settings import DeskSettings, DeskUser
from callcenter.config.settings import Rate as RateSettings
from callcenter.config.settings import Session as SessionSettings
from callcenter.config.shape import Duration, Name, Shape, as_list, at_most, either, mistake, some, tell
from callcenter.model.access import Role

if TYPE_CHECKING:
    from callcenter.config.things import Notes, Things

MOST_USERS = 1_000
MOST_ORIGINS = 50
SHORTEST_SESSION = 60.0


def _public_url(value: str) -> str:
    try:
        return web_address(value)
    except ValueError:
        hint = "write how browsers reach the desk, e.g. https://desk.example.com"
        raise mistake(Code.FORM, f"`{value}` is not the address of a page", hint) from None


def _listen(value: Any) -> Any:
    """``host:port``, or one of both, as their mapping."""
    found = re.fullmatch(r"(?:(\[[^\]]*\]|[^:]+):)?(\d{1,5})", str(value)) if isinstance(value, str | int) else None
    if found is not None:
        return {"port": found[2], **({"host": found[1]} if found[1] else {})}
    return {"host": value} if isinstance(value, str) else value


tell(_public_url, lambda inner: {**inner, "pattern": "^https?://"})
tell(_listen, lambda inner: either(inner, {"type": ["string", "integer"]}))


class ListenOn(Shape):
    """An address and a TCP port; 0 takes a free one."""

    host: Annotated[str, AfterValidator(check_address)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080


class Rate(Shape):
    """How much one token, user or address may ask."""

    requests_per_second: Annotated[float, Field(gt=0, le=100_000)] = RateSettings().requests_per_second
    burst: Annotated[int, Field(ge=1, le=1_000_000)] = RateSettings().burst


def _longest(value: float) -> float:
    if value < SHORTEST_SESSION:
        raise mistake(Code.DURATION, "nobody could work so", "write 1m at least, e.g. 2h")
    return value


class Session(Shape):
    """When somebody who signed in must do so again: so long after they last asked for anything, and in any case."""

    idle: Annotated[Duration, AfterValidator(_longest)] = SessionSettings().idle
    longest: Annotated[Duration, AfterValidator(_longest)] = SessionSettings().longest

    @model_validator(mode="after")
    def _in_order(self) -> Session:
        # The usual `idle` of who shortens `longest` alone is no mistake.
        if "idle" in self.model_fields_set and self.idle > self.longest:
            hint = "write a shorter `idle`, or a longer `longest`"
            raise mistake(Code.FORM, f"nobody is signed in for longer than {self.longest:g} s anyway", hint, at="idle")
        return self


class User(Shape):
    """Who signs in at the desk and is neither agent nor supervisor. ``desk``: a hash of a password of their choice;
    ``mqtt``: the same for the embedded broker, where they have a login with it alone.
    """

    name: Name
    role: Literal["admin", "client"]
    clients: Annotated[tuple[ClientName, ...], some(1000)] | None = None
    desk: DeskHash | None = None
    mqtt: MosquittoHash | None = None

    @model_validator(mode="after")
    def _of_a_company(self) -> User:
        if self.role == "client" and self.clients is None:
            hint = "add `clients: [NAME]`"
            raise mistake(
                Code.MISSING, "who is of a client company sees that company alone: `clients` is missing", hint
            )
        return self


class Desk(Shape):
    """``desk``: the process that serves people and programs over HTTP."""

    enabled: bool = True
    listen: Annotated[ListenOn, BeforeValidator(_listen)] = ListenOn()
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    cors: Annotated[
        tuple[Annotated[str, AfterValidator(origin)], ...],
        at_most(MOST_ORIGINS),
        BeforeValidator(as_list),
    ] = ()
    rate: Rate = Rate()
    session: Session = Session()
    users: Annotated[dict[AgentSlug, User], at_most(MOST_USERS)] = Field(default={})


def desk_settings(written: Desk) -> DeskSettings:
    """As the desk goes by it."""
    return DeskSettings(
        enabled=written.enabled,
        host=written.listen.host,
        port=written.listen.port,
        public_url=written.public_url or "",
        cors=written.cors,
        rate=RateSettings(written.rate.requests_per_second, written.rate.burst),
        session=SessionSettings(written.session.idle, written.session.longest),
        users={
            name: DeskUser(
                user.name,
                Role(user.role),
                None if user.clients is None else frozenset(user.clients),
                user.mqtt or "",
            )
            for name, user in written.users.items()
        },
    )


def desk_hashes(things: Things) -> dict[str, str]:
    """The hashes of passwords of their own choice, of whoever signs in."""
    found = {name: agent.desk for name, agent in things.agents.items()}
    found |= {name: supervisor.desk for name, supervisor in things.supervisors.items()}
    found |= {name: user.desk for name, user in things.desk.users.items()}
    return {name: hashed for name, hashed in found.items() if hashed is not None}


def desk(things: Things, notes: Notes) -> None:
    """Note logins that are there twice: agents, supervisors and users sign in at the same door."""
    url = urlsplit(things.desk.public_url or "")
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        hint = "write https://, and let the proxy do TLS"
        notes.add(Code.FORM, ("desk", "public_url"), "who is on the way reads passwords along", hint, warning=True)
    for name in things.desk.users:
        for section in ("agents", "supervisors"):
            if name in getattr(things, section):
                hint = f"take another name, or take it away: who is in `{section}` signs in at the desk anyway"
                message = f"there is `{name}` in `{section}` already"
                notes.add(Code.TWICE, ("desk", "users", name), message, hint, key=True)
