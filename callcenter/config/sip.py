"""The section `sip`: signalling, as it is written and as the switch goes by it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callcenter.config.addresses import Hosts, Network, check_address, outside_address
from callcenter.config.explain import KeyPath
from callcenter.config.outside import Outside
from callcenter.config.problems import Code
from callcenter.config.shape import Positive, Shape, as_list, at_most, form, mistake, none_for, off_as, some, word_as
from callcenter.signaling.settings import CertificateFiles, ClientCertificate, Listen, SipSettings, TlsSettings
from callcenter.sip.digest import Algorithm
from callcenter.sip.flow import Address, Transport
from callcenter.sip.guard import LOOPBACK, GuardRules
from callcenter.sip.session_timer import SessionTimer as SessionTimerSettings

TlsVersion = Annotated[
    str,
    BeforeValidator(str),
    form(r"1\.[23]", "a version of TLS that is safe", 'write "1.2" or "1.3"; older ones are broken (RFC 8996)'),
]


class ListenOn(Shape):
    """One address that SIP listens on."""

    transport: Literal["udp", "tcp", "tls"]
    host: Annotated[str, AfterValidator(check_address)]
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    advertised: Annotated[Address, BeforeValidator(outside_address)] | None = None


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
    exempt: Annotated[tuple[Network, ...], at_most(256), BeforeValidator(as_list)] = LOOPBACK
    requests_per_second: Annotated[int, Field(ge=1, le=100_000)] = 100
    burst: Annotated[int, Field(ge=10, le=1_000_000)] = 2_500
    failures: Annotated[int, Field(ge=1, le=10_000)] = 20
    ban: Positive = 600.0


class Trace(Shape):
    """What is kept for ``callcenter trace``."""

    messages: Annotated[int, Field(ge=0, le=1_000_000)] = 20_000


class Sip(Shape):
    """``sip``: signalling."""

    listen: Annotated[tuple[ListenOn, ...], some(32), AfterValidator(_each_port_once)] = ALL_ADDRESSES
    tls: Tls = Tls()
    advertised: Hosts = ()
    local_networks: Annotated[tuple[Network, ...], BeforeValidator(as_list)] = ()
    realm: Annotated[str, form(r'[^"\\\x00-\x1f]{1,64}', "a realm", "write a plain word, e.g. callcenter")] = (
        "callcenter"
    )
    digest: Annotated[tuple[Algorithm, ...], some(2)] = (Algorithm.MD5,)
    agent_name: Annotated[str, form(r"[\x21-\x7e][\x20-\x7e]{0,63}", "a User-Agent", "write plain ASCII")] = (
        "callcenter"
    )
    register_: Register = Field(default=Register(), alias="register")
    session_timer: Annotated[SessionTimer | None, word_as("expires"), none_for("off")] = SessionTimer()
    max_calls: Annotated[int, Field(ge=1, le=20_000)] = 400
    guard: Annotated[Guard, off_as({"enabled": False})] = Guard()
    trace: Annotated[Trace, off_as({"messages": 0})] = Trace()


def sip_settings(sip: Sip, tls: TlsSettings) -> SipSettings:
    """The same as the switch goes by it."""
    return SipSettings(
        listen=tuple(_listen(each) for each in sip.listen),
        advertised=sip.advertised,
        realm=sip.realm,
        agent_name=sip.agent_name,
        digest=sip.digest,
        register_min=sip.register_.min,
        register_max=sip.register_.max,
        register_default=sip.register_.default,
        tls=tls,
        local_networks=tuple(map(str, sip.local_networks)),
        guard=_guard(sip.guard),
        trace_messages=sip.trace.messages,
        session_timer=None if sip.session_timer is None else _session_timer(sip.session_timer),
    )


def _listen(each: ListenOn) -> Listen:
    port = Transport[each.transport.upper()].default_port if each.port is None else each.port
    return Listen(each.transport, each.host, port, each.advertised)


def _guard(guard: Guard) -> GuardRules:
    return GuardRules(
        enabled=guard.enabled,
        exempt=guard.exempt,
        requests_per_second=guard.requests_per_second,
        burst=guard.burst,
        failures=guard.failures,
        ban=guard.ban,
    )


def _session_timer(timer: SessionTimer) -> SessionTimerSettings:
    return SessionTimerSettings(round(timer.expires), round(timer.min))


def tls_settings(tls: Tls, outside: Outside) -> TlsSettings:
    """The same with its files, which are looked for."""
    here: KeyPath = ("sip", "tls")
    certificates = []
    for at in range(len(tls.certificates)):
        cert = outside.file((*here, "certificates", at, "cert"))
        key = outside.file((*here, "certificates", at, "key"))
        if cert is not None:
            certificates.append(CertificateFiles(cert, key))
    return TlsSettings(
        certificates=tuple(certificates),
        min_version=tls.min_version,
        client_ca=outside.file((*here, "client_ca")),
        client_certificate=ClientCertificate(tls.client_certificate),
        ca_file=outside.file((*here, "ca_file")),
        verify=tls.verify,
    )
