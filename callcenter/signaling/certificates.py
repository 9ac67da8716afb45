"""Keyring: the certificates that we show and whom we trust, read anew at a reload; self-made where none is named."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from callcenter.runtime.clock import Clock
from callcenter.signaling.settings import CertificateFiles, ClientCertificate, TlsPeer, TlsSettings
from callcenter.signaling.tls import is_name
from callcenter.signaling.transport import TransportError

if TYPE_CHECKING:
    from cryptography import x509

# With forward secrecy and authenticated encryption (RFC 9325 4.2); TLS 1.3 has no others.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!aDSS"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# Who renews certificates by a machine does it 30 days before; one that is nearer to its end was forgotten.
WARN_BEFORE = timedelta(days=14)
# A self-made certificate is for trials; a start near its end makes another.
SELF_MADE_FOR = timedelta(days=730)
SELF_MADE, SELF_MADE_KEY = "self-made.pem", "self-made.key"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate that we show: its file, whom it names, its SHA-256 fingerprint, when it ends, who made it.

    ``subject`` is its distinguished name as RFC 4514 writes it.
    """

    file: Path
    names: tuple[str, ...]
    sha256: str
    ends_at: datetime
    self_made: bool
    subject: str = ""

    def days_left(self, now: datetime) -> int:
        """For how many whole days it is still good; below 0 when it has expired."""
        return (self.ends_at - now) // timedelta(days=1)

    def is_due(self, now: datetime) -> bool:
        """Whether it has to be renewed now: who does so by a machine did it long before."""
        return self.ends_at - now < WARN_BEFORE

    def __str__(self) -> str:
        made = "self-made " if self.self_made else ""
        return f"{made}certificate for {', '.join(self.names)}, until {self.ends_at:%Y-%m-%d}, SHA-256 {self.sha256}"


class Certificates:
    """What is in force for every connection that begins now: ``server`` for peers that call us.

    ``shown`` are our certificates; the first is for who names no server, or one that none is for. ``warnings`` are
    lines for the operator.
    """

    def __init__(
        self, settings: TlsSettings, shown: Sequence[Shown], files: Sequence[CertificateFiles], warnings: Sequence[str]
    ) -> None:
        self.shown = tuple(shown)
        self.warnings = tuple(warnings)
        self._settings = settings
        self._files = tuple(files)
        self._clients: dict[tuple[Path | None, bool], ssl.SSLContext] = {}
        contexts = [self._server_context(each) for each in files]
        self.server = contexts[0]
        by_name = [(name, context) for one, context in zip(shown, contexts, strict=True) for name in one.names]

        def choose(tls: ssl.SSLObject | ssl.SSLSocket, server_name: str | None, _: ssl.SSLContext) -> None:
            """SNI (RFC 6066 3): the first certificate that is for the server the peer wants."""
            for name, context in by_name:
                if server_name is not None and is_name(name, server_name):
                    tls.context = context
                    return

        if len(contexts) > 1:
            self.server.sni_callback = choose

    def is_ready_for(self, peer: TlsPeer) -> bool:
        """Whether :meth:`client` reads no files."""
        return self._way(peer) in self._clients

    def client(self, peer: TlsPeer) -> ssl.SSLContext:
        """For calling a server: whom to trust, and our certificate should it ask. Raises TransportError."""
        way = ca_file, verify = self._way(peer)
        context = self._clients.get(way)
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._fit(context)
            # Whom the certificate must name is looked at by our own rules, those of RFC 5922.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
            if ca_file is not None:
                _trust(context, ca_file, "ca_file")
            elif verify:
                context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            context.load_cert_chain(self._files[0].cert, self._files[0].key)
            self._clients[way] = context
        return context

    def _way(self, peer: TlsPeer) -> tuple[Path | None, bool]:
        verify = self._settings.verify if peer.verify is None else peer.verify
        return peer.ca_file or self._settings.ca_file, verify

    def _server_context(self, files: CertificateFiles) -> ssl.SSLContext:
        settings = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._fit(context)
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            context.load_cert_chain(files.cert, files.key)
        except (OSError, ssl.SSLError) as error:
            raise TransportError(f"the certificate {files.cert} cannot be used: {error}") from error
        if settings.client_ca is not None:
            _trust(context, settings.client_ca, "client_ca")
            required = settings.client_certificate is ClientCertificate.REQUIRED
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        return context

    def _fit(self, context: ssl.SSLContext) -> None:
        context.minimum_version = VERSIONS[self._settings.min_version]
        context.set_ciphers(CIPHERS)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


