"""The examples that stand in the shipped files behind a #: right as they are, when the sign is taken away."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callcenter.config import DEFAULT_FOLDER, Settings, load
from callcenter.config.problems import ConfigError

KEY = re.compile(r'( *)# ("[*]\w+"|[a-z_]+):(?: +(\S.*))?$')
# What the examples name and the shipped files do not hold: somebody else's carrier, sounds, secrets.
BESIDE = """\
trunks:
  carrier: {peers: [192.0.2.10]}
hours:
  may-call: {open: {daily: "09:00-21:00"}}
prompts:
  recorded: {en: Recorded., es: Grabada., pt-BR: Gravada.}
flows:
  take-card: [{collect: {into: card, prompt: nothing-heard, max: 16, mask: true}}]
"""
FIRST = "    name: The Tech Giant"
OUTBOUND = '    outbound: {trunks: [carrier], caller_id: "+18005550100", country: "1"}\n'


def uncommented(text: str) -> str:
    """A file whose examples are in force: each begins with a key, and goes on where it is indented further."""
    lines: list[str] = []
    within: str | None = None
    for line in text.splitlines():
        begins = KEY.match(line)
        # A sentence may begin with a word and a colon: what stands behind a key begins like a value, or says nothing.
        if begins is not None and (begins[3] is None or re.match(r"[#\[{\"]|\S+(\s+#|$)", begins[3])):
            within = begins[1]
        elif within is None or not (line.startswith(f"{within}#  ") or line == f"{within}#"):
            within = None
        lines.append(line if within is None else within + line[len(within) + 2 :])
    return "\n".join(lines) + "\n"


def with_examples(
    folder: Path, name: str, *, beside: str = "", outbound: str = "", replaced: Mapping[str, str] | None = None
) -> Settings:
    """The shipped configuration with the examples of one of its files, and with what these name."""
    for file in DEFAULT_FOLDER.iterdir():
        if file.suffix in (".yaml", ".csv"):
            shutil.copy(file, folder)
    for sounds in ("prompts", "music"):
        (folder / sounds).symlink_to(DEFAULT_FOLDER / sounds)
    text = uncommented((folder / f"{name}.yaml").read_text("utf-8"))
    for before, after in (replaced or {}).items():
        assert before in text, before
        text = text.replace(before, after)
    (folder / f"{name}.yaml").write_text(text, "utf-8")
    clients = (folder / "clients.yaml").read_text("utf-8")
    (folder / "clients.yaml").write_text(clients.replace(FIRST, outbound + FIRST), "utf-8")
    if beside:
        into = {match[1]: match[2] for match in re.finditer(r"^(\w+):\n((?: .*\n)+)", beside, re.MULTILINE)}
        for section, more in into.items():
            file = folder / f"{section}.yaml"
            written = file.read_text("utf-8").replace(f"\n{section}: {{}}", f"\n{section}:")
            file.write_text(written.replace(f"\n{section}:", f"\n{section}:\n{more}", 1), "utf-8")
    (folder / "crm.secret").write_text("c2VjcmV0", "utf-8")
    try:
        return load(folder, data=folder / "data")
    except ConfigError as error:
        pytest.fail("\n".join(str(each) for each in error.problems if not each.warning))


def test_every_example_of_a_company_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "of no use to anybody")
    replaced = {"record_announcement: PROMPT": "record_announcement: recorded"}
    settings = with_examples(tmp_path, "clients", beside=BESIDE, outbound=OUTBOUND, replaced=replaced)
    written: Any = settings.written["clients"]["the-tech-giant"]
    said = {
        *("dispositions", "dispositions_required", "wrap_up_fields", "supervision", "whisper", "share", "dial_prefix"),
        *("callbacks", "followups", "call_me", "in_talk", "crm", "webhooks", "record", "record_announcement"),
        *("record_retention", "customers", "calls", "intents", "tiers", "prefer", "keep_place_for"),
    }
    assert said <= written.keys()
    assert [str(each) for each in settings.warnings] == []


def test_every_example_of_the_switch_is_right(tmp_path: Path) -> None:
    files = {f"{path}": str(tmp_path / "crm.secret") for path in (
        "/etc/ssl/certs/our-ca.pem", "/etc/callcenter/client.pem", "/etc/callcenter/client.key")}  # fmt: skip
    settings = with_examples(tmp_path, "switch", replaced={**files, "[acme]": "[casa-lumina]"})
    assert settings.desk.users.keys() == {"ida", "acme-portal"}
    assert settings.desk.public_url == "https://desk.example.com"
    assert settings.mqtt.url == "mqtts://broker.example.org:8883"
    assert {each.path for each in settings.warnings} <= {"mqtt.password_env"}


def test_every_example_of_agents_and_codes_is_right(tmp_path: Path) -> None:
    taken = {"    clients: [casa-lumina, the-tech-giant]\n    codecs": "    clients: [casa-lumina]\n    codecs"}
    beside = "flows:\n  take-card: [{collect: {into: card, prompt: nothing-heard, max: 16, mask: true}}]\n"
    beside += "clients:\n  quiet: {name: Quiet, languages: [en], in_talk: [take-card]}\n"
    settings = with_examples(tmp_path, "agents", beside=beside, replaced=taken)
    assert settings.calls.supervisors.keys() == {"sofia", "tomas"}
    assert {"*71", "*80", "*85", "*87"} <= settings.calls.feature_codes.keys()


def test_every_example_of_a_trunk_is_right(tmp_path: Path) -> None:
    text = (DEFAULT_FOLDER / "trunks.yaml").read_text("utf-8")
    client = re.search(r"^# And in clients.yaml:\n#\n#.*\n((?:#.*\n)+)", text, re.MULTILINE)
    assert client is not None
    (tmp_path / "carrier-a-ca.pem").write_text("", "utf-8")
    outbound = re.sub("^# ?", "", client[1], flags=re.MULTILINE)
    replaced = {"trunks: {}": "", "certificates: [sip.carrier-a.example]": "#"}
    settings = with_examples(tmp_path, "trunks", outbound=outbound, replaced=replaced)
    assert settings.trunks.keys() == {"carrier-a", "carrier-b", "pbx-of-a-customer"}
    assert settings.calls.clients["the-tech-giant"].outbound is not None
