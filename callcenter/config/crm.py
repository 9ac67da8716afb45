"""Other systems of a company: the CRM that is asked who calls, and the receivers that are told what became of calls."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callcenter.config.explain import KeyPath
from callcenter.config.hashes import Variable
from callcenter.config.outside import Outside
from callcenter.config.problems import Code, did_you_mean
from callcenter.config.shape import Duration, Positive, Shape, Slug, as_list, besides, form, mistake, some, tell
from callcenter.publish.event_names import event_names
from callcenter.signaling.trunks.settings import PasswordFrom

if TYPE_CHECKING:
    from callcenter.config.things import Notes, Things

PLACEHOLDERS = ("number", "account", "call")
"""What may stand in braces in the address of a CRM: the caller's number, the account they entered, the call's id."""

SECRET = "{secret}"
"""What stands in a header, or in the address of a CRM that takes it there alone, for the secret."""

PLAIN_FIELDS = ("id", "name", "account", "tier", "language", "since", "notes", "agent")
"""What is known of a customer beside the company's own fields."""

FINISHED = "interaction.finished"
CHANGED = "interaction.changed"
KINDS = (FINISHED, CHANGED, "interaction", "call", "callback", "followup", "customer")
"""What the events that a receiver may want begin with."""

# A company that tells more systems has one that tells them on.
MOST_WEBHOOKS = 20
# Seconds. Longer than it rings nobody needs the answer; a receiver does its work behind the answer.
LONGEST_LOOK_UP = 30.0
LONGEST_DELIVERY = 60.0


class CrmUse(StrEnum):
    """Whether the company's customers are in our base too. INSTEAD_OF: ours is not asked who calls."""

    BESIDE = "beside"
    INSTEAD_OF = "instead_of"


@dataclass(frozen=True, slots=True)
class CrmSettings:
    """How one company's CRM is asked. Times are seconds.

    ``url`` has placeholders in braces, see PLACEHOLDERS and SECRET; by POST the values are sent as JSON. ``answer``
    says where in the answer's JSON each of PLAIN_FIELDS stands, by a path with dots; ``fields`` the same of the
    company's own. After ``failures`` in a row nobody asks for ``pause``. ``never``: beginnings of numbers that are not
    asked for.
    """

    client: str
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: PasswordFrom | None = None
    answer: Mapping[str, str] = field(default_factory=lambda: {name: name for name in PLAIN_FIELDS})
    fields: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 3.0
    cache: float = 600.0
    failures: int = 5
    pause: float = 30.0
    use: CrmUse = CrmUse.BESIDE
    never: tuple[str, ...] = ()

    @property
    def wants_account(self) -> bool:
        """Whether an account that the caller enters makes another question of it."""
        return self.method == "POST" or "{account}" in self.url

    @property
    def wants_number(self) -> bool:
        """Whether the caller's number makes a question of it."""
        return self.method == "POST" or "{number}" in self.url


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A receiver of events, as the files have it. Times are seconds. ``secrets``: the present one, and the one before.

    ``private``: it may stand on this machine or in a private network. What cannot be delivered within
    ``give_up_after`` is let go, and who fails for ``disable_after`` is told nothing any more.
    """

    client: str
    name: str
    url: str
    secrets: tuple[PasswordFrom, ...]
    events: tuple[str, ...] = ("interaction",)
    private: bool = False
    timeout: float = 10.0
    give_up_after: float = 86_400.0
    disable_after: float = 5 * 86_400.0


def wants(events: tuple[str, ...], event: str) -> bool:
    """Whether an event is among those wanted: by its name, or by what it begins with, up to a dot."""
    return any(event == each or event.startswith(each + ".") for each in events)


# ------------------------------------------------------------------------------------------------------ as written


def web_address(value: str, example: str, *, written: str = "") -> str:
    """An address of HTTP without user or password. Raises a mistake, which quotes it as it is ``written``."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, good = urlsplit(""), False
    if not good or not value.isascii() or any(char.isspace() or not char.isprintable() for char in value):
        raise mistake(Code.FORM, f"`{written or value}` is not an address of HTTP", f"write e.g. {example}")
    if parts.username is not None or parts.password is not None:
        raise mistake(
            Code.FORM, "the address holds a user or password", "write `secret_env:` or `secret_file:` beside it"
        )
    if parts.fragment:
        raise mistake(Code.FORM, f"`#{parts.fragment}` is never sent", "take it away")
    return value


