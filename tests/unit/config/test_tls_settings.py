"""TLS and advertised addresses in the configuration: what is read, and what a mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config import ConfigError
from callcenter.signaling.settings import CertificateFiles, ClientCertificate, Listen, TlsSettings
from callcenter.sip.flow import Address
from tests.unit.config.floor import GOOD, load_text


def test_certificates_are_found_from_the_configurations_folder(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    for name in ("a.pem", "a.key", "b.pem", "ca.pem"):
        (folder / name).write_text("")
    text = """
sip:
  listen: [{transport: tls, host: 127.0.0.1}, {transport: udp, host: "::1"}]
  tls:
    certificates: [{cert: a.pem, key: a.key}, {cert: b.pem}]
    min_version: 1.3
    client_ca: ca.pem
    client_certificate: required
    verify: false
"""
    sip = load_text(tmp_path, GOOD + text).sip
    assert sip.listen == (Listen("tls", "127.0.0.1", 5061), Listen("udp", "::1", 5060))
    assert sip.tls == TlsSettings(
        (CertificateFiles(folder / "a.pem", folder / "a.key"), CertificateFiles(folder / "b.pem")),
        "1.3",
        folder / "ca.pem",
        ClientCertificate.REQUIRED,
        verify=False,
    )


def test_advertised_addresses_are_one_or_one_of_each_family(tmp_path: Path) -> None:
    text = """
sip:
  listen:
    - {transport: udp, host: 0.0.0.0, advertised: "203.0.113.9:15060"}
    - {transport: udp, host: "::", advertised: "[2001:db8::9]:15060"}
    - {transport: tcp, host: "::", advertised: "2001:db8::9"}
  advertised: [203.0.113.7, "2001:db8::7"]
  local_networks: [192.168.0.0/16, "fd00::/8"]
media: {advertised: 203.0.113.8}
"""
    settings = load_text(tmp_path, GOOD + text)
    assert [each.advertised for each in settings.sip.listen] == [
        Address("203.0.113.9", 15060),
        Address("2001:db8::9", 15060),
        Address("2001:db8::9", 0),
    ]
    assert settings.sip.advertised == ("203.0.113.7", "2001:db8::7")
    assert settings.media.advertised == ("203.0.113.8",)
    assert settings.sip.local_networks == settings.media.local_networks == ("192.168.0.0/16", "fd00::/8")


@pytest.mark.parametrize(
    ("sip", "words"),
    [
        ("tls: {min_version: 1.1}", "`1.1` is not a version of TLS that is safe"),
        ("tls: {client_certificate: required}", "who signs the certificates that are required"),
        ("tls: {certificates: [{cert: none.pem}]}", "the file `none.pem` is not there"),
        ("tls: {ca_file: none.pem}", "the file `none.pem` is not there"),
        ("advertised: [203.0.113.7, 203.0.113.8]", "there are two IPv4 addresses"),
        ("advertised: [a.example, b.example]", "there are two names"),
        ("local_networks: [192.168.1.5/16]", "`192.168.1.5/16` is not a network"),
        ('listen: [{transport: udp, host: "::", advertised: "203.0.113.7:99999"}]', "is not an address with a port"),
        ('listen: [{transport: udp, host: "::", advertised: "sip:me"}]', "is not an address with a port"),
    ],
)
def test_mistake_is_told_with_what_to_write_instead(sip: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, GOOD + f"sip: {{{sip}}}\n")
    assert words in "\n".join(problem.excerpt() for problem in caught.value.problems)
