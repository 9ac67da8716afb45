"""An authority of our own that signs certificates for tests: it costs a millisecond each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from callcenter.signaling.settings import CertificateFiles

NOW = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Authority:
    """``file`` is its certificate, for who trusts it."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, folder: Path, name: str = "authority") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        certificate = (
            _begun(subject, subject, key, NOW + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = folder / f"{name}.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(file, key, certificate)

    def sign(
        self,
        *names: str,
        name: str = "someone",
        expires_at: datetime = NOW + timedelta(days=60),
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> CertificateFiles:
        """A certificate for these DNS names, addresses and ``sip:`` URIs; ``name`` is its subject and its file."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = _begun(_named(name), self.certificate.subject, key, expires_at)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), False)
        certificate = builder.sign(self.key, hashes.SHA256())
        files = CertificateFiles(self.file.with_name(f"{name}.pem"), self.file.with_name(f"{name}.key"))
        files.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        assert files.key is not None
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, expires_at: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=30))
        .not_valid_after(expires_at)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    if name.startswith("sip:"):
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