def _crm_url(value: str) -> str:
    example = "https://crm.example.com/customers?number={number}"
    host = urlsplit(value).netloc if "://" in value else ""
    if "{" in host:
        raise mistake(Code.FORM, "a placeholder stands in the name of the host", "write the host itself")
    known = (*PLACEHOLDERS, SECRET.strip("{}"))
    for name in re.findall(r"\{([^{}]*)\}", value):
        if name not in known:
            hint = did_you_mean(name, known, otherwise=f"there are {', '.join(known)}")
            raise mistake(Code.CHOICE, f"`{{{name}}}` stands for nothing here", hint)
    bare = re.sub(r"\{[^{}]*\}", "0", value)
    if "{" in bare or "}" in bare:
        raise mistake(Code.FORM, f"`{value}` has a brace without the other", f"write e.g. {example}")
    web_address(bare, example, written=value)
    for name, given in parse_qsl(urlsplit(value).query):
        if "{" not in given and _is_a_secret(name, given):
            hint = f"send it in a header by {SECRET}, or write {name}={SECRET}; with `secret_env: VARIABLE` beside"
            raise mistake(Code.FORM, f"the secret of `{name}` stands in the configuration", hint)
    return value


def _hook_url(value: str) -> str:
    return web_address(value, "https://crm.example.com/hooks/calls")


def _event(value: str) -> str:
    kind = value.split(".", 1)[0]
    known = {*KINDS, *event_names()}
    if value in known:
        return value
    near = {each for each in known if each.startswith(f"{kind}.")} if kind in KINDS and kind != value else KINDS
    hint = did_you_mean(value, near, otherwise="write interaction, call, call.answered, callback, followup, customer")
    raise mistake(Code.CHOICE, f"`{value}` is no event", hint)


for _check in (_crm_url, _hook_url):
    tell(_check, lambda inner: {**inner, "pattern": "^https?://"})
tell(_event, lambda inner: besides(inner, pattern=r"^[a-z_]+(\.[a-z_]+)?$"))


def events_of(value: list[str]) -> tuple[str, ...]:
    """The events that somebody wants, checked as those of the files are. Raises PydanticCustomError."""
    return tuple(_event(each) for each in value)


def _within(longest: float) -> AfterValidator:
    def check(value: float) -> float:
        if value > longest:
            raise mistake(Code.DURATION, f"it is longer than {longest:g} s", f"write {longest:g}s at most")
        return value

    return AfterValidator(tell(check, lambda inner: inner))


_NAMES_A_SECRET = re.compile(r"authorization|cookie|token|secret|password|api[-_]?key|(^|[-_])auth$", re.IGNORECASE)
_NAMES_A_KEY = re.compile(r"(^|[-_])key$", re.IGNORECASE)
_WORDS = re.compile(r"[a-z]+([-_.][a-z]+)*")


def _is_a_secret(name: str, given: str) -> bool:
    """Whether a header, or what an address asks by, holds one. A key may be that of a record too: it is a word then."""
    return bool(_NAMES_A_SECRET.search(name) or (_NAMES_A_KEY.search(name) and not _WORDS.fullmatch(given)))


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if SECRET not in text and _is_a_secret(name, text):
            hint = (
                f"write {SECRET} where it belongs, and `secret_env: VARIABLE` or `secret_file: FILE` beside `headers`"
            )
            raise mistake(Code.FORM, f"the secret of `{name}` stands in the configuration", hint, at=name)
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or not text.isascii() or not text.isprintable():
            raise mistake(Code.FORM, f"`{name}: {text}` is no header", 'write e.g. Accept: "application/json"')
        if name.lower() in ("host", "content-length", "transfer-encoding", "connection", "accept-encoding"):
            raise mistake(Code.FORM, f"`{name}` is set by us", "take it away")
    return value


_PATH = form(
    r"[A-Za-z0-9_$@ -]+(\.[A-Za-z0-9_$@ -]+)*", "a path into the answer", "write e.g. customer.name, or items.0.name"
)
Path = Annotated[str, _PATH]
Beginning = Annotated[str, form(r"\+(?:[1-9]\d{0,14})?", "the beginning of a number", 'write e.g. "+1900", in quotes')]
FieldName = Annotated[str, form(r"[a-z0-9]+([-_][a-z0-9]+)*", "the name of a field", "write lower case, as in `plan`")]


