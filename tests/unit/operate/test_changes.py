"""What a reload says that it changes, in the words of the files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callcenter.acd.core import Acd
from callcenter.acd.events import DeviceChanged, Join, Ticket
from callcenter.config import Settings
from callcenter.model.states import Device
from callcenter.operate.changes import Change, changes, differences, in_force, waits
from tests.unit.config.floor import GOOD, load_text


def between(folder: Path, old: str, new: str, *overrides: str) -> tuple[list[Change], Settings, Settings]:
    before = load_text(folder / "old", old)
    after = load_text(folder / "new", new, *overrides)
    return changes(before, after, Acd(before.plan), [], 0.0), before, after


def lines(found: list[Change]) -> list[tuple[str, str, str, str, bool]]:
    return [(each.sign, each.path, each.before, each.after, each.waits) for each in found]


def test_what_is_written_alike_changes_nothing_however_it_is_spread_and_commented(tmp_path: Path) -> None:
    found, before, after = between(tmp_path, GOOD, "# Other words.\n" + GOOD.replace("name: Ana", 'name: "Ana"'))
    assert found == []
    assert before.revision == after.revision


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("english: 3", "english: 4", ("~", "queues.sales.requirements.english", "3", "4", False)),
        ("name: Ana", "name: Anna", ("~", "agents.ana.name", "Ana", "Anna", False)),
        (
            "{client: acme, requirements",
            "{client: acme, max_wait: 5m, requirements",
            ("~", "queues.sales.max_wait", "(default)", "5m", False),
        ),
        (
            "agents:\n",
            "agents:\n  bob: {name: Bob, skills: {english: 3}, clients: [acme]}\n",
            ("+", "agents.bob", "", "", False),
        ),
        ("queues:\n", "acd: {ring_for: 30s}\nqueues:\n", ("~", "acd.ring_for", "(default)", "30s", False)),
        ("prompt: hello\n", "prompt: hello\n        retries: 1\n",
         ("~", "flows.welcome.1.menu.retries", "(default)", "1", False)),
        ("    - say: hello\n", "", ("~", "flows.welcome", "3 items", "2 items", False)),
        ("queues:\n", "sip: {max_calls: 7}\nqueues:\n", ("~", "sip.max_calls", "(default)", "7", False)),
        ("queues:\n", "sip: {realm: other}\nqueues:\n", ("~", "sip.realm", "(default)", "other", True)),
        ("queues:\n", "mqtt: {port: 1999}\nqueues:\n", ("~", "mqtt.port", "(default)", "1999", True)),
        ("queues:\n", "mqtt: {pop_wait: 99ms}\nqueues:\n", ("~", "mqtt.pop_wait", "(default)", "99ms", False)),
        ("queues:\n", "switch: {drain_limit: 1m}\nqueues:\n", ("~", "switch.drain_limit", "(default)", "1m", False)),
        ("queues:\n", "switch: {node: cc2}\nqueues:\n", ("~", "switch.node", "(default)", "cc2", True)),
        ("queues:\n", "media: {workers: 1}\nqueues:\n", ("~", "media.workers", "(default)", "1", True)),
    ],
)  # fmt: skip
def test_each_difference_is_one_line(tmp_path: Path, old: str, new: str, line: tuple[str, str, str, str, bool]) -> None:
    assert old in GOOD
    there, _, _ = between(tmp_path / "there", GOOD, GOOD.replace(old, new, 1))
    assert lines(there) == [line]


def test_what_is_gone_is_told_as_gone(tmp_path: Path) -> None:
    more = GOOD.replace("agents:\n", "agents:\n  bob: {name: Bob, skills: {english: 3}, clients: [acme]}\n")
    found, _, _ = between(tmp_path, more, GOOD)
    assert lines(found) == [("-", "agents.bob", "", "", False)]


def test_hashes_of_passwords_are_not_shown(tmp_path: Path) -> None:
    own = f", sip_md5: {'a' * 32}, sip_sha256: {'b' * 64}"
    found, _, _ = between(tmp_path, GOOD, GOOD.replace("clients: [acme]}", f"clients: [acme]{own}}}"))
    assert lines(found) == [
        ("~", "agents.ana.sip_md5", "(none)", "(hash)", False),
        ("~", "agents.ana.sip_sha256", "(none)", "(hash)", False),
    ]


def test_a_supervisor_comes_and_goes_at_once_and_the_hash_is_not_shown(tmp_path: Path) -> None:
    mosquitto = "$7$101$bm9ib2R5$c2VjcmV0"
    eva = "supervisors:\n  eva: {name: Eva}\n"
    found, _, _ = between(tmp_path, GOOD, GOOD + eva)
    assert lines(found) == [("+", "supervisors.eva", "", "", False)]
    found, _, _ = between(tmp_path / "hash", GOOD + eva, GOOD + eva.replace("Eva}", f"Eva, mqtt: {mosquitto}}}"))
    assert lines(found) == [("~", "supervisors.eva.mqtt", "(none)", "(hash)", False)]


def test_a_trunk_comes_and_goes_by_a_line_of_its_own_and_its_hashes_are_not_shown(tmp_path: Path) -> None:
    trunk = "trunks:\n  carrier: {peers: [203.0.113.7], max_calls: 3}\n"
    found, before, after = between(tmp_path / "in", GOOD, GOOD + trunk)
    assert lines(found) == [("+", "trunks.carrier", "", "", False)]
    assert set(in_force(before, after).trunks) == {"carrier"}
    found, _, _ = between(tmp_path / "out", GOOD + trunk, GOOD)
    assert lines(found) == [("-", "trunks.carrier", "", "", False)]
    found, _, _ = between(tmp_path / "limit", GOOD + trunk, GOOD + trunk.replace("3}", "5}"))
    assert lines(found) == [("~", "trunks.carrier.max_calls", "3", "5", False)]
    account = f"accept: {{account: {{user: c, sip_md5: {'a' * 32}, sip_sha256: {'b' * 64}}}}}"
    hashed = trunk.replace("max_calls: 3", account)
    found, _, _ = between(tmp_path / "hash", GOOD + hashed, GOOD + hashed.replace("a" * 32, "c" * 32))
    assert lines(found) == [("~", "trunks.carrier.accept.account.sip_md5", "(hash)", "(hash)", False)]


def test_a_long_text_is_not_shown_whole(tmp_path: Path) -> None:
    greeting = "Thank you for calling Acme, this is {agent}. How can I help you today?"
    text = GOOD.replace("languages: [en]}", f'languages: [en], greeting: {{en: "{greeting}"}}}}')
    found, _, _ = between(tmp_path, text, text.replace("today", "this evening"))
    assert lines(found) == [("~", "clients.acme.greeting.en", "", "changed", False)]


def test_an_argument_is_a_change_like_a_file(tmp_path: Path) -> None:
    found, _, _ = between(tmp_path, GOOD, GOOD, "queues.sales.priority=5")
    assert lines(found) == [("~", "queues.sales.priority", "(default)", "5", False)]


def test_what_waits_for_the_next_start_stays_as_it_is_and_is_told_at_every_reload(tmp_path: Path) -> None:
    new = GOOD.replace("queues:\n", "sip: {realm: other, max_calls: 7}\nqueues:\n").replace("english: 3", "english: 4")
    found, before, after = between(tmp_path, GOOD, new)
    running = in_force(before, after)
    assert (running.sip.realm, running.calls.max_calls) == ("callcenter", 7)
    assert running.storage == before.storage
    assert running.plan == after.plan
    assert running.revision == after.revision
    again = changes(running, after, Acd(running.plan), [], 0.0)
    assert lines(again) == [("~", "sip.realm", "(default)", "other", True)]
    assert [each.path for each in found if each.waits] == ["sip.realm"]


def test_who_is_recorded_and_how_long_it_is_kept_holds_at_once_and_where_it_is_from_the_next_start(
    tmp_path: Path,
) -> None:
    """A folder or a key that changed under way would leave half of them where nobody looks."""
    told = GOOD.replace("hello: {en", "recording-announcement: {en: {file: hello.wav}}\n  hello: {en")
    before = load_text(tmp_path / "before", told)
    more = "recordings: {directory: /tmp/calls, format: ulaw, retention: 30d, least_free: 20GB}\n"
    after = load_text(tmp_path / "after", told.replace("languages: [en]}", "languages: [en], record: always}") + more)
    running = in_force(before, after).calls.recording
    assert running.on
    assert (running.keep_for, running.least_free) == (30, after.calls.recording.least_free)
    assert (running.directory, running.encoding) == (
        before.calls.recording.directory,
        before.calls.recording.encoding,
    )
    found = changes(before, after, Acd(before.plan), [], 0.0)
    waiting = {each.path for each in found if each.waits}
    assert waiting == {"recordings.directory", "recordings.format"}


def test_a_list_of_another_length_waits_as_a_whole(tmp_path: Path) -> None:
    def listens(*ports: int) -> str:
        hosts = [f"{{transport: udp, host: 127.0.0.1, port: {port}}}" for port in ports]
        return GOOD.replace("queues:\n", f"sip: {{listen: [{', '.join(hosts)}]}}\nqueues:\n")

    found, before, after = between(tmp_path, listens(5060), listens(5060, 5070))
    assert lines(found) == [("~", "sip.listen", "1 item", "2 items", True)]
    assert in_force(before, after).sip == before.sip
    longer, before, after = between(tmp_path / "port", listens(5060), listens(5080))
    assert lines(longer) == [("~", "sip.listen.0.port", "5060", "5080", True)]
    assert changes(in_force(before, after), after, Acd(before.plan), [], 0.0) == longer


def test_every_section_that_waits_is_known_by_its_name() -> None:
    assert waits(("sip", "listen", 0, "port"))
    assert waits(("customers",))
    assert not waits(("sip", "max_calls"))
    assert not waits(("hours", "always"))


def test_differences_of_nothing_are_none() -> None:
    assert list(differences({}, {"queues": {}})) == []
    assert list(differences({"a": {"b": 1}}, {"a": {"b": 1}})) == []
    assert list(differences({}, {"customers": "new.csv"})) == [(("customers",), None, "new.csv")]


# What it means for who is there, told before it happens.

FLOOR = """\
clients:
  acme: {name: Acme, languages: [en], time_zone: Europe/Madrid}
