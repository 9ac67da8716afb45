"""The shape of the YAML: one pydantic model for each thing that is written, with hints for what is written wrongly."""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationInfo,
    model_validator,
)
from typing_extensions import TypeAliasType

from callcenter.acd.presence import Absence
from callcenter.acd.requirements import AllOf, AnyOf, Need, Needs, Requirement, merged
from callcenter.acd.settings import Strategy
from callcenter.calls.hours import Door
from callcenter.calls.line import LONGEST_KEPT
from callcenter.calls.overflow import CONTINUE, ToCallback, ToFlow, ToNumber, ToOtherQueue
from callcenter.calls.record_policy import ALWAYS, NEVER, ON_DEMAND, LeastFree, RecordRule
from callcenter.calls.settings import (
    CUSTOMERS_AGENT,
    LAST_AGENT,
    PLACEHOLDERS,
    PROMISE,
    CallbackPrompts,
    CodeAction,
    DoNotCallRule,
    Missed,
    OnClose,
    RingsIn,
)
from callcenter.config import calendar
from callcenter.config.calendar import NotWrittenSo
from callcenter.config.callback_shapes import OnAbandon, Preview, Spacing, WrittenWish
from callcenter.config.crm import Crm, Webhooks
from callcenter.config.customers import ClientCalls, ClientCustomers
from callcenter.config.origins import origin
from callcenter.config.problems import Code, did_you_mean
from callcenter.config.settings import ReloadWhen
from callcenter.config.shape import (
    ALSO,
    DURATION,
    KINDS,
    Duration,
    Name,
    Positive,
    Retention,
    Shape,
    Slug,
    Text,
    besides,
    either,
    mistake,
    seconds,
    tell,
)
from callcenter.config.shape import as_list as _as_list
from callcenter.config.shape import form as _form
from callcenter.config.shape import none_for as _none_for
from callcenter.config.shape import positive as _positive
from callcenter.config.shape import some as _some
from callcenter.config.shape import word_as as _word_as
from callcenter.media.plane import RecordingEncoding
from callcenter.media.settings import USUAL_CODECS
from callcenter.model.callback import Mode
from callcenter.model.customer import Match
from callcenter.model.customer_fields import FieldKind
from callcenter.model.states import Intent, WrapUpMode
from callcenter.publish.settings import Role
from callcenter.signaling.trunks.settings import SIGN_OF_LIFE
from callcenter.sip.digest import Algorithm
from callcenter.sip.flow import Address
from callcenter.sip.guard import LOOPBACK
from callcenter.speech.voices import Voice, parse

# ---------------------------------------------------------------------------------------------------------- words

# Logins that the embedded broker has beside those of the agents.
RESERVED_USERS = frozenset({Role.SWITCH.value, Role.MONITOR.value})


def _limit(value: Any) -> float:
    if value in ("off", "none", "no", False):
        raise mistake(Code.DURATION, f"`{value}` is not a duration", "write never, or a duration as 20s or 2m")
    return math.inf if value == "never" else _positive(seconds(value))


tell(_limit, lambda _: {"anyOf": [DURATION, {"const": "never"}]})


def _check_agent(value: str) -> str:
    if value in RESERVED_USERS:
        hint = "take another"
        raise mistake(
            Code.FORM, f"`{value}` cannot be an agent or supervisor: the broker has a login of that name", hint
        )
    return value


tell(_check_agent, lambda inner: {**inner, "not": {"enum": sorted(RESERVED_USERS)}})


def _language_hint(value: str) -> str:
    parts = re.split(r"[-_]", value)
    if re.fullmatch(r"[A-Za-z]{2,3}", parts[0]) and len(parts) <= 2:
        return f"write it as `{'-'.join([parts[0].lower(), *(part.upper() for part in parts[1:])])}`"
    return "write it as in `en`, `es` or `pt-BR`"


def _number_hint(value: str) -> str:
    digits = re.sub(r"\D", "", value)
    if re.match(r"\s*(\+|00)", value) and 7 <= len(digits.removeprefix("00")) <= 15:
        return f'write it as "+{digits.removeprefix("00")}"'
    return 'write it in E.164 and in quotes, e.g. "+15555550100"'


def _known(kind: str, *, prefix: str = "", besides: str = "") -> AfterValidator:
    """The value must be the name of a ``kind`` that is configured: the names come in the context."""

    def check(value: str, info: ValidationInfo) -> str:
        names: Mapping[str, set[str]] = info.context or {}
        if kind in names and value != besides and value not in names[kind]:
            raise mistake(
                Code.NAMES_NOTHING,
                f"no {kind} is named `{value}`",
                did_you_mean(value, names[kind], otherwise=f"add it to the section `{prefix or kind + 's'}`"),
            )
        return value

    KINDS[check] = kind
    return AfterValidator(check)


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        hint = 'write an address of this machine, 0.0.0.0 for all of IPv4, "::" for all of IPv6'
        raise mistake(Code.FORM, f"`{value}` is not an IP address", hint) from None


def _host(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        if not re.fullmatch(
            r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
            r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
            value,
        ):
            scheme = re.match(r"sips?:", value, re.IGNORECASE)
            raise mistake(
                Code.FORM,
                f"`{value}` is neither an address nor a host name",
                f"write it without `{scheme[0]}`" if scheme else "write e.g. 203.0.113.7 or pbx.example.org",
            ) from None
        return value


def _version(host: str) -> int:
    """4 or 6 for an address, 0 for a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return 0


def _one_of_each_family(hosts: tuple[str, ...]) -> tuple[str, ...]:
    kinds = [{4: "IPv4 addresses", 6: "IPv6 addresses"}.get(_version(host), "names") for host in hosts]
    for at, named in enumerate(kinds):
        if named in kinds[:at]:
            raise mistake(Code.FORM, f"there are two {named}", "write one of each family at most, or one name for both")
    return hosts


def _outside(value: Any) -> Address:
    """``host`` or ``host:port``, an IPv6 address before a port in brackets; port 0 where none is written."""
    text = str(value)
    # An IPv6 address without brackets has no port: its last part would be mistaken for one.
    host, colon, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "0")
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not bool(colon) <= int(port) < 65536:
        hint = "write e.g. 203.0.113.7:5070 or [2001:db8::7]:5070"
        raise mistake(Code.FORM, f"`{value}` is not an address with a port", hint)
    return Address(_host(host), int(port))


def _peer(value: Any) -> Any:
    """The short forms of a peer: ``host`` or ``host:port``, an IPv6 address before a port in brackets."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]+):(\d+)", value) if isinstance(value, str) else None
    if found is not None:
        return {"host": found[1], "port": found[2]}
    return {"host": value} if isinstance(value, str | int) else value


tell(_peer, lambda inner: either(inner, {"type": "string"}))


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    try:
        better = f"write it as {ipaddress.ip_network(value, strict=False)}"
    except ValueError:
        better = 'write an address or a network, e.g. 203.0.113.7, 10.0.0.0/8 or "2001:db8::/32"'
    raise mistake(Code.FORM, f"`{value}` is neither an address nor a network", better)


def _ports(value: Any) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", str(value))
    if not found:
        raise mistake(Code.FORM, f"`{value}` is not a range of ports", "write it as 16384-32767")
    low, high = int(found[1]), int(found[2])
    if not 1024 <= low < high <= 65535:
        raise mistake(
            Code.FORM, f"`{value}` does not lie between 1024 and 65535, the lower first", "write it as 16384-32767"
        )
    return low, high


tell(_outside, lambda _: {"type": "string"})
tell(_ports, lambda _: {"type": "string", "pattern": r"^\d{1,5}\s*-\s*\d{1,5}$"})


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("mqtt", "mqtts") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good:
        raise mistake(
            Code.FORM, f"`{value}` is not the address of a broker", "write mqtt://HOST:1883 or mqtts://HOST:8883"
        )
    if parts.username or parts.password:
        raise mistake(
            Code.FORM,
            "a broker's address holds no user or password",
            "write `user:` beside it, and `password_env:` or `password_file:`",
        )
    return value


def _voice(value: Any) -> Voice:
    try:
        return parse(str(value))
    except ValueError as error:
        raise mistake(Code.FORM, f"`{value}` is not a voice", str(error)) from None


tell(_url, lambda inner: {**inner, "pattern": "^mqtts?://"})
tell(_voice, lambda _: {"type": "string"})


def _at_most(most: int) -> BeforeValidator:
    """A list that may be empty, and does not hold too much."""

    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) > most:
            raise mistake(Code.FORM, f"it holds {len(value)}, too many", f"write at most {most}")
        return value

    return BeforeValidator(tell(check, lambda inner: besides(inner, maxItems=most)))