class Secret(Shape):
    """Where a secret stands: never here."""

    secret_env: Variable | None = None
    secret_file: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_in_clear(cls, value: Any) -> Any:
        for key in ("secret", "token", "password", "former_secret"):
            if isinstance(value, dict) and key in value:
                hint = "write `secret_env: VARIABLE` or `secret_file: FILE`"
                raise mistake(Code.FORM, "a secret does not stand in the configuration", hint, at=key)
        return value

    @model_validator(mode="after")
    def _from_one_place(self) -> Secret:
        if self.secret_env is not None and self.secret_file is not None:
            raise mistake(
                Code.FORM, "the secret comes from two places", "keep `secret_env` or `secret_file`", at="secret_file"
            )
        return self


class Answer(Shape):
    """Where in the answer's JSON a customer's values stand; what is left out stands under its own name."""

    id: Path = "id"
    name: Path = "name"
    account: Path = "account"
    tier: Path = "tier"
    language: Path = "language"
    since: Path = "since"
    notes: Path = "notes"
    agent: Path = "agent"
    fields: Annotated[dict[FieldName, Path], some(50)] | None = None


class Crm(Secret):
    """``crm``: the company's own customer base, asked by HTTP who calls; no call waits for it."""

    url: Annotated[str, AfterValidator(_crm_url)]
    method: Literal["GET", "POST"] = "GET"
    headers: Annotated[dict[str, str], some(20), AfterValidator(_headers)] | None = None
    answer: Answer = Answer()
    timeout: Annotated[Positive, _within(LONGEST_LOOK_UP)] = 3.0
    cache: Duration = 600.0
    failures: Annotated[int, Field(ge=1, le=1000)] = 5
    pause: Positive = 30.0
    use: CrmUse = CrmUse.BESIDE
    never: Annotated[tuple[Beginning, ...], BeforeValidator(as_list)] = ()

    @model_validator(mode="after")
    def _makes_sense(self) -> Crm:
        wanting = {"url": self.url, **(self.headers or {})}
        named = [name for name, text in wanting.items() if SECRET in text]
        given = self.secret_env is not None or self.secret_file is not None
        if given and not named:
            hint = 'write e.g. headers: {Authorization: "Bearer {secret}"}'
            raise mistake(
                Code.MISSING,
                "the secret stands neither in a header nor in the address",
                hint,
                at="secret_env" if self.secret_env else "secret_file",
            )
        if named and not given:
            hint = "add `secret_env: VARIABLE` or `secret_file: FILE`"
            at = "url" if named[0] == "url" else "headers"
            raise mistake(Code.MISSING, f"`{named[0]}` wants a secret, and there is none", hint, at=at)
        if self.method == "GET" and "{number}" not in self.url and "{account}" not in self.url:
            hint = "write e.g. https://crm.example.com/customers?number={number}, or `method: POST`"
            raise mistake(Code.MISSING, "the address does not say who is asked for", hint, at="url")
        return self


class Webhook(Secret):
    """A receiver that is told what became of the company's calls."""

    url: Annotated[str, AfterValidator(_hook_url)]
    events: Annotated[tuple[Annotated[str, AfterValidator(_event)], ...], some(50), BeforeValidator(as_list)] = (
        "interaction",
    )
    former_secret_env: Variable | None = None
    former_secret_file: str | None = None
    allow_private: bool = False
    timeout: Annotated[Positive, _within(LONGEST_DELIVERY)] = 10.0
    give_up_after: Positive = 86_400.0
    disable_after: Positive = 5 * 86_400.0

    @model_validator(mode="after")
    def _has_a_secret(self) -> Webhook:
        if self.secret_env is None and self.secret_file is None:
            hint = "add `secret_env: VARIABLE` or `secret_file: FILE`; make one with: openssl rand -base64 32"
            raise mistake(Code.MISSING, "without a secret nobody can tell our events from others'", hint)
        if self.former_secret_env is not None and self.former_secret_file is not None:
            hint = "keep `former_secret_env` or `former_secret_file`"
            raise mistake(Code.FORM, "the secret of before comes from two places", hint, at="former_secret_file")
        return self


