"""Every kind of mistake: found, pointed at to the column, and told with what to write instead; all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config import Code, ConfigError, load
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span, write_floor

# Code, what is changed in the good floor, into what (the marks show where the caret must stand), words of the message,
# words of the hint.
MISTAKES: list[tuple[Code, str, str, str, str]] = [
    (Code.CHOICE, "clients: [acme]}", "clients: [acme], sign_in: «redy»}", "`redy` is not known", "mean `ready`?"),
    (Code.CHOICE, "    - hangup", "    - «hangpu»", "`hangpu` is not a whole step", "did you mean `hangup`?"),
    (Code.FORM, "languages: [en]", "languages: [«en_us»]", "not the tag of a language", "write it as `en-US`"),
    (Code.FORM, "  acme: {name", "  «Acme Inc»: {name", "cannot be a name", "write it as `acme-inc`"),
    (Code.FORM, "  ana: {name", "  «monitor»: {name", "cannot be an agent", "take another"),
    (Code.FORM, '"+15555550100"', '«"0800 123 456"»', "not a number in E.164", '"+15555550100"'),
    (Code.FORM, '"+15555550100"', '«"+1 (555) 555-0100"»', "not a number in E.164", 'write it as "+15555550100"'),
    (Code.FORM, "english: 4}", "english: «7»}", "`7` is out of range", "at most 5"),
    (Code.FORM, '"1": {intent', '«"12"»: {intent', "not a key of a telephone", "0 to 9"),
    (Code.FORM, "    - hangup", "    - «s»ay: hello\n      menu: {}", "one word", "its own dash"),
    (Code.UNKNOWN_KEY, "name: Acme", "name: Acme, «langauges»: []", "`langauges` is not known", "`languages`"),
    (Code.UNKNOWN_KEY, "queues:", "«queus»: {}\nqueues:", "`queus` is not known", "did you mean `queues`?"),
    (Code.UNKNOWN_KEY, "    - say: hello", "    - «sya»: hello", "`sya` is not known", "did you mean `say`?"),
    (Code.MISSING, "  ana: {name: Ana,", "  «ana»: {", "`name` is missing", "add `name: ...`"),
    (Code.MISSING, "{file: hello.wav}", "«{}»", "a text or a recording", "{file: NAME.wav}"),
    (Code.TWICE, "  sales: {client", "  sales: {}\n  «sales»: {client", "given before, at floor.yaml:15:3", "take one"),
    (Code.TYPE, "english: 4}", "english: «good»}", "`good` is not a whole number", "digits"),
    (Code.TYPE, "skills: {english: 4}", "skills: «english»", "where `key: value` pairs belong", ""),
    (Code.TYPE, "clients: [acme]}", "clients: «acme»}", "where a list belongs", "[one, two]"),
    (Code.TYPE, "queues:\n  sales:", "agents_: 1\n«queues»: [1]\nx:\n  sales:", "here belong names", "below it"),
    (Code.DURATION, "        prompt: hello", "        prompt: hello\n        timeout: «5»", "no unit", "5s for"),
    (Code.DURATION, "requirements", "ring_for: «soon», requirements", "`soon` is not a duration", "20s, 2m"),
    (Code.DURATION, "requirements", "ring_for: «0s», requirements", "longer than nothing", "20s"),
    (Code.FORM, "agents:", "sip: {session_timer: «{expires: 60s}»}\nagents:", "min <= expires", "{expires: 30m"),
    (Code.DURATION, "agents:", "sip: {session_timer: {expires: «often»}}\nagents:", "`often` is not a duration", "2m"),
    (Code.FILE, "clients:\n", "customers: «people.csv»\nclients:\n", "`people.csv` is not there", "looked for from"),
    (Code.NAMES_NOTHING, "flow: welcome", "flow: «welcom»", "no flow is named", "did you mean `welcome`?"),
    (Code.NAMES_NOTHING, "{queue: sales}", "{queue: «sale»}", "no queue is named", "did you mean `sales`?"),
    (Code.NAMES_NOTHING, "    - say: hello", "    - say: «helo»", "no prompt is named", "did you mean `hello`?"),
    (Code.NAMES_NOTHING, "clients: [acme]}", "clients: [acme, «acne»]}", "no client is named", "`acme`"),
    (Code.NAMES_NOTHING, "requirements", "music: «jazz», requirements", "no piece of music", "section `music`"),
    (Code.SAME_NUMBER, '["1000"]', '["1000", «"1000"»]', "stands here twice", "take one away"),
    (Code.NO_TRANSLATION, "hello: {en:", "«hello»: {es:", "not there in en, which acme", "add `en: ...`"),
    (Code.NO_TRANSLATION, "languages: [en]", "languages: [en], «greeting»: {es: x}", "greeting is not there", "`en:"),
    (Code.NO_TRANSLATION, "intent: sales,", "intent: sales, language: «fr»,", "not served in `fr`", "one of en"),
    (Code.NOBODY_SERVES, "  sales: {client: acme, requirements: {english: 3}}",
     "  «sales»: {client: acme, requirements: {english: 5}}", "has english 5", "ana, who lacks english 4 of 5"),
    (Code.ENDLESS, "requirements", "on_max_wait: «again», requirements", "again → again", "hangup"),
    (Code.OTHER_CLIENT, "  sales: {client: acme", "  sales: {client: other", "would wait in a queue of other", "acme"),
    (Code.SAME_STEP, "    - hangup", "    - «menu»:\n        prompt: hello\n        choices: {\"2\": {intent: x}}",
     "two menus of this flow are named `hello`", "another `id`"),
    (Code.FORM, "agents:", "feature_codes: {«\"*\"»: ready}\nagents:", "`*` is not a code to dial", '"*21"'),
    (Code.CHOICE, "agents:", "feature_codes: {\"*20\": «redy»}\nagents:", "nothing that a code can order", "`ready`?"),
    (Code.FORM, "agents:", "feature_codes: {\"*20\": «{ready: {}, state: {}}»}\nagents:", "orders one thing", "ready,"),
    (Code.UNKNOWN_KEY, "agents:", "feature_codes: {\"*20\": {«redy»: {}}}\nagents:", "`redy` is not known", "`ready`"),
    (Code.FORM, "agents:", "feature_codes: {\"*29\": {sign_out: «now»}}\nagents:", "says everything", "`now` away"),
    (Code.TYPE, "client: acme, requirements", "client: acme, announce: «on», requirements", "`key: value` pairs",
     "beneath; known here: beyond, every,"),
    (Code.NAMES_NOTHING, "agents:",
     "acd: {reasons: {lunch: Lunch}}\nfeature_codes: {\"*21\": {not_ready: «lnch»}}\nagents:", "no reason", "`lunch`?"),
    (Code.MISSING, "agents:", "feature_codes: {«\"*20\"»: ready}\nagents:", "no prompt `agent-ready` and 16 others",
     "agent-not-ready"),
    (Code.SAME_NUMBER, "agents:", "feature_codes: {«\"1000\"»: ready}\nagents:", "`1000` reaches +15555550100", "take"),
    (Code.SAME_NUMBER, "agents:", "feature_codes: {«\"10\"»: ready}\nagents:", "`10` is how `1000` begins", "take"),
    (Code.SAME_NUMBER, "agents:", "feature_codes: {«\"155\"»: ready}\nagents:", "`155` is how `15555550100`", "take"),
    (Code.SAME_NUMBER, "agents:", "feature_codes: {«\"10001\"»: ready}\nagents:", "`1000` is how `10001`", "take"),
    (Code.SAME_NUMBER, "agents:", "feature_codes: {\"*2\": ready, «\"*21\"»: state}\nagents:", "`*2` is how", "take"),
    (Code.CHOICE, "agents:", "media: {srtp: «mandatory»}\nagents:", "`mandatory` is not known", "required"),
    (Code.FORM, "agents:", "media: {srtp: off, srtp_without_tls: «true»}\nagents:", "srtp is off", ""),
    (Code.NO_RECORDING, "file: hello.wav", "file: «helo.wav»", "`helo.wav` is not there", "looked for from"),
    (Code.UNREADABLE, "file: hello.wav", "file: «floor.yaml»", "it is not a WAV file", "ffmpeg"),
    (Code.POSITION, "{en: {file: hello.wav}}", "{en: «hello»}\ncalls: {announce: {position: hello}}",
     "does not say the place", "write {position}"),
    (Code.NO_VOICE, "en: {file: hello.wav}", "tlh: «nuqneH», en: {file: hello.wav}", "kokoro/klingon is", "recording"),
]  # fmt: skip


def broken(old: str, new: str) -> str:
    assert old in GOOD, old
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(("code", "old", "new", "message", "hint"), MISTAKES, ids=lambda value: str(value)[:30])
def test_a_mistake_is_named_with_its_place_and_what_to_write(
    code: Code, old: str, new: str, message: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = broken(old, new)
    if code is Code.ENDLESS:
        text = text.replace("queues:", "  again: [{queue: sales}]\nqueues:")
    if code is Code.OTHER_CLIENT:
        text = text.replace("numbers:", "  other: {name: Other, languages: [en]}\nnumbers:")
        text = text.replace("clients: [acme]", "clients: [acme, other]").replace("{queue: sales}", "{queue: «sales»}")
    if code is Code.NO_VOICE:
        monkeypatch.setattr("callcenter.speech.voices._installed", lambda engine: False)
        text += "speech: {voices: {tlh: kokoro/klingon}}\n"
    yaml = marked(text)
    found = [problem for problem in problems_of(tmp_path, yaml.text) if problem.code is code]
    assert [span(problem) for problem in found] == list(yaml.spans), [str(problem) for problem in found]
    assert message in found[0].message
    assert hint in found[0].hint
    assert str(found[0]).startswith(f"floor.yaml:{yaml.spans[0][0]}:{yaml.spans[0][1]}: {code} ")


def test_every_kind_of_mistake_has_its_test() -> None:
    elsewhere = {Code.SYNTAX, Code.OVERRIDE, Code.UNUSED, Code.UNREACHED, Code.HOURS, Code.UNSET, Code.SAME_SOURCE}
    elsewhere |= {Code.SKILL, Code.CODEC}
    assert {mistake[0] for mistake in MISTAKES} | elsewhere == set(Code)


def test_a_dozen_different_mistakes_are_told_all_at_once_each_at_its_place(tmp_path: Path) -> None:
    """The complaint would be: I mended one line, and the next start told me about the next one."""
    yaml = marked("""\