def _share(value: Any) -> float:
    """A share as a percentage, ``80%``, or as a number up to 1."""
    written = str(value).strip()
    try:
        share = float(written[:-1]) / 100 if written.endswith("%") else float(written)
    except ValueError:
        share = 0.0
    if isinstance(value, bool) or not 0 < share <= 1:
        raise mistake(Code.FORM, f"`{value}` is no share", "write a percentage up to 100%, as in 80%")
    return share


tell(_share, lambda _: {"type": ["string", "number"]})

RECORD_WORDS = {"always": ALWAYS, "never": NEVER, "on_demand": ON_DEMAND}


def _record(value: Any) -> RecordRule:
    """Who is recorded: a word, or a share of all talks."""
    if isinstance(value, str) and value in RECORD_WORDS:
        return RECORD_WORDS[value]
    if isinstance(value, str) and value.strip().endswith("%"):
        return RecordRule(share=_share(value))
    hint = did_you_mean(str(value), RECORD_WORDS, otherwise=f"write {', '.join(RECORD_WORDS)}, or a share, as in 20%")
    raise mistake(Code.CHOICE, f"`{value}` does not say who is recorded", hint)


SIZES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def _least_free(value: Any) -> LeastFree:
    """A share of a disk, ``5%``, or a size, ``2GB``."""
    text = str(value).strip()
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MB|GB|TB)", text)
    if found is not None:
        return LeastFree(octets=round(float(found[1]) * SIZES[found[2]]))
    if not text.endswith("%") or _share(text) >= 1:
        raise mistake(Code.FORM, f"`{value}` is neither a share of a disk nor a size", "write e.g. 5%, 500MB or 20GB")
    return LeastFree(share=_share(text))


