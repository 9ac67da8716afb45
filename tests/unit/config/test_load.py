"""What the layers get: values with their units, defaults handed down, --set, several files."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callcenter.acd.requirements import Requirement, text
from callcenter.acd.settings import RnaRule, WrapUpSettings
from callcenter.calls.settings import Choice, Hangup, Menu, Number, Say, ToQueue
from callcenter.config import Code, ConfigError, load
from callcenter.config.shape import seconds
from callcenter.media.settings import Srtp
from callcenter.model.states import Intent, WrapUpMode
from callcenter.publish.settings import Broker
from callcenter.signaling.settings import Listen
from callcenter.sip.session_timer import SessionTimer
from tests.unit.config.floor import GOOD, load_text, problems_of, span, write_floor

MORE = """
sip: {register: {min: 30s, default: 2m, max: 1h}, session_timer: {expires: 1h}, advertised: pbx.example.org}
media: {ports: 20000-20100, workers: 2, silence_timeout: 1m30s, srtp: required, srtp_without_tls: true}
mqtt: {pop_wait: 80ms, port: 0}
acd: {ring_for: 15s, max_wait: 2m, wrap_up: 12s, no_answer: {pause: 1s, limit: 2}, sign_in: not_ready}
calls: {timeout: 7s, retries: 1, goodbye: hello, invalid: hello}
"""


def test_a_whole_floor_arrives_as_plain_values(tmp_path: Path) -> None:
    settings = load_text(tmp_path, GOOD + MORE)
    assert settings.sip.advertised == ("pbx.example.org",)
    assert (settings.sip.register_min, settings.sip.register_default, settings.sip.register_max) == (30, 120, 3600)
    assert settings.sip.session_timer == SessionTimer(expires=3600, least=90)
    assert (settings.media.ports, settings.media.workers, settings.media.silence_timeout) == ((20000, 20100), 2, 90.0)
    assert (settings.media.srtp, settings.media.srtp_without_tls) == (Srtp.REQUIRED, True)
    assert (settings.mqtt.broker, settings.mqtt.port, settings.calls.pop_wait) == (Broker.EMBEDDED, 0, 0.08)
    queue = settings.plan.queues["sales"]
    assert queue.requirements == (Requirement("english", 3),)
    assert (queue.client, queue.ring_for, queue.max_wait, queue.on_max_wait) == ("acme", 15.0, 120.0, "continue")
    assert queue.wrap_up == WrapUpSettings(WrapUpMode.TIMED, 12.0, 0.0)
    agent = settings.plan.agents["ana"]
    assert (agent.name, agent.skills, agent.clients) == ("Ana", {"english": 4}, frozenset({"acme"}))
    assert agent.sign_in is Intent.NOT_READY
    assert settings.plan.rna.no_answer == RnaRule(1.0, 2)
    assert settings.plan.rna.declined == RnaRule(10.0, 3)
    assert settings.calls.numbers == {"+15555550100": Number("+15555550100", "acme", "welcome", ("1000",))}
    menu = Menu(
        id="hello",
        prompt="hello",
        choices={"1": Choice("sales", None, (ToQueue("sales"),))},
        timeout=7.0,
        retries=1,
        invalid="hello",
        otherwise=(Hangup("hello"),),
    )
    assert settings.calls.flows["welcome"].steps == (Say("hello"), menu, Hangup())
    assert settings.storage.path == tmp_path / "data" / "callcenter.db"
    (clip,) = settings.calls.prompts.prompt("hello", "en")
    assert clip.seconds == pytest.approx(0.2)
    assert settings.calls.prompts.music(settings.calls.treatments["sales"].music)


def test_the_steps_of_a_flow_may_be_written_long_or_short(tmp_path: Path) -> None:
    steps = """
    - say: {prompt: hello, barge_in: false}
    - queue:
        to: sales
        priority: 7
        on_timeout: [{say: hello}, {hangup: hello}]
    - hangup:
