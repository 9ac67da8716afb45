"""Trunks: lines to carriers and other switches, as they are written and as the switch goes by them."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callcenter.config.addresses import Network, check_host
from callcenter.config.codecs import Codecs
from callcenter.config.dialling import DialPlan, dial_plan
from callcenter.config.explain import KeyPath
from callcenter.config.hashes import HexMd5, HexSha256, Variable
from callcenter.config.numbers import E164
from callcenter.config.outside import Outside
from callcenter.config.problems import Code
from callcenter.config.shape import Limit, Name, Positive, Shape, as_list, either, form, mistake, seconds, some, tell
from callcenter.model.dial_plan import DialPlan as DialPlanSettings
from callcenter.signaling.trunks.settings import SIGN_OF_LIFE, Outward, PasswordFrom, TrunkSettings
from callcenter.signaling.trunks.settings import Accept as AcceptSettings
from callcenter.signaling.trunks.settings import Account as AccountSettings
from callcenter.signaling.trunks.settings import Peer as PeerSettings
from callcenter.sip.flow import Transport


def _peer(value: Any) -> Any:
    """The short forms of a peer: ``host`` or ``host:port``, an IPv6 address before a port in brackets."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]+):(\d+)", value) if isinstance(value, str) else None
    if found is not None:
        return {"host": found[1], "port": found[2]}
    return {"host": value} if isinstance(value, str | int) else value


tell(_peer, lambda inner: either(inner, {"type": "string"}))


class Peer(Shape):
    """A host of a trunk. What is left out the DNS says."""

    host: Annotated[str, AfterValidator(check_host)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    transport: Literal["udp", "tcp", "tls"] | None = None


PeerOrHost = Annotated[Peer, BeforeValidator(_peer)]


class Account(Shape):
    """A user and where the password stands: never here."""

    user: Annotated[str, form(r"[A-Za-z0-9+_.!~*'()&=$,;?/%-]{1,64}", "a user of SIP", "write it without the domain")]
    password_env: Variable | None = None
    password_file: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_in_clear(cls, value: Any) -> Any:
        if isinstance(value, dict) and "password" in value:
            raise mistake(
                Code.FORM,
                "a password does not stand in the configuration",
                "write `password_env: VARIABLE` or `password_file: FILE`",
                at="password",
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
        tuple[Annotated[Network, AfterValidator(_somebody)], ...], some(200), BeforeValidator(as_list)
    ] = ()
    certificates: Annotated[tuple[Name, ...], some(20), BeforeValidator(as_list)] = ()
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

    peers: Annotated[tuple[PeerOrHost, ...], some(16), BeforeValidator(as_list)] | None = None
    accept: Accept = Accept()
    login: Account | None = None
    register_: RegisterAt | None = Field(default=None, alias="register")
    qualify: Annotated[Limit, AfterValidator(_seldom_enough)] = 30.0
    max_calls: Annotated[int, Field(ge=1, le=10_000)] = 30
    codecs: Codecs | None = None
    outbound_proxy: PeerOrHost | None = None
    tls: TrunkTls = TrunkTls()
    from_domain: Annotated[str, AfterValidator(check_host)] | None = None
    trusted: bool = False
    numbers: Annotated[tuple[E164, ...], some(10_000), BeforeValidator(as_list)] | None = None
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


def trunk_settings(name: str, trunk: Trunk, outside: Outside) -> TrunkSettings:
    """The same as the switch goes by it; what it names outside is looked for."""
    path: KeyPath = ("trunks", name)
    accept, register = trunk.accept, trunk.register_
    ca_file = outside.file((*path, "tls", "ca_file"))

    def peer(written: Peer) -> PeerSettings:
        transport = Transport[written.transport.upper()] if written.transport is not None else None
        return PeerSettings(written.host, written.port, transport, ca_file, trunk.tls.verify)

    peers = tuple(map(peer, trunk.peers or ()))
    login = _account((*path, "login"), trunk.login, outside) if trunk.login is not None else None
    outward = None
    if register is not None:
        registrar = peer(register.registrar) if register.registrar is not None else peers[0]
        user = register.user or (login.user if login is not None else "")
        outward = Outward(registrar, user, round(register.expires))
    account = accept.account
    return TrunkSettings(
        id=name,
        peers=peers,
        accept=AcceptSettings(
            networks=accept.networks,
            certificates=frozenset(each.lower() for each in accept.certificates),
            account=_account((*path, "accept", "account"), account, outside) if account is not None else None,
        ),
        login=login,
        register=outward,
        qualify=None if math.isinf(trunk.qualify) else trunk.qualify,
        max_calls=trunk.max_calls,
        codecs=trunk.codecs or (),
        outbound_proxy=peer(trunk.outbound_proxy) if trunk.outbound_proxy is not None else None,
        from_domain=trunk.from_domain or "",
        trusted=trunk.trusted,
        numbers=frozenset(trunk.numbers or ()),
        plan=dial_plan(trunk.number_format) if trunk.number_format is not None else DialPlanSettings(),
        plus=trunk.plus,
        try_for=trunk.try_for,
        register_here=trunk.register_here,
        required=trunk.required,
    )


def _account(path: KeyPath, account: Account, outside: Outside) -> AccountSettings:
    hashes = (account.sip_md5, account.sip_sha256) if isinstance(account, Accepted) else (None, None)
    outside.variable((*path, "password_env"), account.password_env)
    source = PasswordFrom(account.password_env, outside.file((*path, "password_file")))
    return AccountSettings(account.user, source, hashes[0] or "", hashes[1] or "")