_PERCENTAGE = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}
tell(_record, lambda _: {"anyOf": [{"enum": list(RECORD_WORDS)}, _PERCENTAGE]})
tell(_least_free, lambda _: {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(%|MB|GB|TB)$"})


def _written_so(parse: Callable[[str], object]) -> AfterValidator:
    """A text that a parser of ours can read; it is kept as it is written."""

    def check(value: str) -> str:
        try:
            parse(value)
        except NotWrittenSo as error:
            raise mistake(Code.FORM, str(error), error.hint) from None
        return value

    return AfterValidator(check)


def _each_day_once(value: dict[str, Any]) -> dict[str, Any]:
    lines: dict[int, str] = {}
    for line in value:
        for day in calendar.days(line):
            if day in lines:
                name = calendar.DAYS[day]
                raise mistake(Code.FORM, f"`{name}` stands in `{lines[day]}` and in `{line}`", "write each day once")
            lines[day] = line
    return value


def _text_of(value: Any) -> Any:
    """Words, numbers and truth as one text: an attribute is text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _codec(value: Any) -> Any:
    """A codec however it is spelled: ``Opus``, ``G.722``, ``pcmu``."""
    if not isinstance(value, str):
        return value
    found = _CODEC_SPELLINGS.get(value.lower().replace(".", ""))
    if found is None:
        raise mistake(Code.CHOICE, f"`{value}` is not known here", f"known here: {', '.join(get_args(CodecName))}")
    return found


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    for at, name in enumerate(value):
        if name in value[:at]:
            raise mistake(Code.FORM, f"`{name}` stands here twice", "take one away")
    return value


CodecName = Literal["PCMU", "PCMA", "G722", "opus", "L16"]
_CODEC_SPELLINGS = {name.lower(): name for name in get_args(CodecName)} | {"ulaw": "PCMU", "alaw": "PCMA"}

tell(_codec, lambda inner: inner)
tell(_each_once, lambda inner: {**inner, "uniqueItems": True})
tell(_text_of, lambda inner: {**inner, "type": ["string", "number", "boolean"]})


Codecs = Annotated[
    tuple[Annotated[CodecName, BeforeValidator(_codec)], ...],
    AfterValidator(_each_once),
    _some(8),
    BeforeValidator(_as_list),
]


def _off_as(meant: dict[str, Any]) -> BeforeValidator:
    """The short form: the word ``off`` stands for the pairs that turn a thing off."""

    def read(value: Any) -> Any:
        return meant if value == "off" else value

    return BeforeValidator(tell(read, lambda inner: either(inner, {"const": "off"})))


Record = Annotated[RecordRule, BeforeValidator(_record)]
Limit = Annotated[float, BeforeValidator(_limit)]
AgentSlug = Annotated[Slug, AfterValidator(_check_agent)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(lambda value: _network(str(value)))]
Level = Annotated[int, Field(ge=1, le=5)]
_SKILL = _form(r"[a-z0-9][a-z0-9_-]{0,63}", "the name of a skill", "write lower case, as in `english`")
KINDS[_SKILL.func] = "skill"
Skill = Annotated[str, _SKILL]


def _asked(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > 50:
        raise mistake(Code.FORM, f"there are {len(value)}", "write at most 50")
    for key in ("any", "all") if isinstance(value, dict) else ():
        if isinstance(value.get(key), dict):
            raise mistake(
                Code.FORM,
                f"no list stands behind `{key}`",
                f"write {key}: [{{...}}, {{...}}], each skill in its own {{}}",
            )
    return value


tell(_asked, lambda inner: {**inner, "maxProperties": 50})


def _combined(value: dict[str, Any]) -> dict[str, Any]:
    for key, each in value.items():
        if isinstance(each, tuple) and key not in ("any", "all"):
            raise mistake(
                Code.FORM,
                f"a list stands behind the skill `{key}`",
                f"write {key}: LEVEL with a level from 1 to 5, or any: [...] or all: [...] for several skills",
            )
    return value


# What is asked of an agent: all of what stands in the mapping. `any` and `all` take a list of further mappings.
if TYPE_CHECKING:
    Asked = dict[str, Any]
else:
    Asked = TypeAliasType(
        "Asked",
        Annotated[
            dict[
                Skill,
                Annotated[
                    Annotated[Level, Tag("<level>")] | Annotated[tuple["Asked", ...], _some(20), Tag("<list>")],
                    Discriminator(lambda value: "<list>" if isinstance(value, list | tuple) else "<level>"),
                ],
            ],
            BeforeValidator(_asked),
            AfterValidator(_combined),
        ],
    )


def _together(needs: Needs) -> Need:
    return needs[0] if len(needs) == 1 else AllOf(needs)


def needs_of(asked: Mapping[str, Any]) -> Needs:
    """What an ``Asked`` asks."""
    found: list[Need] = []
    for key, value in asked.items():
        if isinstance(value, tuple):
            each = tuple(_together(needs_of(every)) for every in value)
            found.append(AllOf(each) if key == "all" else AnyOf(each))
        else:
            found.append(Requirement(key, value))
    return merged(found)


Language = Annotated[str, _form(r"[a-z]{2,3}(-[A-Z]{2})?", "the tag of a language", _language_hint)]
SpeakWord = Annotated[str, _form(r"customer|[a-z]{2,3}(-[A-Z]{2})?", "the tag of a language", _language_hint)]
E164 = Annotated[str, _form(r"\+[1-9]\d{6,14}", "a number in E.164", _number_hint)]
Alias = Annotated[str, _form(r"[a-z0-9*#._-]{1,32}", "a short number or word to dial", "write e.g. 1000 or welcome")]
CodeKey = Annotated[str, _form(r"[0-9*#]{2,8}", "a code to dial", 'write 2 to 8 of 0 to 9, * and #, in quotes: "*21"')]
Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(_host)], ...], BeforeValidator(_as_list), AfterValidator(_one_of_each_family)
]
TlsVersion = Annotated[
    str,
    BeforeValidator(str),
    _form(r"1\.[23]", "a version of TLS that is safe", 'write "1.2" or "1.3"; older ones are broken (RFC 8996)'),
]
Extension = Annotated[str, _form(r"[0-9]{2,8}", "an extension", 'write 2 to 8 digits, in quotes: "201"')]
DialPrefix = Annotated[
    str, _form(r"[0-9*#]{1,6}", "a prefix to dial", 'write 1 to 6 of 0 to 9, * and #, in quotes: "9"')
]
Beginning = Annotated[
    str,
    _form(
        r"\+(?:[1-9]\d{0,14})?",
        "the beginning of a number in E.164",
        'write a plus and digits, in quotes: "+1", or "+" for all the world',
    ),
]
Key = Annotated[str, _form(r"[0-9*#]", "a key of a telephone", 'write one of 0 to 9, "*" or "#"')]
Prefix = Annotated[str, _form(r"\d{0,5}", "what is dialled before a number", 'write digits, as in "011", or ""')]
Country = Annotated[str, _form(r"[1-9]\d{0,2}", "the code of a country", 'write it without plus, as in "1" or "44"')]
Digits = Annotated[str, _form(r"\+?\d{1,15}", "the beginning of a number", 'write digits, as in "+1" or "0800"')]
Value = Annotated[str, Field(max_length=200), BeforeValidator(_text_of)]
Days = Annotated[str, _written_so(calendar.days)]
Span = Annotated[str, _written_so(calendar.interval)]
Spans = Annotated[tuple[Span, ...], BeforeValidator(_as_list)]
CalendarDay = Annotated[str, _written_so(calendar.day_of_calendar)]
TimeZone = Annotated[str, _written_so(calendar.zone)]
ClientName = Annotated[str, _known("client")]
HoursName = Annotated[str, _known("set of hours", prefix="hours")]
QueueName = Annotated[str, _known("queue")]
FlowName = Annotated[str, _known("flow")]
TrunkName = Annotated[str, _known("trunk")]
AgentName = Annotated[str, _known("agent")]
PromptName = Annotated[str, _known("prompt")]
MusicName = Annotated[str, _known("piece of music", prefix="music")]
HexMd5 = Annotated[str, _form(r"[0-9a-f]{32}", "an MD5 HA1", "make it with: callcenter password USER")]
HexSha256 = Annotated[str, _form(r"[0-9a-f]{64}", "a SHA-256 HA1", "make it with: callcenter password USER")]
MosquittoHash = Annotated[
    str,
    _form(
        r"\$7\$\d+\$[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*", "a Mosquitto hash", "make it with: callcenter password USER"
    ),
]


DeskHash = Annotated[
    str,
    _form(
        r"\$argon2id\$v=19\$m=\d{4,6},t=\d{1,2},p=\d{1,2}\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}",
        "an Argon2id hash",
        "make it with: callcenter password USER",
    ),
]

# What the sections that have a file of their own are made of too.
address, at_most = _address, _at_most


# ------------------------------------------------------------------------------------------------------- sections


class Switch(Shape):
    """``switch``: the program itself."""

    node: Slug = "cc1"
    data: str | None = None
    drain_limit: Duration = 600.0
    reload: ReloadWhen = ReloadWhen.ON_REQUEST


class ListenOn(Shape):
    """One address that SIP listens on."""

    transport: Literal["udp", "tcp", "tls"]
    host: Annotated[str, AfterValidator(_address)]
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    advertised: Annotated[Address, BeforeValidator(_outside)] | None = None


def _each_port_once(listen: tuple[ListenOn, ...]) -> tuple[ListenOn, ...]:
    """TLS runs on TCP: one of both has a port; port 0 is any that is free."""
    taken: dict[tuple[str, str, int], str] = {}
    for each in listen:
        port = each.port if each.port is not None else 5061 if each.transport == "tls" else 5060
        key = ("udp" if each.transport == "udp" else "tcp", each.host, port)
        if port and key in taken:
            both = f"{taken[key]} and {each.transport}" if taken[key] != each.transport else f"two of {each.transport}"
            hint = "give each a port of its own, e.g. 5060 for udp and tcp, 5061 for tls"
            raise mistake(Code.FORM, f"{both} would listen on port {port} of {each.host}", hint)
        taken[key] = each.transport
    return listen


class Register(Shape):
    """How long a phone may stay registered without coming again."""

    min: Positive = 60.0
    max: Positive = 3600.0
    default: Positive = 600.0

    @model_validator(mode="after")
    def _in_order(self) -> Register:
        if not self.min <= self.default <= self.max:
            raise mistake(
                Code.FORM, "it must be: min <= default <= max", "write e.g. {min: 60s, default: 10m, max: 1h}"
            )
        return self


class SessionTimer(Shape):
    """How often a call that is up is refreshed, and how often a peer may want that (RFC 4028)."""

    expires: Positive = 1800.0
    min: Positive = 90.0

    @model_validator(mode="after")
    def _in_order(self) -> SessionTimer:
        if not 1 <= self.min <= self.expires:
            raise mistake(Code.FORM, "it must be: 1s <= min <= expires", "write e.g. {expires: 30m, min: 90s}")
        return self


ALL_ADDRESSES = (
    ListenOn(transport="udp", host="0.0.0.0", port=5060),
    ListenOn(transport="udp", host="::", port=5060),
    ListenOn(transport="tcp", host="0.0.0.0", port=5060),
    ListenOn(transport="tcp", host="::", port=5060),
    ListenOn(transport="tls", host="0.0.0.0", port=5061),
    ListenOn(transport="tls", host="::", port=5061),
)


class CertificateOf(Shape):
    """A certificate that we show, and its key."""

    cert: str
    key: str | None = None


class Tls(Shape):
    """``sip.tls``: how TLS proves who is who."""

    certificates: Annotated[tuple[CertificateOf, ...], Field(max_length=64)] = ()
    min_version: TlsVersion = "1.2"
    client_ca: str | None = None
    client_certificate: Literal["optional", "required"] = "optional"
    ca_file: str | None = None
    verify: bool = True

    @model_validator(mode="after")
    def _belongs_together(self) -> Tls:
        if self.client_certificate == "required" and self.client_ca is None:
            raise mistake(
                Code.MISSING,
                "nobody is named who signs the certificates that are required",
                "add `client_ca`, the file of their authority",
            )
        return self


class Guard(Shape):
    """How much who is not known may ask for, and who is shut out for a time."""

    enabled: bool = True
    exempt: Annotated[tuple[Network, ...], _at_most(256), BeforeValidator(_as_list)] = LOOPBACK
    requests_per_second: Annotated[int, Field(ge=1, le=100_000)] = 100
    burst: Annotated[int, Field(ge=10, le=1_000_000)] = 2_500
    failures: Annotated[int, Field(ge=1, le=10_000)] = 20
    ban: Positive = 600.0


class Trace(Shape):
    """What is kept for ``callcenter trace``."""

    messages: Annotated[int, Field(ge=0, le=1_000_000)] = 20_000


class Sip(Shape):
    """``sip``: signalling."""

    listen: Annotated[tuple[ListenOn, ...], _some(32), AfterValidator(_each_port_once)] = ALL_ADDRESSES
    tls: Tls = Tls()
    advertised: Hosts = ()
    local_networks: Annotated[tuple[Network, ...], BeforeValidator(_as_list)] = ()
    realm: Annotated[str, _form(r'[^"\\\x00-\x1f]{1,64}', "a realm", "write a plain word, e.g. callcenter")] = (
        "callcenter"
    )
    digest: Annotated[tuple[Algorithm, ...], _some(2)] = (Algorithm.MD5,)
    agent_name: Annotated[str, _form(r"[\x21-\x7e][\x20-\x7e]{0,63}", "a User-Agent", "write plain ASCII")] = (
        "callcenter"
    )
    register_: Register = Field(default=Register(), alias="register")
    session_timer: Annotated[SessionTimer | None, _word_as("expires"), _none_for("off")] = SessionTimer()
    max_calls: Annotated[int, Field(ge=1, le=20_000)] = 400
    guard: Annotated[Guard, _off_as({"enabled": False})] = Guard()
    trace: Annotated[Trace, _off_as({"messages": 0})] = Trace()


class QualityAlarm(Shape):
    """When a trunk is told to sound bad: when half of its latest ``of`` legs have a score ``below`` this."""

    below: Annotated[float, Field(gt=1, lt=4.4)] = 3.6
    of: Annotated[int, Field(ge=2, le=1000)] = 20


class Media(Shape):
    """``media``: sound."""

    ports: Annotated[tuple[int, int], BeforeValidator(_ports)] = (16384, 32767)
    port_rest: Duration = 5.0
    workers: Annotated[Annotated[int, Field(ge=1, le=256)] | None, _none_for("auto")] = None
    advertised: Hosts = ()
    silence_timeout: Positive = 60.0
    missing_after: Positive = 5.0
    codecs: Codecs = USUAL_CODECS  # type: ignore[assignment]
    srtp: Literal["off", "optional", "required"] = "optional"
    srtp_without_tls: bool = False
    max_load: Annotated[float, Field(gt=0, le=1)] = 0.7
    max_late: Positive = 0.02
    one_way_after: Positive = 10.0
    quality_alarm: Annotated[QualityAlarm | None, _none_for("off")] = QualityAlarm()


class Mqtt(Shape):
    """``mqtt``: the broker."""

    broker: Literal["embedded", "off"] = "embedded"
    port: Annotated[int, Field(ge=0, le=65535)] = 1883
    monitor: bool = True
    pop_wait: Duration = 0.15
    url: Annotated[str, AfterValidator(_url)] | None = None
    user: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_id: Name = "callcenter"

    @model_validator(mode="after")
    def _belongs_together(self) -> Mqtt:
        of_url = ("user", "password_env", "password_file", "ca_file", "cert_file", "key_file")
        if self.url is None and any(getattr(self, name) for name in of_url):
            raise mistake(
                Code.MISSING,
                "`user`, `password_env`, `password_file`, `ca_file`, `cert_file` and `key_file` need a `url`",
                "add url: mqtts://HOST:8883, or take them away",
            )
        if (self.ca_file or self.cert_file) and not str(self.url).startswith("mqtts:"):
            raise mistake(
                Code.FORM, "certificates are of use with TLS only", "write url: mqtts://..., or take them away"
            )
        if self.key_file and not self.cert_file:
            raise mistake(Code.MISSING, "`key_file` is the key of a certificate", "add `cert_file`, or take it away")
        if self.password_env and self.password_file:
            raise mistake(Code.FORM, "the password comes from two places", "keep `password_env` or `password_file`")
        if (self.password_env or self.password_file) and not self.user:
            raise mistake(Code.MISSING, "a password without a `user`", "add `user`, or take the password away")
        return self


class Miss(Shape):
    """After an agent did not take a call: a pause, and how many in a row make him not ready."""

    pause: Duration = 0.0
    limit: Annotated[Annotated[int, Field(ge=1)] | None, _none_for("never")] = None


def _miss(pause: str, limit: int | None) -> Miss:
    return Miss.model_validate({"pause": pause, "limit": limit})


class WrapUp(Shape):
    """The time after a talk."""

    mode: WrapUpMode = WrapUpMode.TIMED
    time: Duration = 30.0
    extend_once: Duration = 0.0
    choice: Positive | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> WrapUp:
        if self.choice is not None and self.mode is not WrapUpMode.OPTIONAL:
            raise mistake(
                Code.FORM,
                "`choice` is the time to ask for an optional wrap-up",
                "write mode: optional, or take `choice` away",
            )
        return self


WrapUpOrTime = Annotated[WrapUp, _word_as("time")]


class MayDial(Shape):
    """``may_dial``: what agents may dial beside our own numbers. Of two beginnings that fit the longer one counts."""

    agents: bool = True
    queues: bool = True
    outside: Annotated[tuple[Beginning, ...], BeforeValidator(_as_list)] = ()
    never: Annotated[tuple[Beginning, ...], BeforeValidator(_as_list)] = ()

    @model_validator(mode="after")
    def _make_sense(self) -> MayDial:
        for number in self.never:
            if number in self.outside:
                raise mistake(Code.FORM, f"`{number}` stands in `outside` and in `never`", "take one away")
            if not any(number.startswith(wider) for wider in self.outside):
                raise mistake(
                    Code.FORM,
                    f"nothing in `outside` lets anybody dial `{number}`, so there is nothing to except",
                    "take it from `never`, or add to `outside` what it is an exception to",
                )
        return self


class Direct(Shape):
    """``acd.direct``: calls for one agent alone."""

    ring_for: Positive | None = None
    max_wait: Positive = 30.0


class Reason(Shape):
    """A reason for being not ready: what it means, and what a break for it may be."""

    label: Name
    longest: Positive | None = None
    a_day: Positive | None = None
    at_once: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Reason:
        if self.longest is not None and self.a_day is not None and self.a_day < self.longest:
            raise mistake(
                Code.FORM,
                "`a_day` is less than `longest`: no break could last so long",
                "write more for `a_day`, or less for `longest`",
            )
        return self


class ServiceLevel(Shape):
    """``service_level``: which share of the callers shall be answered ``within`` which time."""

    within: Positive = 20.0
    target: Annotated[float, BeforeValidator(_share)] = 0.8


ServiceLevelOrTime = Annotated[ServiceLevel, _word_as("within")]
Absences = Annotated[tuple[Absence, ...], _at_most(len(Absence)), BeforeValidator(_as_list)]


class Acd(Shape):
    """``acd``: what holds for every queue and agent that does not say otherwise."""

    strategy: Strategy = Strategy.LONGEST_IDLE
    ring_for: Positive = 20.0
    max_wait: Limit = math.inf
    wrap_up: WrapUpOrTime = WrapUp()
    short_abandon: Duration = 5.0
    max_waiting: Annotated[int, Field(ge=1, le=10_000)] = 500
    refuse_when: Absences = ()
    leave_when: Absences = ()
    leave_after: Duration = 30.0
    service_level: ServiceLevelOrTime = ServiceLevel()
    sign_in: Intent = Intent.READY
    no_answer: Miss = Miss(limit=1)
    busy: Miss = _miss("10s", None)
    declined: Miss = _miss("10s", 3)
    unreachable: Miss = _miss("30s", 3)
    offer_grace: Positive = 5.0
    reasons: Annotated[dict[Slug, Annotated[Reason, _word_as("label")]], _some(50)] = {}
    may_dial: MayDial = MayDial()
    direct: Direct = Direct()


# More often than this callers would hear more talk than music.
MOST_OFTEN = 5.0


def _not_too_often(value: float) -> float:
    if value < MOST_OFTEN:
        raise mistake(Code.DURATION, "that is too often: nobody wants to be spoken to all the time", "write e.g. 30s")
    return value


class AnnounceWait(Shape):
    """``announce.wait``: the prompts that tell how long it may still take."""

    under: PromptName
    between: PromptName


class Announce(Shape):
    """``announce``: what waiting callers are told."""

    position: PromptName | None = None
    wait: AnnounceWait | None = None
    first: Positive = 15.0
    every: Annotated[float, BeforeValidator(seconds), AfterValidator(_not_too_often)] = 30.0
    most: Annotated[int, Field(ge=1, le=100)] = 10
    beyond: PromptName | None = None
    prompts: Annotated[tuple[PromptName, ...], BeforeValidator(_as_list)] = ()

    @model_validator(mode="after")
    def _belongs_together(self) -> Announce:
        if self.beyond is not None and self.position is None:
            raise mistake(Code.MISSING, "`beyond` needs `position`", "add position: PROMPT, or take `beyond` away")
        return self


class Spoken(Shape):
    """A part of a prompt: a text, perhaps with its ``spoken`` spelling or its own ``language``; or a recording."""

    text: Text | None = None
    spoken: Text | None = None
    language: Language | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Spoken:
        if (self.text is None) == (self.file is None):
            raise mistake(Code.MISSING, "a prompt is a text or a recording", 'write "text", or {file: NAME.wav}')
        return self


class Whispered(Spoken):
    """What an agent hears of a caller before they talk; its text may name what is different for each."""

    @model_validator(mode="after")
    def _knows_its_names(self) -> Whispered:
        for name in re.findall(r"\{([^{}]*)\}", self.spoken or self.text or ""):
            if name not in PLACEHOLDERS:
                listed = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                raise mistake(Code.CHOICE, f"`{{{name}}}` means nothing here", f"write one of {listed}")
        return self


WhisperOrOff = Annotated[
    dict[Language, Annotated[Whispered, _word_as("text")]],
    _at_most(20),
    _off_as({}),
]
AnnounceOrOff = Annotated[Announce, _off_as({})]


PREFERRED_WORDS = (LAST_AGENT, PROMISE, CUSTOMERS_AGENT)


def _preferred(value: str, info: ValidationInfo) -> str:
    names: Mapping[str, set[str]] = info.context or {}
    if value in PREFERRED_WORDS or "agent" not in names or value in names["agent"]:
        return value
    hint = did_you_mean(
        value, (*PREFERRED_WORDS, *sorted(names["agent"])), otherwise="write last_agent, promise, customer or an agent"
    )
    raise mistake(Code.NAMES_NOTHING, f"no agent is named `{value}`", hint)


def _kept(value: Any) -> float:
    kept = 0.0 if value == "off" else seconds(value)
    if kept > LONGEST_KEPT:
        raise mistake(Code.DURATION, "nobody is waited for that long", "write at most 1h, e.g. 2m, or off")
    return kept


tell(_kept, lambda _: {"anyOf": [DURATION, {"const": "off"}]})

# Who is asked first: the agent who answered the caller last, the customer's own, or an agent by name.
Preferred = Annotated[
    tuple[Annotated[str, AfterValidator(_preferred)], ...],
    _at_most(10),
    BeforeValidator(_as_list),
    AfterValidator(_each_once),
]
Kept = Annotated[float, BeforeValidator(_kept)]
Points = Annotated[int, Field(ge=-100, le=100)]


_SHIPPED = CallbackPrompts()


class CallbackWords(Shape):
    """``calls.callback``: what is said to a caller who is to be called back, by the names that we ship them under."""

    confirm: PromptName = _SHIPPED.confirm
    digit: PromptName = _SHIPPED.digit
    choose: PromptName = _SHIPPED.choose
    enter: PromptName = _SHIPPED.enter
    invalid: PromptName = _SHIPPED.invalid
    accepted: PromptName = _SHIPPED.accepted
    unavailable: PromptName = _SHIPPED.unavailable
    connecting: PromptName = _SHIPPED.connecting
    preview: PromptName = _SHIPPED.preview


class Calls(Shape):
    """``calls``: what holds for every flow that does not say otherwise."""

    keep_place_for: Kept = 120.0
    prefer_for: Positive = 20.0
    last_agent_within: Positive = 86_400.0
    goodbye: PromptName | None = None
    invalid: PromptName | None = None
    no_input: PromptName | None = None
    timeout: Positive = 5.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    music: MusicName | None = None
    announce: AnnounceOrOff | None = None
    callback: CallbackWords = CallbackWords()
    whisper: WhisperOrOff = {}
    words: Annotated[dict[str, Annotated[dict[Language, Name], _some(20)]], _at_most(2000)] = {}


class Encryption(Shape):
    """Where the key stands that recordings are encrypted under: never here."""

    key_file: str | None = None
    key_env: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_in_clear(cls, value: Any) -> Any:
        if isinstance(value, dict) and "key" in value:
            hint = "write `key_file: FILE` or `key_env: VARIABLE`"
            raise mistake(Code.FORM, "a key does not stand in the configuration", hint)
        if not isinstance(value, dict) and value is not None:
            raise mistake(Code.FORM, f"`{value}` is no key", "write off, {key_file: FILE} or {key_env: VARIABLE}")
        return value

    @model_validator(mode="after")
    def _from_one_place(self) -> Encryption:
        if self.key_file is None and self.key_env is None:
            hint = "add `key_file: FILE` or `key_env: VARIABLE`; make a key with: openssl rand -base64 32"
            raise mistake(Code.MISSING, "there is no encryption without a key", hint)
        if self.key_file is not None and self.key_env is not None:
            raise mistake(Code.FORM, "the key comes from two places", "keep `key_file` or `key_env`")
        return self


class Recordings(Shape):
    """``recordings``: where talks are recorded to, and how long they are kept; who is recorded say clients, queues and
    agents.
    """

    directory: str | None = None
    format: RecordingEncoding = RecordingEncoding.PCM
    encryption: Annotated[Encryption | None, _none_for("off")] = None
    retention: Retention = math.inf
    least_free: Annotated[LeastFree, BeforeValidator(_least_free)] = LeastFree(share=0.05)
    announcement: Annotated[str, _known("prompt", besides="off")] = "recording-announcement"


class Speech(Shape):
    """``speech``: who reads the prompts."""

    voices: dict[Language, Annotated[Voice, BeforeValidator(_voice)]] = {}


# --------------------------------------------------------------------------------------------------------- things


class DialPlan(Shape):
    """How numbers are written: the country's code, and what stands before its own and before foreign numbers."""

    country: Country
    national_prefix: Prefix = ""
    international_prefix: Prefix = "00"


class Outbound(DialPlan):
    """How calls leave the house in a company's name."""

    caller_id: E164
    trunks: Annotated[tuple[TrunkName, ...], _some(20), BeforeValidator(_as_list)]
    hide_caller_id: bool = False
    do_not_call: DoNotCallRule = DoNotCallRule.REFUSE


def _required(value: Any) -> Any:
    """The short forms: ``required``, or when it is due."""
    if value == "required":
        return {"required": True}
    return {"due": value} if isinstance(value, str | int) and not isinstance(value, bool) else value


tell(_required, lambda inner: either(inner, {"type": ["string", "integer"]}))


class FollowUp(Shape):
    """That a disposition is to be followed up, and when, where nobody says another time."""

    required: bool = True
    due: Positive | None = None


class Disposition(Shape):
    """What a call may come to, or with ``codes`` a family of such."""

    label: Name
    follow_up: Annotated[FollowUp, BeforeValidator(_required)] | None = None
    codes: Annotated[dict[Slug, Annotated[Disposition, _word_as("label")]], _some(200)] | None = None


class WrapUpField(Shape):
    """What an agent is asked to fill in after a talk; a lone word stands for ``label``."""

    label: Name
    type: FieldKind = FieldKind.TEXT
    required: bool = False
    mask: bool = False
    choices: Annotated[dict[Slug, Name], _some(200)] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> WrapUpField:
        chosen = self.type is FieldKind.CHOICE
        if chosen and not self.choices:
            raise mistake(Code.MISSING, "there is nothing to choose from", "add choices: {basic: Basic, gold: Gold}")
        if self.choices and not chosen:
            raise mistake(Code.FORM, f"a {self.type} has no choices", "write type: choice, or take `choices` away")
        if self.mask and self.type is not FieldKind.TEXT:
            raise mistake(Code.FORM, f"of a {self.type} nothing is masked", "write type: text, or take `mask` away")
        return self


WrapUpFields = Annotated[dict[Slug, Annotated[WrapUpField, _word_as("label")]], _some(50)]


def _let_ring(value: float) -> float:
    if not 5.0 <= value <= 120.0:
        raise mistake(Code.DURATION, "a phone is let ring for 5 seconds to 2 minutes", "write e.g. 40s")
    return value


class ClientCallbacks(Shape):
    """Which numbers a company calls back, when, and how often it tries."""

    enabled: bool = True
    outside: Annotated[tuple[Beginning, ...], _some(1000), BeforeValidator(_as_list)] | None = None
    never: Annotated[tuple[Beginning, ...], BeforeValidator(_as_list)] = ()
    tries: Annotated[int, Field(ge=1, le=20)] = 3
    tries_per_day: Annotated[int, Field(ge=1, le=20)] | None = None
    spacing: Spacing = {}
    ring_for: Annotated[Positive, AfterValidator(_let_ring)] = 40.0
    per_caller: Annotated[int, Field(ge=0, le=100)] = 3
    per_day: Annotated[int, Field(ge=1, le=100)] = 5
    hours: HoursName | None = None
    missed: Missed = Missed.NEXT
    rings_in: RingsIn = RingsIn.MERGE
    mode: Mode = Mode.AGENT_FIRST
    preview: Annotated[Preview | None, _none_for("off")] = None
    keep_for: Retention = 365.0

    @model_validator(mode="after")
    def _make_sense(self) -> ClientCallbacks:
        for number in self.never:
            if number in (self.outside or ()):
                raise mistake(Code.FORM, f"`{number}` stands in `outside` and in `never`", "take one away")
        return self


class ClientFollowups(Shape):
    """When somebody is reminded of what a company's agents promised, and which queue has what is nobody's."""

    remind: Annotated[Positive | None, _none_for("off")] = None
    overdue_after: Positive = 3_600.0
    queue: QueueName | None = None


def _not_at_once(value: float) -> float:
    if not 10.0 <= value <= 86_400.0:
        raise mistake(Code.DURATION, "who asks is called 10 seconds to a day later", "write e.g. 1m")
    return value


class ClientCallMe(Shape):
    """How customers ask on a company's website or in its app to be called."""

    queue: QueueName
    reasons: Annotated[dict[Slug, Name], _at_most(100)] = {}
    origins: Annotated[
        tuple[Annotated[str, AfterValidator(origin)], ...],
        _at_most(50),
        BeforeValidator(_as_list),
    ] = ()
    confirm: Literal["caller", "backend"] = "caller"
    delay: Annotated[Positive, AfterValidator(_not_at_once)] = 60.0
    hours: HoursName | None = None
    per_address: Annotated[int, Field(ge=1, le=10_000)] = 5
    per_number: Annotated[int, Field(ge=1, le=100)] = 3
    per_hour: Annotated[int, Field(ge=1, le=100_000)] = 60
    per_day: Annotated[int, Field(ge=1, le=1_000_000)] = 300


class Share(Shape):
    """What a company has of the agents, while it has callers waiting."""

    minimum: Annotated[int, Field(ge=0, le=10_000)] = 0
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0


class Supervision(Shape):
    """What supervisors may do in a client's calls, whether the agent sees it, and what caller and agent are told."""

    agent_sees: bool = True
    allowed: tuple[Literal["listen", "whisper", "barge"], ...] = ("listen", "whisper", "barge")
    announce: PromptName | None = None


class Client(Shape):
    """A company."""

    name: Name
    languages: Annotated[tuple[Language, ...], _some(20)]
    greeting: dict[Language, Text] = {}
    time_zone: TimeZone | None = None
    music: MusicName | None = None
    whisper: WhisperOrOff | None = None
    share: Share | None = None
    outbound: Outbound | None = None
    dial_prefix: DialPrefix | None = None
    callbacks: Annotated[ClientCallbacks, _off_as({"enabled": False})] | None = None
    followups: ClientFollowups = ClientFollowups()
    call_me: ClientCallMe | None = None
    dispositions: Annotated[dict[Slug, Annotated[Disposition, _word_as("label")]], _some(200)] | None = None
    dispositions_required: bool = False
    wrap_up_fields: WrapUpFields | None = None
    supervision: Annotated[Supervision, _off_as({"allowed": []})] | None = None
    in_talk: Annotated[tuple[FlowName, ...], BeforeValidator(_as_list)] = ()
    language_skills: Annotated[dict[Language, Asked], _some(20)] | None = None
    intents: Annotated[dict[Slug, Asked], _some(500)] | None = None
    tiers: Annotated[dict[Name, Points], _some(100)] | None = None
    prefer: Preferred = ()
    prefer_for: Positive | None = None
    last_agent_within: Positive | None = None
    keep_place_for: Kept | None = None
    record: Record | None = None
    record_announcement: Annotated[str, _known("prompt", besides="off")] | None = None
    record_retention: Retention | None = None
    crm: Crm | None = None
    webhooks: Webhooks | None = None
    customers: ClientCustomers = ClientCustomers()
    calls: ClientCalls = ClientCalls()

    @model_validator(mode="after")
    def _has_what_it_requires(self) -> Client:
        if self.dispositions_required and not self.dispositions:
            raise mistake(
                Code.MISSING,
                "`dispositions_required` without `dispositions`: there is nothing to choose from",
                "add dispositions: {sold: Sold, not-sold: Not sold}, or take it away",
            )
        return self


class Number(Shape):
    """What is dialled."""

    client: ClientName
    flow: FlowName
    aliases: tuple[Alias, ...] = ()


class Holiday(Shape):
    """A day that is not as the week says; open in some hours of its own, or not at all."""

    name: Name
    open: Spans = ()


class Hours(Shape):
    """Opening hours: a week, and the days that are not like it."""

    open: Annotated[dict[Days, Spans], AfterValidator(_each_day_once)]
    holidays: Annotated[dict[CalendarDay, Annotated[Holiday, _word_as("name")]], _some(1000)] = {}
    time_zone: TimeZone | None = None


class Overflow(Shape):
    """What follows a queue that nobody answered in: a word is ``callback``, ``continue``, or the name of a flow."""

    flow: Annotated[str, _known("flow", besides=CONTINUE)] | None = None
    queue: QueueName | None = None
    number: E164 | None = None
    callback: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "callback":
            return {"callback": True}
        if isinstance(value, str):
            return {"flow": value}
        if not isinstance(value, dict) or len(value) != 1:
            hint = "write the name of a flow, or continue, callback, {queue: NAME}, or {number: NUMBER}"
            raise mistake(Code.FORM, "one thing follows", hint)
        return value

    @property
    def word(self) -> str:
        """The same as the word that the ACD carries to the call."""
        if self.queue is not None:
            return ToOtherQueue(self.queue).word
        if self.callback:
            return ToCallback().word
        return ToFlow(self.flow or CONTINUE).word if self.number is None else ToNumber(self.number).word


GO_ON = Overflow(flow=CONTINUE)
OverflowKey = Literal["on_max_wait", "on_full", "on_empty", "on_closed"]
OVERFLOW_KEYS: tuple[OverflowKey, ...] = get_args(OverflowKey)


class RoutingStep(Shape):
    """A step of ``routing``: what is asked of an agent from a time on, in place of the queue's requirements."""

    after: Duration
    requirements: Asked = {}


def _in_order(steps: tuple[RoutingStep, ...]) -> tuple[RoutingStep, ...]:
    for before, step in itertools.pairwise(steps):
        if step.after <= before.after:
            raise mistake(
                Code.FORM,
                f"a step after {step.after:g} s stands behind one after {before.after:g} s",
                "write the steps in the order of their times, each later than the one before",
            )
    return steps


class Queue(Shape):
    """Where callers wait."""

    client: ClientName
    was: Annotated[tuple[Slug, ...], _some(20), BeforeValidator(_as_list)] = ()
    requirements: Asked = {}
    routing: Annotated[tuple[RoutingStep, ...], _some(10), AfterValidator(_in_order)] = ()
    intents: Annotated[dict[Slug, Asked], _some(500)] | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    age_weight: Annotated[float, Field(ge=0, le=100)] = 0.0
    ring_for: Positive | None = None
    max_wait: Limit | None = None
    overflow: Overflow | None = None
    on_max_wait: Overflow | None = None
    on_full: Overflow | None = None
    on_empty: Overflow | None = None
    on_closed: Overflow | None = None
    refuse_when: Absences | None = None
    leave_when: Absences | None = None
    leave_after: Duration | None = None
    on_abandon: OnAbandon | None = None
    hours: HoursName | None = None
    on_close: OnClose = OnClose.SERVE
    service_level: ServiceLevelOrTime | None = None
    wrap_up: WrapUpOrTime | None = None
    strategy: Strategy | None = None
    short_abandon: Duration | None = None
    max_waiting: Annotated[int, Field(ge=1, le=10_000)] | None = None
    music: MusicName | None = None
    announce: AnnounceOrOff | None = None
    whisper: WhisperOrOff | None = None
    extension: Extension | None = None
    record: Record | None = None
    dispositions_required: bool | None = None
    wrap_up_fields: WrapUpFields | None = None

    def follows(self, event: OverflowKey) -> tuple[str, Overflow]:
        """What follows ``on_max_wait`` and its like, and the key that says so."""
        for key in (event, "overflow", "on_max_wait"):
            overflow: Overflow | None = getattr(self, key)
            if overflow is not None:
                return key, overflow
        return "on_max_wait", GO_ON

    @model_validator(mode="after")
    def _needs(self) -> Queue:
        if self.hours is None and (self.on_closed is not None or self.on_close is OnClose.LEAVE):
            key = "on_closed" if self.on_closed is not None else "on_close"
            raise mistake(Code.MISSING, f"`{key}` needs `hours`", "add hours: NAME, the opening hours of this queue")
        return self


class Agent(Shape):
    """Who answers."""

    name: Name
    skills: dict[Skill, Level] = {}
    clients: Annotated[tuple[ClientName, ...], _some(1000)]
    queues: Annotated[tuple[QueueName, ...], _some(1000)] | None = None
    weight: Annotated[int, Field(ge=1, le=100)] = 1
    language: Language | None = None
    sign_in: Intent | None = None
    extension: Extension | None = None
    may_dial: MayDial | None = None
    auto_answer: bool = False
    codecs: Codecs | None = None
    record: Record | None = None
    sip_md5: HexMd5 | None = None
    sip_sha256: HexSha256 | None = None
    mqtt: MosquittoHash | None = None
    desk: DeskHash | None = None

    @model_validator(mode="after")
    def _both(self) -> Agent:
        if (self.sip_md5 is None) != (self.sip_sha256 is None):
            raise mistake(
                Code.MISSING, "`sip_md5` and `sip_sha256` belong together", "make both with: callcenter password USER"
            )
        return self


class Peer(Shape):
    """A host of a trunk. What is left out the DNS says."""

    host: Annotated[str, AfterValidator(_host)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    transport: Literal["udp", "tcp", "tls"] | None = None


PeerOrHost = Annotated[Peer, BeforeValidator(_peer)]


class Account(Shape):
    """A user and where the password stands: never here."""

    user: Annotated[str, _form(r"[A-Za-z0-9+_.!~*'()&=$,;?/%-]{1,64}", "a user of SIP", "write it without the domain")]
    password_env: str | None = None
    password_file: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_in_clear(cls, value: Any) -> Any:
        if isinstance(value, dict) and "password" in value:
            raise mistake(
                Code.FORM,
                "a password does not stand in the configuration",
                "write `password_env: VARIABLE` or `password_file: FILE`",
            )
        return value

    @model_validator(mode="after")
    def _from_one_place(self) -> Account:
        return _one_password(self, self.password_env, self.password_file)


class Accepted(Account):
    """What a trunk proves to us; hashes of the password may stand here, as those of agents do."""

    sip_md5: HexMd5 | None = None
    sip_sha256: HexSha256 | None = None

    @model_validator(mode="after")
    def _from_one_place(self) -> Accepted:
        if (self.sip_md5 is None) != (self.sip_sha256 is None):
            raise mistake(
                Code.MISSING, "`sip_md5` and `sip_sha256` belong together", "make both with: callcenter password USER"
            )
        return _one_password(self, self.password_env, self.password_file, self.sip_md5)


AccountShape = TypeVar("AccountShape", bound=Account)


def _one_password(account: AccountShape, *places: str | None) -> AccountShape:
    """The account, whose password comes from just one place."""
    if sum(place is not None for place in places) == 1:
        return account
    if any(places):
        raise mistake(Code.FORM, "the password comes from two places", "keep one of them")
    hint = "add `password_env: VARIABLE` or `password_file: FILE`"
    raise mistake(Code.MISSING, f"the password of `{account.user}` is missing", hint)


def _somebody(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if not network.prefixlen:
        raise mistake(Code.FORM, f"`{network}` is everybody", "write the carrier's own networks")
    return network


class Accept(Shape):
    """Whom we take for a trunk."""

    networks: Annotated[
        tuple[Annotated[Network, AfterValidator(_somebody)], ...], _some(200), BeforeValidator(_as_list)
    ] = ()
    certificates: Annotated[tuple[Name, ...], _some(20), BeforeValidator(_as_list)] = ()
    account: Accepted | None = None


class TrunkTls(Shape):
    """Whom we trust to be a trunk that we call by TLS."""

    ca_file: str | None = None
    verify: bool | None = None


def _of_a_registration(value: float) -> float:
    if not 60 <= value <= 86_400:
        raise mistake(Code.DURATION, "no registrar takes a registration of so long", "write 60s to 24h, e.g. 1h")
    return value


class RegisterAt(Shape):
    """Where we register ourselves."""

    registrar: PeerOrHost | None = None
    user: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    expires: Annotated[float, BeforeValidator(seconds), AfterValidator(_of_a_registration)] = 3600.0


# A carrier that is asked more often may take it for an attack.
SHORTEST_QUALIFY = 5.0


def _seldom_enough(value: float) -> float:
    if value < SHORTEST_QUALIFY:
        raise mistake(Code.DURATION, "that is too often for a carrier", "write e.g. 30s, or never")
    return value


class Trunk(Shape):
    """A line to a carrier, or to another switch."""

    peers: Annotated[tuple[PeerOrHost, ...], _some(16), BeforeValidator(_as_list)] | None = None
    accept: Accept = Accept()
    login: Account | None = None
    register_: RegisterAt | None = Field(default=None, alias="register")
    qualify: Annotated[Limit, AfterValidator(_seldom_enough)] = 30.0
    max_calls: Annotated[int, Field(ge=1, le=10_000)] = 30
    codecs: Codecs | None = None
    outbound_proxy: PeerOrHost | None = None
    tls: TrunkTls = TrunkTls()
    from_domain: Annotated[str, AfterValidator(_host)] | None = None
    trusted: bool = False
    numbers: Annotated[tuple[E164, ...], _some(10_000), BeforeValidator(_as_list)] | None = None
    number_format: DialPlan | None = None
    plus: bool = True
    try_for: Positive = SIGN_OF_LIFE
    register_here: bool = False
    required: bool = False

    @model_validator(mode="after")
    def _belongs_together(self) -> Trunk:
        if self.required and math.isinf(self.qualify) and self.register_ is None and not self.register_here:
            hint = "write e.g. `qualify: 30s`, or take `required` away"
            raise mistake(Code.FORM, "nobody would know that it is down: it is not asked, and not registered", hint)
        if self.register_here and self.accept.account is None:
            hint = "add `accept: {account: {user: ..., password_env: ...}}`: by that it registers"
            raise mistake(Code.MISSING, "who registers here needs an account", hint)
        for name, written in (
            ("peers", self.peers),
            ("register", self.register_),
            ("outbound_proxy", self.outbound_proxy),
        ):
            if self.register_here and written is not None:
                hint = f"take `{name}` away, or make two trunks of it"
                raise mistake(Code.FORM, f"`{name}` and `register_here`: where it is, it says itself", hint)
        if self.register_ is not None and self.register_.user is None and self.login is None:
            raise mistake(Code.MISSING, "`register` needs a user", "add `login: {user: ..., password_env: ...}`")
        return self


class Nothing(Shape):
    """A word that says everything."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, dict):
            raise mistake(Code.FORM, "this word says everything", f"take `{value}` away")
        return value


class Supervisor(Shape):
    """Who may command for agents; with ``clients`` for those alone who serve no others. ``agent``: whose phone is hers,
    to hear talks by. ``desk``: a hash of the password for the desk, else that for MQTT serves there too.
    """

    name: Name
    clients: Annotated[tuple[ClientName, ...], _some(1000)] | None = None
    agent: AgentName | None = None
    mqtt: MosquittoHash | None = None
    desk: DeskHash | None = None


CODE_WORDS = tuple(action.value for action in CodeAction)


class FeatureCode(Shape):
    """What an agent orders who dials a code: one word, or one with the reason, the disposition or the flow."""

    ready: Nothing | None = None
    not_ready: Annotated[str, _known("reason", prefix="acd.reasons")] | None = None
    sign_out: Nothing | None = None
    wrap_up_done: Annotated[str, Field(max_length=64)] | None = None
    wrap_up_extend: Nothing | None = None
    state: Nothing | None = None
    record_start: Nothing | None = None
    record_stop: Nothing | None = None
    record_pause: Nothing | None = None
    record_resume: Nothing | None = None
    listen: Nothing | None = None
    whisper: Nothing | None = None
    barge: Nothing | None = None
    consult: Nothing | None = None
    consult_swap: Nothing | None = None
    consult_join: Nothing | None = None
    consult_drop: Nothing | None = None
    consult_transfer: Nothing | None = None
    entry_start: FlowName | None = None
    entry_cancel: Nothing | None = None
    callback_accept: Nothing | None = None
    callback_decline: Nothing | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) == 1 and None in value.values():
            value = next(iter(value))
        if isinstance(value, str):
            if value not in CODE_WORDS:
                hint = did_you_mean(value, CODE_WORDS)
                raise mistake(Code.CHOICE, f"`{value}` is nothing that a code can order", hint)
            with_more = value in (CodeAction.NOT_READY, CodeAction.WRAP_UP_DONE, CodeAction.ENTRY_START)
            return {value: "" if with_more else {}}
        if not isinstance(value, dict) or len(value) != 1:
            raise mistake(Code.FORM, "a code orders one thing", "write e.g. ready, or {not_ready: lunch}")
        return value

    @property
    def action(self) -> CodeAction:
        """What it orders."""
        return next(action for action in CodeAction if getattr(self, action.value) is not None)


class Prompt(Shape):
    """A prompt: what is said, by language."""

    languages: Annotated[
        dict[
            Language,
            Annotated[
                tuple[Annotated[Spoken, _word_as("text")], ...],
                _some(20),
                BeforeValidator(_as_list),
            ],
        ],
        _some(100),
    ]


class Music(Shape):
    """A piece of music: one file, or some that follow each other."""

    file: Annotated[tuple[str, ...], _some(50), BeforeValidator(_as_list)]

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str | list) else value


# ---------------------------------------------------------------------------------------------------------- steps


class SayStep(Shape):
    """``say``."""

    prompt: PromptName
    barge_in: bool = True


class DoNotCallStep(Shape):
    """``do_not_call``: the caller is not to be called any more."""

    prompt: PromptName | None = None
    reason: Annotated[str, Field(max_length=200)] = ""


class QueueStep(Shape):
    """``queue`` and ``transfer``."""

    to: QueueName
    requirements: Asked = {}
    priority: Points | None = None
    prefer: Preferred | None = None
    prefer_for: Positive | None = None
    on_timeout: tuple[Step, ...] = ()
    keys: Annotated[dict[Key, tuple[Step, ...]], _some(12)] | None = None


class HangupStep(Shape):
    """``hangup``."""

    prompt: PromptName | None = None


class MenuChoice(Shape):
    """What a key means; ``repeat`` alone: the menu once more."""

    intent: Slug | None = None
    language: Language | None = None
    then: tuple[Step, ...] = ()
    repeat: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "repeat":
            return {"repeat": True}
        if isinstance(value, str):
            hint = "write repeat, or {intent: NAME, then: [STEPS]}"
            raise mistake(Code.CHOICE, f"`{value}` is not what a key means", hint)
        return value

    @model_validator(mode="after")
    def _means_something(self) -> MenuChoice:
        if not (self.intent or self.language or self.then or self.repeat):
            raise mistake(Code.MISSING, "this key does nothing", "add `intent: NAME` or `then: [STEPS]`")
        if self.repeat and (self.intent or self.language or self.then):
            raise mistake(Code.FORM, "a key that repeats the menu does nothing else", "write `repeat` alone")
        return self


class MenuStep(Shape):
    """``menu``."""

    id: Slug | None = None
    prompt: PromptName
    timeout: Positive | None = None
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    invalid: PromptName | None = None
    no_input: PromptName | None = None
    choices: Annotated[dict[Key, MenuChoice], _some(12)]
    otherwise: tuple[Step, ...] = ()
    barge_in: bool = True


def _longest(value: int, info: ValidationInfo) -> int:
    shortest = info.data.get("min", 0)
    if value < shortest:
        raise mistake(Code.FORM, f"at most {value} digits are less than the {shortest} of `min`", "write max >= min")
    return value


def _continue(value: Any) -> Any:
    return [] if value == "continue" else value


tell(_continue, lambda inner: either(inner, {"const": "continue"}))
StepsOrContinue = Annotated["tuple[Step, ...]", BeforeValidator(_continue)]


class CollectStep(Shape):
    """``collect``."""

    id: Slug | None = None
    into: Slug
    prompt: PromptName
    min: Annotated[int, Field(ge=0, le=32)] = 1
    max: Annotated[int, Field(ge=1, le=32), AfterValidator(_longest)]
    terminator: Annotated[
        Annotated[str, _form(r"[*#]", "a key that ends an entry", 'write "#", "*" or none')] | None, _none_for("none")
    ] = "#"
    first_digit: Positive | None = None
    between: Positive = 3.0
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    invalid: PromptName | None = None
    no_input: PromptName | None = None
    mask: bool = False
    look_up: Literal["customer"] | None = None
    not_found: tuple[Step, ...] = ()
    otherwise: StepsOrContinue | None = None
    barge_in: bool = True

    @model_validator(mode="after")
    def _belongs_together(self) -> CollectStep:
        if self.not_found and self.look_up is None:
            raise mistake(Code.MISSING, "`not_found` needs a `look_up`", "add look_up: customer")
        return self


class AttributeTest(Shape):
    """What an attribute must be; a lone value, or a list of which it must be one, stands for ``is``."""

    is_: Annotated[tuple[Value, ...], _some(100), BeforeValidator(_as_list)] = Field(default=(), alias="is")
    prefix: Annotated[tuple[Value, ...], _some(100), BeforeValidator(_as_list)] = ()
    set: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"is": value} if isinstance(value, str | int | float | list) else value


class CallerTest(Shape):
    """What the caller's number must be."""

    number: Annotated[tuple[Digits, ...], _some(100), BeforeValidator(_as_list)] = ()
    prefix: Annotated[tuple[Digits, ...], _some(100), BeforeValidator(_as_list)] = ()
    anonymous: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"anonymous": True} if value == "anonymous" else value


class CustomerTest(Shape):
    """What the customer must be; a lone word stands for ``match``."""

    match: Annotated[tuple[Match, ...], _some(3), BeforeValidator(_as_list)] = ()
    tier: Annotated[tuple[Name, ...], _some(100), BeforeValidator(_as_list)] = ()
    language: Annotated[tuple[Language, ...], _some(100), BeforeValidator(_as_list)] = ()


def _open(value: Any) -> Any:
    return {value: "open"} if isinstance(value, str) else value


tell(_open, lambda inner: either(inner, {"type": "string"}))


class When(Shape):
    """Conditions; all must hold. A list is true when one of it is."""

    attribute: Annotated[dict[Slug, AttributeTest], _some(20)] = {}
    caller: CallerTest | None = None
    customer: Annotated[CustomerTest, _word_as("match")] | None = None
    language: Annotated[tuple[Language, ...], _some(20), BeforeValidator(_as_list)] = ()
    intent: Annotated[tuple[Slug, ...], _some(100), BeforeValidator(_as_list)] = ()
    hours: Annotated[
        dict[HoursName, Annotated[tuple[Door, ...], _some(3), BeforeValidator(_as_list)]],
        _some(10),
        BeforeValidator(_open),
    ] = {}

    @model_validator(mode="after")
    def _asks_something(self) -> When:
        if not (self.attribute or self.caller or self.customer or self.language or self.intent or self.hours):
            hint = "write one of: attribute, caller, customer, language, intent, hours"
            raise mistake(Code.MISSING, "it asks nothing, and would always hold", hint)
        return self


class CaseShape(Shape):
    """One case of a branch: ``when`` and ``then``; or, as the last one, ``otherwise``."""

    when: When | None = None
    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> CaseShape:
        if (self.when is None) == (self.otherwise is None) or (self.otherwise is not None and self.then):
            raise mistake(
                Code.FORM, "a case is `when` with `then`, or `otherwise`", "begin each case with its own dash"
            )
        return self


def _otherwise_last(cases: tuple[CaseShape, ...]) -> tuple[CaseShape, ...]:
    if any(case.otherwise is not None for case in cases[:-1]):
        raise mistake(Code.FORM, "what stands behind `otherwise` is never reached", "write `otherwise` last, and once")
    return cases


class BranchStep(Shape):
    """``branch``; a list alone is its cases."""

    id: Slug | None = None
    cases: Annotated[tuple[CaseShape, ...], _some(100), AfterValidator(_otherwise_last)]

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"cases": value} if isinstance(value, list) else value


class HoursStep(Shape):
    """``hours``. On a holiday, the steps of ``closed`` where there are none of its own."""

    name: HoursName
    open: tuple[Step, ...] = ()
    closed: tuple[Step, ...] = ()
    holiday: tuple[Step, ...] | None = None

    @model_validator(mode="after")
    def _leads_somewhere(self) -> HoursStep:
        if not (self.open or self.closed or self.holiday):
            hint = "add `open: [STEPS]`, `closed: [STEPS]` or `holiday: [STEPS]`"
            raise mistake(Code.MISSING, "it leads nowhere", hint)
        return self


class CallbackWhen(Shape):
    """When a caller wants to be called back: what is asked, and what each key means."""

    prompt: PromptName
    keys: Annotated[dict[Key, WrittenWish], _some(12)]


class CallbackStep(Shape):
    """``callback``: the caller is called back at their turn in ``queue``, or at a time that they choose."""

    queue: QueueName
    at: CallbackWhen | None = None
    confirm: PromptName | None = None
    accepted: PromptName | None = None
    timeout: Positive | None = None
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    otherwise: StepsOrContinue | None = None


STEPS = (
    "say", "menu", "collect", "set", "branch", "hours", "language", "flow", "goto", "queue", "transfer", "callback",
    "do_not_call", "hangup",
)  # fmt: skip


class Step(BaseModel):
    """One step of a flow: a mapping with the step's one word, or the word ``hangup`` alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    say: Annotated[SayStep, _word_as("prompt")] | None = None
    menu: MenuStep | None = None
    collect: CollectStep | None = None
    set: Annotated[dict[Slug, Value], _some(20)] | None = None
    branch: BranchStep | None = None
    hours: HoursStep | None = None
    language: SpeakWord | None = None
    flow: FlowName | None = None
    goto: FlowName | None = None
    queue: Annotated[QueueStep, _word_as("to")] | None = None
    transfer: Annotated[QueueStep, _word_as("to")] | None = None
    callback: Annotated[CallbackStep, _word_as("queue")] | None = None
    do_not_call: Annotated[DoNotCallStep, _word_as("prompt")] | None = None
    hangup: Annotated[HangupStep, _word_as("prompt")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value in ("hangup", "do_not_call"):
            return {value: {}}
        if isinstance(value, str):
            hint = f"write `{value}: NAME`" if value in STEPS else did_you_mean(value, STEPS)
            raise mistake(Code.CHOICE, f"`{value}` is not a whole step", hint)
        if isinstance(value, dict):
            words = [key for key in value if key in STEPS]
            if len(value) != 1 and len(words) != 1:
                raise mistake(
                    Code.FORM, "a step has one word: say, menu, queue, hangup ...", "begin each with its own dash"
                )
            if words and value[words[0]] is None:
                return {**value, words[0]: "" if words[0] in ("language", "flow", "goto") else {}}
        return value

    @property
    def waiting(self) -> tuple[str, QueueStep] | None:
        """The word and what stands behind it, where the step leads to a queue."""
        if self.queue is not None:
            return "queue", self.queue
        return None if self.transfer is None else ("transfer", self.transfer)


class Flow(BaseModel):
    """A flow: its steps."""

    model_config = ConfigDict(frozen=True)

    steps: Annotated[tuple[Step, ...], _some(200)]


_ANY_VALUE = {"type": ["string", "number", "boolean"]}
_ONE_WORD = {"minProperties": 1, "maxProperties": 1}
ALSO.update(
    {
        FeatureCode: lambda inner: either({**inner, **_ONE_WORD}, {"enum": list(CODE_WORDS)}),
        Spoken: lambda inner: {**inner, "oneOf": [{"required": ["text"]}, {"required": ["file"]}]},
        Overflow: lambda inner: either({**inner, **_ONE_WORD}, {"type": "string"}),
        When: lambda inner: {**inner, "minProperties": 1},
        Music: lambda inner: either(inner, {"type": "string"}, {"type": "array", "items": {"type": "string"}}),
        MenuChoice: lambda inner: either(inner, {"const": "repeat"}),
        AttributeTest: lambda inner: either(inner, _ANY_VALUE, {"type": "array", "items": _ANY_VALUE}),
        CallerTest: lambda inner: either(inner, {"const": "anonymous"}),
        BranchStep: lambda inner: either(inner, inner["properties"]["cases"]),
        Step: lambda inner: either({**inner, **_ONE_WORD}, {"enum": ["hangup", "do_not_call"]}),
    }
)

SLUG_KEY: TypeAdapter[str] = TypeAdapter(Slug)
KEY_TYPES: dict[str, Any] = {"numbers": E164, "agents": AgentSlug, "supervisors": AgentSlug, "feature_codes": CodeKey}
KEYS: dict[str, TypeAdapter[str]] = {section: TypeAdapter(kind) for section, kind in KEY_TYPES.items()}
"""What a thing may be named: by a slug, where its section says nothing else here."""

SECTIONS: dict[str, type[Shape]] = {
    "switch": Switch,
    "sip": Sip,
    "media": Media,
    "mqtt": Mqtt,
    "acd": Acd,
    "calls": Calls,
    "speech": Speech,
    "recordings": Recordings,
}
"""Sections that are one thing each."""

THINGS = (
    *("clients", "numbers", "flows", "hours", "queues", "agents", "supervisors"),
    *("feature_codes", "prompts", "music", "trunks"),
)
"""Sections of named things."""