"""
    text = GOOD.replace("    - hangup\n", steps)
    long = load_text(tmp_path, text).calls.flows["welcome"].steps[2:]
    assert long == (Say("hello", barge_in=False), ToQueue("sales", 7, (Say("hello"), Hangup("hello"))), Hangup())


@pytest.mark.parametrize(
    ("dialled", "found"),
    [("+15555550100", True), ("15555550100", True), ("0015555550100", True), ("+1 (555) 555-0100", True),
     ("1000", True), ("1001", False), ("", False)],
)  # fmt: skip
def test_a_number_is_reached_as_people_dial_it(dialled: str, found: bool, tmp_path: Path) -> None:
    assert (load_text(tmp_path).calls.find_number(dialled) is not None) is found


def test_sessions_are_refreshed_unless_that_is_switched_off(tmp_path: Path) -> None:
    assert load_text(tmp_path, GOOD).sip.session_timer == SessionTimer(expires=1800, least=90)
    off = tmp_path / "off"
    off.mkdir()
    assert load_text(off, GOOD + "sip: {session_timer: off}\n").sip.session_timer is None


@pytest.mark.parametrize(
    ("argument", "path", "value"),
    [
        ("sip.realm=example.org", "sip.realm", "example.org"),
        ("sip.listen=[{transport: udp, host: 127.0.0.1, port: 0}]", "sip.listen", (Listen("udp", "127.0.0.1", 0),)),
        ("mqtt.url=mqtts://broker.example.org", "mqtt.url", "mqtts://broker.example.org"),
        ("mqtt.pop_wait=1s", "calls.pop_wait", 1.0),
        ("sip.max_calls=7", "calls.max_calls", 7),
        ("switch.node=berlin-2", "switch.node", "berlin-2"),
        ("media.workers=1", "media.workers", 1),
        ("queues.sales.max_wait=never", "plan.queues.sales.max_wait", None),
        ("queues.sales.requirements.english=4", "plan.queues.sales.requirements", (Requirement("english", 4),)),
        ("agents.ana.name='Ana: the first'", "plan.agents.ana.name", "Ana: the first"),
        ('numbers."+15555550100".aliases.0=77', "calls.numbers.+15555550100.aliases", ("77",)),
        ("numbers.+15555550100.aliases.1=0800", "calls.numbers.+15555550100.aliases", ("1000", "0800")),
        ("flows.welcome.1.menu.timeout=9s", "calls.flows.welcome.steps.1.timeout", 9.0),
        ("flows.welcome=[hangup]", "calls.flows.welcome.steps", (Hangup(),)),
        ("sip=~", "sip.realm", "callcenter"),
    ],
)
def test_any_path_can_be_set(argument: str, path: str, value: object, tmp_path: Path) -> None:
    at: object = load_text(tmp_path, GOOD, argument)
    for step in path.split("."):
        if isinstance(at, dict):
            at = at[step]
        elif isinstance(at, tuple):
            at = at[int(step)]
        else:
            at = getattr(at, step)
    assert at == value


@pytest.mark.parametrize(
    ("argument", "code", "column", "end", "words"),
    [
        ("sip.realm", Code.OVERRIDE, 1, 10, "not path=value"),
        ("=x", Code.OVERRIDE, 1, 2, "not path=value"),
        ("sip..realm=x", Code.OVERRIDE, 1, 11, "not path=value"),
        ("agents.ana.name.first=x", Code.OVERRIDE, 17, 22, "nothing under a value"),
        ("flows.welcome.9=hangup", Code.OVERRIDE, 15, 16, "does not count"),
        ("sip.raelm=x", Code.UNKNOWN_KEY, 5, 10, "`raelm` is not known"),
        ("spi.realm=x", Code.UNKNOWN_KEY, 1, 4, "`spi` is not known"),
        ("queues.sales.ring_for=20", Code.DURATION, 23, 25, "no unit"),
        ("queues.sales.ring_for={a: [1", Code.SYNTAX, 29, 30, "expected"),
        ("queues.sales.client=acme2", Code.NAMES_NOTHING, 21, 26, "no client"),
        ("agents.ana.skills={english: 9}", Code.FORM, 29, 30, "out of range"),
        ("queues.sales.requirements={any: [{english: 9}]}", Code.FORM, 44, 45, "out of range"),
        ("queues.sales.requirements={any: []}", Code.FORM, 33, 35, "it is empty"),
        ("queues.sales.requirements={english: [{sales: 1}]}", Code.FORM, 27, 50, "a list stands behind"),
        ("queues.sales.strategy=longest_idel", Code.CHOICE, 23, 35, "not known here"),
        ("agents.ana.queues=[slaes]", Code.NAMES_NOTHING, 20, 25, "no queue is named"),
    ],
)
def test_a_wrong_set_is_told_by_its_argument(
    argument: str, code: Code, column: int, end: int, words: str, tmp_path: Path
) -> None:
    found = [p for p in problems_of(tmp_path, GOOD, argument) if p.place.source.name == f"--set {argument}"]
    assert [(p.code, span(p)) for p in found][:1] == [(code, (1, column, end))], [str(p) for p in found]
    assert words in found[0].message
    assert argument in found[0].excerpt()


def test_sections_may_be_spread_over_files_and_share_by_anchors(tmp_path: Path) -> None:
    other = """
agents:
  bob: &usual {name: Bob, skills: {english: 4}, clients: [acme]}
  eve: {<<: *usual, name: Eve}