sip:
  realm: "«»"
  lisen: []
clients:
  acme: {name: Acme, languages: [en, es]}
numbers:
  "+15555550100": {client: acme, flow: welcome}
flows:
  welcome:
    - say: hello
    - say: nohting
    - queue: {to: sales, priority: high}
    - dance
queues:
  sales: {client: acme, requirements: {english: 9}, ring_for: 20}
  support: {client: acme, requirements: {french: 1}}
  sales: {client: acme}
agents:
  ana: {name: Ana, skills: {english: 4}, clients: [acme], sign_in: yes}
prompts:
  hello: {en: {file: hello.wav}}
  other: {en: {file: other.wav}}
mqtt: {url: "http://broker"}
media: {ports: 5000-4000}
""")
    found = {(p.place.line, p.place.column, p.code) for p in problems_of(tmp_path, yaml.text)}
    assert found == {
        (2, 10, Code.FORM),  # an empty realm
        (3, 3, Code.UNKNOWN_KEY),
        (11, 12, Code.NAMES_NOTHING),
        (12, 36, Code.TYPE),
        (13, 7, Code.CHOICE),
        (15, 49, Code.FORM),
        (15, 63, Code.DURATION),
        (17, 3, Code.TWICE),
        (19, 68, Code.CHOICE),
        (22, 22, Code.NO_RECORDING),
        (23, 13, Code.FORM),
        (24, 16, Code.FORM),
    }


def test_names_are_told_even_of_a_flow_that_has_only_wrong_names_and_its_languages_too(tmp_path: Path) -> None:
    text = broken("    - say: hello", "    - say: helo").replace("languages: [en]", "languages: [en, es]")
    codes = {problem.code for problem in problems_of(tmp_path, text)}
    assert codes == {Code.NAMES_NOTHING, Code.NO_TRANSLATION}


def test_who_gives_the_same_short_number_to_two_companies_is_told_which(tmp_path: Path) -> None:
    text = broken(
        "flows:", '  "+15555550101": {client: acme, flow: welcome, aliases: [«"15555550100"», «"1000"»]}\nflows:'
    )
    yaml = marked(text)
    found = problems_of(tmp_path, yaml.text)
    assert [(problem.code, span(problem)) for problem in found] == [(Code.SAME_NUMBER, at) for at in yaml.spans]
    assert "reaches +15555550100 already" in found[0].message


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ('clients:\n  acme: {name: "Acme}\n', 3, 1, "quotes"),
        ("clients:\n\tacme: 1\n", 2, 1, "no tabs"),
        ("clients:\n  acme: name: Acme\n", 2, 13, "quotes"),
        ("clients: {}\n---\nqueues: {}\n", 2, 1, "`---`"),
        ("clients: *nobody\n", 1, 10, ""),
    ],
)
def test_yaml_that_cannot_be_read_is_pointed_at(text: str, line: int, column: int, hint: str, tmp_path: Path) -> None:
    found = [problem for problem in problems_of(tmp_path, text) if problem.code is Code.SYNTAX]
    assert [(p.place.line, p.place.column) for p in found] == [(line, column)], [str(p) for p in found]
    assert hint in found[0].hint


def test_a_file_that_cannot_be_read_does_not_make_the_others_look_wrong(tmp_path: Path) -> None:
    """With queues.yaml unreadable, nobody is told that the queues which stand there are missing."""
    at = GOOD.index("queues:")
    end = GOOD.index("agents:")
    folder = write_floor(tmp_path, GOOD[:at] + GOOD[end:].replace("english: 4", "english: 44"), queues="queues: [\n")
    with pytest.raises(ConfigError) as caught:
        load(folder, data=tmp_path)
    assert [problem.code for problem in caught.value.problems] == [Code.FORM, Code.SYNTAX]


def test_a_key_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    folder = write_floor(tmp_path, GOOD, more="agents:\n  ana: {name: Other Ana, clients: [acme]}\n")
    with pytest.raises(ConfigError) as caught:
        load(folder, data=tmp_path)
    assert [str(problem) for problem in caught.value.problems] == [
        "more.yaml:2:3: CFG006 agents.ana: `ana` was given before, at floor.yaml:17:3"
    ]


def test_what_nobody_reaches_is_a_warning_and_the_switch_starts(tmp_path: Path) -> None:
    text = broken("queues:", "  left-over: [hangup]\nqueues:\n  spare: {client: acme}")
    text = text.replace("agents:", "agents:\n  bob: {name: Bob, clients: [lonely]}")
    text = text.replace("numbers:", "  lonely: {name: Lonely, languages: [en]}\nnumbers:")
    settings = load_text(tmp_path, text)
    assert [(problem.code, problem.path, problem.warning) for problem in settings.warnings] == [
        (Code.UNUSED, "clients.lonely", True),
        (Code.UNUSED, "flows.left-over", True),
        (Code.UNUSED, "queues.spare", True),
        (Code.UNUSED, "agents.bob", True),
    ]


def test_a_flow_that_leads_on_by_keys_alone_is_not_endless(tmp_path: Path) -> None:
    """A caller who chooses to go round may; one who presses nothing must come to an end."""
    settings = load_text(tmp_path, broken("requirements", "on_max_wait: welcome, requirements"))
    assert not settings.warnings
    endless = broken("requirements", "on_max_wait: welcome, requirements").replace(
        "    - hangup", "        otherwise: [{queue: sales}]"
    )
    assert [problem.code for problem in problems_of(tmp_path, endless)] == [Code.ENDLESS]


def test_an_empty_floor_says_what_is_missing(tmp_path: Path) -> None:
    found = problems_of(tmp_path, "switch: {node: cc1}\n")
    assert [problem.path for problem in found if problem.code is Code.MISSING] == [
        "clients", "numbers", "flows", "queues", "agents",
    ]  # fmt: skip


def test_a_folder_that_is_not_there_and_one_without_yaml_are_told_in_one_line(tmp_path: Path) -> None:
    for folder, words in ((tmp_path / "none", "cannot be read"), (tmp_path, "no *.yaml file")):
        with pytest.raises(ConfigError) as caught:
            load(folder)
        assert len(caught.value.problems) == 1
        assert words in str(caught.value)


def test_aliases_of_aliases_do_not_take_the_memory(tmp_path: Path) -> None:
    """Nine to the eleventh: read out, it would fill the machine, and the test would never end."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    found = problems_of(tmp_path, f"l0: &l0 [x]\n{levels}")
    assert found[0].code is Code.SYNTAX


def test_an_excerpt_shows_the_line_with_a_caret_under_the_mistake(tmp_path: Path) -> None:
    problem = problems_of(tmp_path, broken("flow: welcome", "flow: welcom"))[0]
    assert problem.excerpt() == (
        "floor.yaml:5:40: REF101 numbers.+15555550100.flow: no flow is named `welcom`\n"
        "   |\n"
        ' 5 |   "+15555550100": {client: acme, flow: welcom, aliases: ["1000"]}\n'
        "   |                                        ^^^^^^ did you mean `welcome`?\n"
    )
