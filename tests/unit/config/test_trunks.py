"""Trunks in YAML: what can be written, what it comes to, and what is refused, above all a password in the clear."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from callcenter.calls.settings import Outbound
from callcenter.config import DEFAULT_FOLDER, Code, Settings
from callcenter.config.secrets import SecretsError, open_secrets
from callcenter.model.dial_plan import DialPlan
from callcenter.signaling.trunks.settings import (
    Accept,
    Account,
    Outward,
    PasswordFrom,
    Peer,
    TrunkSettings,
)
from callcenter.sip.digest import Credentials
from callcenter.sip.flow import Transport
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

FULL = """\
trunks:
  carrier:
    peers:
      - sip.carrier.example
      - {host: 198.51.100.10, port: 5070, transport: tcp}
    accept:
      networks: [198.51.100.0/24, "2001:db8::/48"]
      certificates: Sip.Carrier.Example
      account: {user: carrier, password_file: theirs}
    login: {user: acme, password_env: TRUNK_PASSWORD}
    register: {expires: 10m}
    qualify: never
    max_calls: 12
    codecs: [PCMA]
    tls: {ca_file: authority.pem, verify: true}
    outbound_proxy: {host: proxy.carrier.example, port: 5080}
    from_domain: acme.example
    trusted: true
    numbers: ["+15555550100"]
    number_format: {country: "1", national_prefix: "1", international_prefix: "011"}
    plus: false
    try_for: 3s