class Keyring:
    """The certificates in force. ``load`` reads files, and is best run aside; ``use`` puts what it read in force.

    A self-made certificate is kept in ``folder``, for the names ``hosts`` and those of this machine.
    """

    def __init__(self, folder: Path, hosts: Iterable[str], clock: Clock) -> None:
        self._folder = folder
        self._hosts = tuple(hosts)
        self._clock = clock
        self._current: Certificates | None = None

    @property
    def current(self) -> Certificates:
        """What is in force. Asserts that something was loaded."""
        assert self._current is not None, "no certificates were loaded"
        return self._current

    def load(self, settings: TlsSettings) -> Certificates:
        """Read, check, and make what is missing. Raises TransportError with one clear line and what to do."""
        warnings: list[str] = []
        now = self._clock.now()
        if settings.certificates:
            files = [CertificateFiles(each.cert, each.key or each.cert) for each in settings.certificates]
            shown = [_read(each, now, warnings) for each in files]
        else:
            files = [CertificateFiles(self._folder / SELF_MADE, self._folder / SELF_MADE_KEY)]
            shown = [self._self_made(files[0], now)]
        return Certificates(settings, shown, files, warnings)

    def use(self, certificates: Certificates) -> tuple[Shown, ...]:
        """For every connection from now on; those that are go on as they began. Returns what is new, and logs it."""
        before = self._current.shown if self._current is not None else ()
        renewed = tuple(shown for shown in certificates.shown if shown not in before)
        for shown in renewed:
            log.info("tls certificate in force", file=str(shown.file), certificate=str(shown))
        for warning in certificates.warnings:
            log.warning("tls certificate", warning=warning)
        self._current = certificates
        return renewed

    def _self_made(self, files: CertificateFiles, now: datetime) -> Shown:
        assert files.key is not None
        if files.cert.exists() and files.key.exists():
            kept = _read(files, now, [], self_made=True)
            if kept.ends_at - now > WARN_BEFORE:
                return kept
        _make(files.cert, files.key, self._hosts, now)
        return _read(files, now, [], self_made=True)


def _read(files: CertificateFiles, now: datetime, warnings: list[str], *, self_made: bool = False) -> Shown:
    """Look at a certificate and its key before they are used: OpenSSL's own words help nobody."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    assert files.key is not None
    try:
        certificate = x509.load_pem_x509_certificates(_octets(files.cert, "certificate"))[0]
    except ValueError as error:
        raise TransportError(
            f"{files.cert} holds no certificate in PEM: it must begin with -----BEGIN CERTIFICATE-----"
        ) from error
    try:
        key = serialization.load_pem_private_key(_octets(files.key, "key"), password=None)
    except TypeError as error:
        raise TransportError(
            f"the key {files.key} is locked with a password: write it without one (openssl pkey -in ... -out ...)"
        ) from error
    except ValueError as error:
        raise TransportError(f"{files.key} holds no private key in PEM: name the file that does as key") from error
    if key.public_key() != certificate.public_key():
        raise TransportError(
            f"the key {files.key} is not that of the certificate {files.cert}: name the two that were made together"
        )
    ends_at = certificate.not_valid_after_utc
    if ends_at <= now:
        warnings.append(
            f"the certificate {files.cert} has expired on {ends_at:%Y-%m-%d}: peers will refuse it; renew it"
        )
    elif ends_at - now < WARN_BEFORE:
        warnings.append(f"the certificate {files.cert} expires on {ends_at:%Y-%m-%d}: renew it, then callcenter reload")
    if certificate.not_valid_before_utc > now:
        warnings.append(f"the certificate {files.cert} is not valid yet: is the clock of this machine right?")
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    subject = certificate.subject.rfc4514_string()
    return Shown(files.cert, _names_of(certificate), fingerprint, ends_at, self_made, subject)


def _octets(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise TransportError(
            f"the {what} {file} is not there: write where it is in sip.tls.certificates, or none for a self-made one"
        ) from error
    except OSError as error:
        raise TransportError(
            f"the {what} {file} cannot be read: {error.strerror}; the user that runs the switch must be allowed to"
        ) from error


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    uris = [uri[4:] for uri in held.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith("sip:")]
    addresses = map(str, held.get_values_for_type(x509.IPAddress))
    return tuple(dict.fromkeys((*held.get_values_for_type(x509.DNSName), *uris, *addresses)))


def _make(cert: Path, key: Path, hosts: Iterable[str], now: datetime) -> None:
    """A certificate of our own for trials, on the curve P-256. Nobody but the switch's user may read its files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    secret = ec.generate_private_key(ec.SECP256R1())
    wanted = tuple(dict.fromkeys((*hosts, "localhost", "127.0.0.1", "::1", *_addresses_of_this_machine())))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted[0][:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # for phones whose clock is slow
        .not_valid_after(now + SELF_MADE_FOR)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in wanted]), critical=False)
        # It vouches for itself alone: who trusts it trusts no other certificate by it.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(secret, hashes.SHA256())
    )
    octets = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        cert.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(key, octets)
        _write(cert, made.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise TransportError(f"no certificate can be kept in {cert.parent}: {error.strerror}") from error


def _write(file: Path, octets: bytes) -> None:
    """All of it or nothing, and for nobody else's eyes at any moment."""
    partial = file.with_suffix(".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(octets)
    partial.replace(file)


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _addresses_of_this_machine() -> list[str]:
    """The addresses by which this machine goes out: those that phones are told."""
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))  # sends nothing: it asks the routing table
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue  # no way out by this family
    return found


def _trust(context: ssl.SSLContext, file: Path, setting: str) -> None:
    try:
        context.load_verify_locations(file)
    except FileNotFoundError as error:
        raise TransportError(f"the {setting} {file} is not there: write where it is in sip.tls") from error
    except ssl.SSLError as error:
        raise TransportError(f"the {setting} {file} holds no certificate in PEM") from error
    except OSError as error:
        raise TransportError(f"the {setting} {file} cannot be read: {error.strerror}") from error