numbers:
  "+15555550100": {client: acme, flow: welcome}
flows:
  welcome: [{hours: {name: office, closed: [hangup]}}, {queue: sales}]
hours:
  office: {open: {daily: 09:00-18:00}}
queues:
  sales: {client: acme, requirements: {english: 3}}
agents:
  ana: {name: Ana, skills: {english: 4}, clients: [acme]}
  bob: {name: Bob, skills: {english: 3}, clients: [acme]}
"""


def note(folder: Path, old: str, new: str, *, wall: datetime | None = None, signed_in: Sequence[str] = ()) -> str:
    """What is said of the one change, while two callers wait whom nobody who is signed in may take yet."""
    before = load_text(folder / "old", FLOOR)
    assert FLOOR.count(old) == 1, old
    after = load_text(folder / "new", FLOOR.replace(old, new))
    acd = Acd(before.plan)
    acd.offering = False
    for agent in signed_in:
        acd.handle(DeviceChanged(agent, Device.REGISTERED), 1.0)
    for number in (1, 2):
        acd.handle(Join(Ticket(f"v{number}", f"c{number}", "sales", "acme")), 2.0)
    return next(each.note for each in changes(before, after, acd, [], 3.0, wall) if each.note or each.sign == "~")


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("english: 3}}", "english: 4}}", "2 callers waiting now: asked at once, of 1 agent who is signed in"),
        ("english: 3}}", "english: 2}}", "2 callers waiting now: asked at once, of 2 agents who are signed in"),
        ("sales: {client: acme, req", "sales: {client: acme, max_waiting: 1, req",
         "2 callers waiting now: all keep their places"),
        ("sales: {client: acme, req", "sales: {client: acme, max_waiting: 9, req", ""),
        ("skills: {english: 4}", "skills: {english: 1}", "signed in now: no callers at all any more"),
        ("skills: {english: 4}", "skills: {english: 5}", ""),
        ("daily: 09:00-18:00", "daily: 14:00-18:00", "open now: closed by this"),
        ("daily: 09:00-18:00", "daily: 09:00-19:00", ""),
    ],
)  # fmt: skip
def test_each_change_says_what_it_means_for_who_is_there(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert note(tmp_path, old, new, wall=NOON, signed_in=["ana", "bob"]) == words


def test_a_requirement_that_leaves_callers_without_any_agent_is_told_before(tmp_path: Path) -> None:
    words = "2 callers waiting now: asked at once, and nobody who is signed in can take them"
    assert note(tmp_path, "english: 3}}", "english: 4}}", signed_in=["bob"]) == words


def test_a_queue_that_is_renamed_says_where_its_callers_go(tmp_path: Path) -> None:
    text = FLOOR.replace("{queue: sales}", "{queue: sold}").replace("sales: {client", "sold: {was: sales, client")
    before, after = load_text(tmp_path / "old", FLOOR), load_text(tmp_path / "new", text)
    acd = Acd(before.plan)
    for number in (1, 2):
        acd.handle(Join(Ticket(f"v{number}", f"c{number}", "sales", "acme")), 2.0)
    found = [(each.sign, each.path, each.note) for each in changes(before, after, acd, [], 3.0)]
    assert ("-", "queues.sales", "2 callers waiting now: to sold, each on the same place") in found
    assert ("+", "queues.sold", "") in found


def test_a_share_of_the_floor_says_who_waits_and_how_many_work_for_it(tmp_path: Path) -> None:
    words = "2 callers waiting now, 0 agents at work for it: from the next decision on"
    share = "languages: [en], share: {minimum: 1}, time_zone"
    assert note(tmp_path, "languages: [en], time_zone", share) == words