sip: {tls: {client_ca: authority.pem}}
"""
SHORT = "trunks:\n  carrier: {peers: [203.0.113.7]}\n"
OUTBOUND = '    outbound: {country: "1", national_prefix: "1", caller_id: "+15555550100", trunks: [carrier]}\n'


def floor(trunks: str, client: str = "") -> str:
    return (
        GOOD.replace(
            "  acme: {name: Acme, languages: [en]}\n", f"  acme:\n    name: Acme\n    languages: [en]\n{client}"
        )
        + trunks
    )


def settings(folder: Path, trunks: str, client: str = "") -> Settings:
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "theirs").write_text("their password\n")
    (folder / "config" / "theirs").chmod(0o600)
    for authority in ("authority.pem", "carrier-a-ca.pem"):
        (folder / "config" / authority).write_text("an authority\n")
    return load_text(folder, floor(trunks, client))


def test_everything_that_can_be_written_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "ours")
    loaded = settings(tmp_path, FULL)
    assert [str(warning) for warning in loaded.warnings] == []
    authority = (tmp_path / "config" / "authority.pem", True)
    assert loaded.trunks["carrier"] == TrunkSettings(
        id="carrier",
        peers=(
            Peer("sip.carrier.example", None, None, *authority),
            Peer("198.51.100.10", 5070, Transport.TCP, *authority),
        ),
        accept=Accept(
            networks=(ip_network("198.51.100.0/24"), ip_network("2001:db8::/48")),
            certificates=frozenset({"sip.carrier.example"}),
            account=Account("carrier", PasswordFrom(None, tmp_path / "config" / "theirs")),
        ),
        login=Account("acme", PasswordFrom("TRUNK_PASSWORD")),
        register=Outward(Peer("sip.carrier.example", None, None, *authority), "acme", 600),
        qualify=None,
        max_calls=12,
        codecs=("PCMA",),
        outbound_proxy=Peer("proxy.carrier.example", 5080, None, *authority),
        from_domain="acme.example",
        trusted=True,
        numbers=frozenset({"+15555550100"}),
        plan=DialPlan("1", "1", "011"),
        plus=False,
        try_for=3.0,
    )
    secrets = open_secrets(loaded).trunks["carrier"]
    assert secrets.password == "ours"
    assert secrets.account == Credentials.of("carrier", "callcenter", "their password")


def test_a_host_alone_makes_a_trunk(tmp_path: Path) -> None:
    loaded = settings(tmp_path, SHORT, OUTBOUND)
    assert loaded.trunks == {"carrier": TrunkSettings(id="carrier", peers=(Peer("203.0.113.7"),))}
    assert loaded.calls.clients["acme"].outbound == Outbound(DialPlan("1", "1", "00"), "+15555550100", ("carrier",))
    assert open_secrets(loaded).trunks["carrier"].account is None


def test_a_port_may_stand_behind_the_host(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path, 'trunks:\n  carrier: {peers: [203.0.113.7:5070, "[2001:db8::7]:5080", "2001:db8::8"]}\n'
    )
    assert loaded.trunks["carrier"].peers == (
        Peer("203.0.113.7", 5070),
        Peer("2001:db8::7", 5080),
        Peer("2001:db8::8"),
    )


def test_one_alone_needs_no_list(tmp_path: Path) -> None:
    trunks = 'trunks:\n  carrier: {peers: 203.0.113.7, codecs: PCMA, numbers: "+15555550100"}\n'
    loaded = settings(tmp_path, trunks, OUTBOUND.replace("[carrier]", "carrier"))
    carrier, outbound = loaded.trunks["carrier"], loaded.calls.clients["acme"].outbound
    assert (carrier.codecs, carrier.numbers) == (("PCMA",), frozenset({"+15555550100"}))
    assert outbound is not None
    assert outbound.trunks == ("carrier",)


def test_a_trunk_that_registers_here_has_an_account_and_no_peers(tmp_path: Path) -> None:
    account = f"{{account: {{user: pbx, {HASH}}}}}"
    loaded = settings(tmp_path, f"trunks:\n  pbx: {{register_here: true, accept: {account}}}\n")
    pbx = loaded.trunks["pbx"]
    assert (pbx.register_here, pbx.peers, pbx.accept.account and pbx.accept.account.user) == (True, (), "pbx")


def test_hashes_may_stand_where_the_password_must_not(tmp_path: Path) -> None:
    account = f"{{user: carrier, sip_md5: {'a' * 32}, sip_sha256: {'b' * 64}}}"
    loaded = settings(tmp_path, f"trunks:\n  carrier:\n    peers: [203.0.113.7]\n    accept: {{account: {account}}}\n")
    assert open_secrets(loaded).trunks["carrier"].account == Credentials("carrier", "a" * 32, "b" * 64)


def test_without_its_password_the_switch_does_not_start_and_says_where_it_should_be(tmp_path: Path) -> None:
    loaded = settings(tmp_path, FULL)
    assert [warning.code for warning in loaded.warnings] == [Code.UNSET]
    with pytest.raises(SecretsError, match=r"carrier\.login: there is no password: the environment has no TRUNK_"):
        open_secrets(loaded)


def test_a_file_that_is_empty_holds_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "ours")
    loaded = settings(tmp_path, FULL)
    (tmp_path / "config" / "theirs").write_text("\n")
    with pytest.raises(SecretsError, match=r"trunks.carrier.accept: .* is empty"):
        open_secrets(loaded)


def test_a_file_that_others_may_read_is_no_place_for_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "ours")
    loaded = settings(tmp_path, FULL)
    for mode in (0o640, 0o604, 0o644):
        (tmp_path / "config" / "theirs").chmod(mode)
        with pytest.raises(
            SecretsError, match=rf"trunks.carrier.accept: .*theirs can be read by others \(mode {mode:04o}\): chmod"
        ):
            open_secrets(loaded)
    (tmp_path / "config" / "theirs").chmod(0o400)
    assert open_secrets(loaded).trunks["carrier"].account is not None


def test_no_password_is_seen_where_settings_and_secrets_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "open-sesame")
    loaded = settings(tmp_path, FULL)
    secrets = open_secrets(loaded)
    for printed in (repr(loaded), repr(secrets), repr(secrets.trunks["carrier"])):
        assert "open-sesame" not in printed
        assert "their password" not in printed


PEER = "{peers: [203.0.113.7]"
HASH = f"sip_md5: {'a' * 32}, sip_sha256: {'b' * 64}"
MISTAKES = [
    (Code.MISSING, "«carrier»: {qualify: 30s}", "`peers` is missing", "add `peers"),
    (Code.FORM, "carrier: {peers: «[]»}", "it is empty", "at least one"),
    (Code.FORM, "carrier: {peers: [«not a host»]}", "neither an address nor a host name", "pbx.example.org"),
    (Code.UNKNOWN_KEY, f"carrier: {PEER}, «max_call»: 3}}", "`max_call` is not known", "`max_calls`"),
    (Code.FORM, f"carrier: {PEER}, login: {{user: a, «password»: secret}}}}", "does not stand in", "password_env:"),
    (Code.MISSING, f"carrier: {PEER}, login: «{{user: a}}»}}", "the password of `a` is missing", "password_env"),
    (Code.FORM, f"carrier: {PEER}, accept: {{networks: [«198.51.100.7/24»]}}}}", "nor a network", "198.51.100.0/24"),
    (Code.FORM, f"carrier: {PEER}, accept: {{networks: [«0.0.0.0/0»]}}}}", "is everybody", "the carrier's own"),
    (Code.MISSING, "carrier: «{peers: [203.0.113.7], register: {expires: 1h}}»", "needs a user", "add `login"),
    (Code.FORM, f"carrier: {PEER}, login: {{user: a, password_env: HOME}}, «register»: }}", "nobody registers",
     "write `register: {}`"),
    (Code.FORM, "carrier: {peers: [«'sip:a.example'»]}", "nor a host name", "without `sip:`"),
    (Code.FORM, "carrier: {peers: [«a.example:70000»]}", "`70000` is out of range", "at most 65535"),
    (Code.DURATION, f"carrier: {PEER}, qualify: «off»}}", "`off` is not a duration", "write never"),
    (Code.MISSING, f"carrier: {PEER}, accept: {{certificates: «[a.example]»}}}}", "asked for no", "`client_ca` under"),
    (Code.DURATION, f"carrier: {PEER}, login: {{user: a, password_env: HOME}}, register: {{expires: «10s»}}}}",
     "of so long", "60s to 24h"),
    (Code.CHOICE, f"carrier: {PEER}, codecs: [«G729»]}}", "`G729` is not known", "PCMU, PCMA"),
    (Code.DURATION, f"carrier: {PEER}, qualify: «1s»}}", "too often for a carrier", "30s, or never"),
    (Code.NAMES_NOTHING, f"carrier: {PEER}, numbers: [«\"+15555550199\"»]}}", "no number is", "`+15555550100`"),
    (Code.MISSING, "carrier: «{register_here: true}»", "needs an account", "accept: {account:"),
    (Code.FORM, f"carrier: «{PEER}, register_here: true, accept: {{account: {{user: a, {HASH}}}}}}}»", "it says itself",
     "take `peers` away"),
    (Code.FORM, "«Carrier A»: {peers: [203.0.113.7]}", "cannot be a name", "`carrier-a`"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text", "message", "hint"), MISTAKES)
def test_each_mistake_is_pointed_at(tmp_path: Path, code: Code, text: str, message: str, hint: str) -> None:
    wanted = marked(floor(f"trunks:\n  {text}\n"))
    found = [problem for problem in problems_of(tmp_path, wanted.text) if not problem.warning]
    assert [problem.code for problem in found] == [code], found
    assert message in found[0].message
    assert hint in found[0].hint
    assert span(found[0]) == wanted.spans[0]


CLIENT_MISTAKES = [
    (Code.NAMES_NOTHING, OUTBOUND.replace("[carrier]", "[«carier»]"), "no trunk is named `carier`", "`carrier`?"),
    (Code.FORM, OUTBOUND.replace('"+15555550100"', '«"5555550100"»'), "not a number in E.164", "E.164"),
    (Code.MISSING, OUTBOUND.replace('caller_id: "+15555550100", ', "").replace("outbound", "«outbound»"),
     "`caller_id` is missing", "add"),
    (Code.FORM, OUTBOUND.replace('country: "1"', 'country: «"+1"»'), "not the code of a country", "without plus"),
    (Code.FORM, OUTBOUND.replace('national_prefix: "1"', 'national_prefix: «"x"»'), "dialled before", "digits"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "client", "message", "hint"), CLIENT_MISTAKES)
def test_each_mistake_of_calling_out_is_pointed_at(
    tmp_path: Path, code: Code, client: str, message: str, hint: str
) -> None:
    wanted = marked(floor(SHORT, client))
    (found,) = problems_of(tmp_path, wanted.text)
    assert (found.code, span(found)) == (code, wanted.spans[0])
    assert message in found.message
    assert hint in found.hint


def two(first: str, second: str) -> str:
    peer = "peers: [203.0.113.7]"
    return f"trunks:\n  one: {{{peer}, accept: {first}}}\n  two: {{{peer}, accept: {second}}}\n"


HASHES = f"sip_md5: {'a' * 32}, sip_sha256: {'b' * 64}"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("{networks: [198.51.100.0/24]}", "{networks: [203.0.113.1, «198.51.100.128/25»]}", "may be one too, which"),
        ("{networks: ['2001:db8::/32']}", "{networks: «'2001:db8::1'»}", "may be one too"),
        ("{certificates: [a.example]}", "{certificates: [«A.example»]}", "that of one already"),
        (f"{{account: {{user: x, {HASHES}}}}}", f"{{account: {{user: «x», {HASHES}}}}}", "`x` is the trunk one"),
        ("{}", f"{{account: {{user: «ana», {HASHES}}}}}", "`ana` is the agent ana already"),
    ],
)  # fmt: skip
def test_nobody_may_be_two_trunks(tmp_path: Path, first: str, second: str, message: str) -> None:
    # Any file will do for an authority here.
    wanted = marked(floor(two(first, second)) + "sip: {tls: {client_ca: hello.wav}}\n")
    (found,) = problems_of(tmp_path, wanted.text)
    assert (found.code, span(found)) == (Code.SAME_SOURCE, wanted.spans[0])
    assert message in found.message


def test_networks_of_one_trunk_may_overlap_and_those_of_both_families_never_do(tmp_path: Path) -> None:
    text = two("{networks: [198.51.100.0/24, 198.51.100.7]}", "{networks: ['2001:db8::/32']}")
    assert set(settings(tmp_path, text).trunks) == {"one", "two"}


# What ships


def uncommented() -> tuple[str, str]:
    """The example of the shipped file as YAML: the trunks, and what stands in clients.yaml."""
    text = (DEFAULT_FOLDER / "trunks.yaml").read_text("utf-8")
    lines = [re.sub(r"^# ?", "", line) for line in text.splitlines()]
    begin, end = lines.index("trunks:"), lines.index("And in clients.yaml:")
    client = lines[lines.index("  the-tech-giant:", end) + 1 :]
    return "\n".join(lines[begin:end]) + "\n", "\n".join(client) + "\n"


def test_no_trunk_is_active_in_what_ships_and_the_example_beside_it_is_whole_and_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARRIER_A_CALLS", "x")
    monkeypatch.setenv("CARRIER_A_PASSWORD", "y")
    monkeypatch.setenv("PBX_PASSWORD", "z")
    trunks, client = uncommented()
    trunks += "sip: {tls: {client_ca: authority.pem}}\n"
    acme = client.replace("+18005550100", "+15555550100")
    loaded = settings(tmp_path, trunks.replace("+18005550100", "+15555550100"), acme)
    assert [str(warning) for warning in loaded.warnings] == []
    assert set(loaded.trunks) == {"carrier-a", "carrier-b", "pbx-of-a-customer"}
    outbound = loaded.calls.clients["acme"].outbound
    assert outbound is not None
    assert outbound.plan.to_e164("2025550123") == "+12025550123"