Webhooks = Annotated[dict[Slug, Webhook], some(MOST_WEBHOOKS)]


# -------------------------------------------------------------------------------------------------------- composed


def crm_settings(client: str, written: Crm, secret: PasswordFrom | None) -> CrmSettings:
    """What a company's CRM is asked by."""
    return CrmSettings(
        client=client,
        url=written.url,
        method=written.method,
        headers=written.headers or {},
        secret=secret,
        answer={name: getattr(written.answer, name) for name in PLAIN_FIELDS},
        fields=written.answer.fields or {},
        timeout=written.timeout,
        cache=written.cache,
        failures=written.failures,
        pause=written.pause,
        use=written.use,
        never=written.never,
    )


def webhook_settings(client: str, name: str, written: Webhook, secrets: tuple[PasswordFrom, ...]) -> WebhookSettings:
    """What a receiver is told, and how."""
    return WebhookSettings(
        client=client,
        name=name,
        url=written.url,
        secrets=secrets,
        events=written.events,
        private=written.allow_private,
        timeout=written.timeout,
        give_up_after=written.give_up_after,
        disable_after=written.disable_after,
    )


def integrations(things: Things, notes: Notes) -> None:
    """Note what would send a secret or customers' data in the clear, and what comes to nothing."""
    for name, client in things.clients.items():
        if client.crm is not None:
            here: KeyPath = ("clients", name, "crm", "url")
            _in_the_clear(here, client.crm.url, notes)
        if not things.desk.enabled:
            for key, what in (("crm", "asked"), ("webhooks", "told")):
                if getattr(client, key) is not None:
                    message = f"nobody is {what}: the desk does that, and it is off"
                    notes.warn(
                        Code.UNUSED,
                        ("clients", name, key),
                        message,
                        f"write desk: {{enabled: true}}, or take `{key}` away",
                    )
        for hook, written in (client.webhooks or {}).items():
            path: KeyPath = ("clients", name, "webhooks", hook)
            if not written.allow_private and _is_private(urlsplit(written.url).hostname or ""):
                message = "it is on this machine or in a private network, where nothing is sent"
                notes.add(Code.FORM, (*path, "url"), message, "add `allow_private: true`", warning=True)
            _in_the_clear((*path, "url"), written.url, notes)
            if written.disable_after < written.give_up_after:
                message = "it is told nothing any more before anything is given up"
                hint = "write a longer `disable_after`, or a shorter `give_up_after`"
                notes.warn(Code.FORM, (*path, "disable_after"), message, hint)


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"


LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _in_the_clear(path: KeyPath, url: str, notes: Notes) -> None:
    parts = urlsplit(re.sub(r"\{[^{}]*\}", "0", url))
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        hint = "write https://, unless nobody else is on the way"
        notes.add(Code.FORM, path, "who is on the way reads along: numbers, names, the secret", hint, warning=True)


def crms(things: Things, outside: Outside) -> dict[str, CrmSettings]:
    """Of each company that has one, what its CRM is asked by."""
    found = {}
    for name, client in things.clients.items():
        if client.crm is not None:
            secret = _secret(outside, ("clients", name, "crm"), client.crm.secret_env, client.crm.secret_file)
            found[name] = crm_settings(name, client.crm, secret)
    return found


def webhooks(things: Things, outside: Outside) -> tuple[WebhookSettings, ...]:
    """Every receiver of every company."""
    found = []
    for client, about in things.clients.items():
        for name, hook in (about.webhooks or {}).items():
            path: KeyPath = ("clients", client, "webhooks", name)
            now = _secret(outside, path, hook.secret_env, hook.secret_file)
            before = _secret(outside, path, hook.former_secret_env, hook.former_secret_file, "former_")
            secrets = tuple(each for each in (now, before) if each is not None)
            found.append(webhook_settings(client, name, hook, secrets))
    return tuple(found)


def _secret(outside: Outside, path: KeyPath, env: str | None, file: str | None, which: str = "") -> PasswordFrom | None:
    if env is None and file is None:
        return None
    hint = "the desk does without until it is set where the switch is started"
    outside.variable((*path, f"{which}secret_env"), env, hint)
    return PasswordFrom(env, outside.file((*path, f"{which}secret_file")))