"""
    settings = load(write_floor(tmp_path, GOOD, others=other), data=tmp_path)
    assert {user: agent.name for user, agent in settings.plan.agents.items()} == {
        "ana": "Ana",
        "bob": "Bob",
        "eve": "Eve",
    }


def test_the_revision_follows_what_is_configured_and_not_its_comments(tmp_path: Path) -> None:
    plain = load_text(tmp_path).revision
    assert load_text(tmp_path, "# another comment\n" + GOOD).revision == plain
    assert load_text(tmp_path, GOOD.replace("english: 3", "english: 2")).revision != plain
    assert load_text(tmp_path, GOOD, "sip.realm=other").revision != plain


def test_what_is_not_said_of_a_broker_of_ones_own_is_refused(tmp_path: Path) -> None:
    for argument, words in (
        ("mqtt={user: x}", "need a `url`"),
        ("mqtt={url: 'mqtts://u:p@h'}", "no user or password"),
        ("mqtt={url: 'mqtts://h', password_env: X, password_file: y}", "two places"),
        ("mqtt={url: 'mqtts://h', ca_file: nowhere.pem}", "is not there"),
        ("mqtt={url: 'mqtts://h', cert_file: nowhere.pem}", "is not there"),
        ("mqtt={url: 'mqtts://h', key_file: client.key}", "add `cert_file`"),
        ("mqtt={url: 'mqtts://h', password_file: y}", "without a `user`"),
        ("mqtt={url: 'mqtt://h', ca_file: ca.pem}", "of use with TLS only"),
        ("mqtt={cert_file: client.pem}", "need a `url`"),
    ):
        found = problems_of(tmp_path, GOOD, argument)[0]
        assert words in f"{found} {found.hint}"


def test_a_password_that_the_environment_does_not_have_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = GOOD + "mqtt: {url: 'mqtts://h', user: u, password_env: BROKER_WORD}\n"
    monkeypatch.delenv("BROKER_WORD", raising=False)
    (warning,) = (each for each in load_text(tmp_path, text).warnings if each.code is Code.UNSET)
    assert (warning.path, warning.warning) == ("mqtt.password_env", True)
    assert "the environment has no BROKER_WORD" in str(warning)
    assert "password_env: BROKER_WORD" in warning.excerpt()
    monkeypatch.setenv("BROKER_WORD", "geheim")
    assert not [each for each in load_text(tmp_path, text).warnings if each.code is Code.UNSET]


def test_settings_do_not_show_secrets_when_printed(tmp_path: Path) -> None:
    secret = "0123456789abcdef" * 4
    settings = load_text(tmp_path, GOOD, f"agents.ana.sip_md5={secret[:32]}", f"agents.ana.sip_sha256={secret}")
    assert settings.hashes["ana"].sip_sha256 == secret
    assert secret not in repr(settings)
    assert secret not in repr(dataclasses.replace(settings))


@pytest.mark.parametrize(
    ("text", "value"), [("20s", 20.0), ("150ms", 0.15), ("2m", 120.0), ("1h", 3600.0), ("1m30s", 90.0), ("1.5s", 1.5)]
)
def test_a_duration_is_written_with_its_unit(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@given(st.text())
@example("20")
@example("s")
@example("1e5s")
@example("5 0s")
def test_what_is_no_duration_is_refused_and_nothing_else_happens(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= seconds(text) <= 7 * 86400


YAML_BITS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["acme", "welcome", "sales", "hello", "20s", "en", "1"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["clients", "flows", "say", "menu", "queue", "hangup", "choices", "prompt", "name", "to"])
        | st.text(max_size=4),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60)
@given(
    section=st.sampled_from(
        ["switch", "sip", "media", "mqtt", "acd", "calls", "speech", "clients", "numbers", "flows", "queues", "agents",
         "prompts", "music", "customers"]
    ),
    value=YAML_BITS,
)  # fmt: skip
@example(section="flows", value={"welcome": [{"menu": {"choices": {"1": {"then": [{"menu": {}}]}}}}]})
@example(section="prompts", value={"hello": {"en": [[]]}})
@example(section="clients", value={"\U00010000": None})
@example(section="music", value={"clients": "\0"})
@example(section="customers", value="\0")
def test_whatever_stands_in_a_section_is_settings_or_problems_and_never_a_trace(
    section: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("floor")
    with contextlib.suppress(ConfigError):
        load_text(folder, GOOD, f"{section}={json.dumps(value)}")


def test_requirements_may_be_alternatives(tmp_path: Path) -> None:
    asked = "queues.sales.requirements={english: 3, any: [{sales: 2}, {all: [{support: 3}, {billing: 1}]}]}"
    settings = load_text(tmp_path, GOOD, asked, "agents.ana.skills={english: 3, sales: 2}")
    assert text(settings.plan.queues["sales"].requirements) == (
        "english>=3 and (sales>=2 or (billing>=1 and support>=3))"
    )
