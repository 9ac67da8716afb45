"""Descriptions of one leg: which codec is agreed on, by which numbers, and that those stay."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.media.description import Description
from callcenter.media.plane import NotAcceptable
from callcenter.sip.sdp import MediaDescription, SessionDescription

ALL = ("PCMU", "PCMA", "G722", "opus", "L16")
OPUS = "a=rtpmap:{0} opus/48000/2"
EVENTS = "a=rtpmap:{0} telephone-event/{1}"


def description(
    codecs: Sequence[str] = ALL, beside: str | Description | None = None, *, rtcp_mux: bool = False
) -> Description:
    """One leg, perhaps beside another one, which may have a codec already."""
    if isinstance(beside, str):
        other = description((beside,))
        other.answer(sdp("0 8 9 111", OPUS.format(111)))
        beside = other
    found = Description("198.51.100.7", codecs, 9, beside=beside, rtcp_mux=rtcp_mux)
    found.port = 40000
    return found


def sdp(formats: str, *lines: str, port: int = 5000) -> bytes:
    head = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"]
    return "".join(f"{line}\r\n" for line in [*head, f"m=audio {port} RTP/AVP {formats}", *lines]).encode()


def audio(data: bytes) -> MediaDescription:
    return SessionDescription.parse(data).media[0]


# -- which codec


@pytest.mark.parametrize(
    ("ours", "offered", "codec"),
    [
        (("PCMU", "PCMA"), "0 8", "PCMU"),
        (("PCMU", "PCMA"), "8 0", "PCMA"),
        (("PCMA", "PCMU", "G722"), "9 0 8", "PCMU"),
        (("PCMU", "PCMA", "G722"), "9 8", "PCMA"),
        (("PCMU", "PCMA", "G722"), "9 18", "G722"),
        (("G722", "PCMU", "PCMA"), "0 8 9", "G722"),
        (("PCMU", "G722", "PCMA"), "8 9", "G722"),
        (ALL, "111 9 13 101", "G722"),
        (ALL, "111 13 101", "opus"),
    ],
)
def test_an_answer_takes_our_first_and_of_g711_the_peers(ours: Sequence[str], offered: str, codec: str) -> None:
    """G.711 of either law costs the same, so that the peer may choose; wide-band costs more, so that we do."""
    leg = description(ours)
    leg.answer(sdp(offered, OPUS.format(111), EVENTS.format(101, 8000)))
    assert leg.codec == codec


def test_an_answer_prefers_the_codec_of_the_other_leg() -> None:
    leg = description(ALL, "G722")
    leg.answer(sdp("0 8 9"))
    assert leg.codec == "G722"
    other = description(("PCMU", "PCMA"), "G722")
    other.answer(sdp("0 8 9"))
    assert other.codec == "PCMU"


def test_an_offer_puts_the_codec_of_the_other_leg_first() -> None:
    assert audio(description(ALL, "opus").offer()).formats[:3] == ("111", "0", "8")
    assert audio(description(("PCMU", "G722"), "opus").offer()).formats[:2] == ("0", "9")


def test_a_phone_that_puts_another_first_is_sent_the_codec_of_the_other_leg_all_the_same() -> None:
    """Any codec that the answer takes may be sent (RFC 3264 7), and then nothing has to be transcoded."""
    leg = description(ALL, "PCMA")
    leg.offer()
    leg.take_answer(sdp("9 8 0"))
    assert leg.codec == "PCMA"
    assert {number: codec.name for number, codec in leg.accepts.items()}[9] == "G722"


def test_who_waits_until_the_other_has_answered_is_answered_with_the_others_codec() -> None:
    caller = description()
    caller.offer()
    callee = description(ALL, caller)
    callee.offer()
    callee.take_answer(sdp("9 101", EVENTS.format(101, 8000)))
    caller.answer(sdp("0 8 9"))
    assert (caller.codec, callee.codec) == ("G722", "G722")


def test_a_further_offer_of_the_peer_does_not_change_the_codec() -> None:
    leg = description()
    leg.answer(sdp("9 0"))
    assert leg.codec == "PCMU"
    leg = description(("G722", "PCMU"))
    leg.answer(sdp("9 0"))
    leg.answer(sdp("0 9"))
    assert leg.codec == "G722"
    leg.answer(sdp("0"))
    assert leg.codec == "PCMU"


def test_codecs_that_we_do_not_speak_are_not_acceptable() -> None:
    with pytest.raises(NotAcceptable):
        description().check(sdp("18 4 13", "a=rtpmap:18 G729/8000"))


# -- spelling (RFC 3551 6, RFC 7587 7, RFC 4855 3: names do not depend on their case)


@pytest.mark.parametrize(
    ("line", "codec"),
    [
        ("a=rtpmap:96 OPUS/48000/2", "opus"),
        ("a=rtpmap:96 opus/48000", "opus"),
        ("a=rtpmap:96 g722/8000", "G722"),
        ("a=rtpmap:96 G722/16000", "G722"),
        ("a=rtpmap:96 pcmu/8000/1", "PCMU"),
        ("a=rtpmap:96 l16/16000", "L16"),
    ],
)
def test_a_codec_is_known_however_it_is_spelled(line: str, codec: str) -> None:
    leg = description()
    answer = audio(leg.answer(sdp("96", line)))
    assert (leg.codec, answer.formats) == (codec, ("96",))
    assert leg.accepts[96].name == codec


@pytest.mark.parametrize("line", ["a=rtpmap:96 opus/8000/2", "a=rtpmap:96 L16/44100/2", "a=rtpmap:96 PCMU/16000"])
def test_another_clock_is_another_codec(line: str) -> None:
    with pytest.raises(NotAcceptable):
        description().check(sdp("96", line))


def test_a_number_means_what_its_rtpmap_says() -> None:
    leg = description()
    leg.answer(sdp("0", "a=rtpmap:0 G722/8000"))
    assert (leg.codec, leg.accepts[0].name) == ("G722", "G722")


# -- what is said of Opus (RFC 7587 6.1, 7)


def test_opus_is_offered_as_we_take_it() -> None:
    line = audio(description(("opus",)).offer())
    assert line.codec("111") is not None
    assert line.attribute("rtpmap") == "111 opus/48000/2"
    assert line.fmtp("111") == "maxplaybackrate=16000;sprop-maxcapturerate=16000"


def test_what_is_said_of_a_codec_is_said_each_for_itself() -> None:
    leg = description(("opus",))
    answer = leg.answer(sdp("96", OPUS.format(96), "a=fmtp:96 useinbandfec=1; maxplaybackrate=8000; stereo=1"))
    assert audio(answer).fmtp("96") == "maxplaybackrate=16000;sprop-maxcapturerate=16000"
    assert leg.negotiated is not None
    assert leg.negotiated.fmtp == "useinbandfec=1; maxplaybackrate=8000; stereo=1"


def test_what_an_answer_says_of_a_codec_is_known() -> None:
    leg = description(("opus",))
    leg.offer()
    leg.take_answer(sdp("96", OPUS.format(96), "a=fmtp:96 cbr=1"))
    assert leg.negotiated is not None
    assert (leg.negotiated.payload_type, leg.negotiated.fmtp) == (96, "cbr=1")
    assert (leg.accepts[96].name, leg.accepts[111].name) == ("opus", "opus")


# -- telephone events (RFC 4733 2.1: they have the clock of the sound that they stand in)


def test_events_are_offered_for_every_clock() -> None:
    line = audio(description(("PCMU", "opus", "L16")).offer())
    assert {event.rate: event.payload_type for event in line.events()} == {8000: 101, 48000: 110, 16000: 113}
    assert [line.fmtp(str(event.payload_type)) for event in line.events()] == ["0-15"] * 3
    assert [event.rate for event in audio(description(("PCMU", "G722")).offer()).events()] == [8000]
    assert [event.rate for event in audio(description(("opus",)).offer()).events()] == [48000, 8000]


@pytest.mark.parametrize(
    ("formats", "lines", "taken"),
    [
        ("111 101 110", (EVENTS.format(101, 8000), EVENTS.format(110, 48000)), (110, 48000)),
        ("111 101", (EVENTS.format(101, 8000),), (101, 8000)),
        ("111", (), (None, 8000)),
        ("0 110", (EVENTS.format(110, 48000),), (None, 8000)),
        ("0 101 110", (EVENTS.format(101, 8000), EVENTS.format(110, 48000)), (101, 8000)),
    ],
)
def test_the_events_of_the_codecs_clock_are_taken(
    formats: str, lines: tuple[str, ...], taken: tuple[int | None, int]
) -> None:
    leg = description()
    answer = audio(leg.answer(sdp(formats, OPUS.format(111), *lines)))
    assert leg.negotiated is not None
    assert (leg.negotiated.telephone_event, leg.negotiated.event_rate) == taken
    assert leg.tones_are_keys == (taken[0] is None)
    assert [(event.payload_type, event.rate) for event in answer.events()] == ([taken] if taken[0] else [])


def test_events_of_an_answer_may_have_a_clock_that_is_not_the_codecs() -> None:
    """Some phones answer Opus with events of 8000; they are sent as they are told."""
    leg = description(("opus", "PCMU"))
    leg.offer()
    leg.take_answer(sdp("111 101", OPUS.format(111), EVENTS.format(101, 8000)))
    assert leg.negotiated is not None
    assert (leg.negotiated.telephone_event, leg.negotiated.event_rate) == (101, 8000)
    assert {leg.accepts[101].rate, leg.accepts[110].rate} == {8000, 48000}


# -- how long packets are (RFC 4566 6, RFC 3264 6.1)


@pytest.mark.parametrize(
    ("formats", "lines", "ptime"),
    [
        ("0", (), 20),
        ("0", ("a=ptime:30",), 30),
        ("9", ("a=ptime:10",), 10),
        ("9", ("a=ptime:60", "a=maxptime:40"), 40),
        ("8", ("a=ptime:150",), 60),
        ("111", ("a=ptime:30",), 20),
        ("111", ("a=ptime:50",), 40),
        ("111", ("a=maxptime:10",), 10),
        ("111", ("a=ptime:120",), 60),
    ],
)
def test_packets_are_as_long_as_the_peer_wishes_and_the_answer_says_so(
    formats: str, lines: tuple[str, ...], ptime: int
) -> None:
    leg = description()
    answer = audio(leg.answer(sdp(formats, OPUS.format(111), *lines)))
    assert leg.negotiated is not None
    assert (leg.negotiated.ptime, answer.ptime) == (ptime, ptime)
    assert audio(leg.offer()).ptime == ptime


# -- RTCP by the port of the sound (RFC 5761 5.1, RFC 8035)


def test_rtcp_mux_is_taken_where_it_is_offered_and_we_can() -> None:
    leg = description(rtcp_mux=True)
    answer = audio(leg.answer(sdp("0", "a=rtcp-mux", "a=rtcp:5009")))
    assert leg.negotiated is not None
    assert (answer.rtcp_mux, leg.negotiated.rtcp_mux) == (True, True)
    assert leg.negotiated.rtcp == leg.negotiated.remote == ("192.0.2.1", 5000)
    for ours, line in ((description(), ("a=rtcp-mux",)), (description(rtcp_mux=True), ())):
        assert not audio(ours.answer(sdp("0", *line))).rtcp_mux
        assert ours.negotiated is not None
        assert (ours.negotiated.rtcp_mux, ours.negotiated.rtcp) == (False, ("192.0.2.1", 5001))


def test_numbers_that_look_like_reports_forbid_rtcp_mux() -> None:
    """RFC 5761 4: payload types 64 to 95."""
    leg = description(rtcp_mux=True)
    assert not audio(leg.answer(sdp("72", "a=rtpmap:72 PCMU/8000", "a=rtcp-mux"))).rtcp_mux


def test_a_further_offer_of_ours_keeps_rtcp_mux_and_an_answer_may_end_it() -> None:
    """RFC 8035 3.1: who wants to go on with one port says so again."""
    leg = description(rtcp_mux=True)
    assert not audio(leg.offer()).rtcp_mux
    leg = description(rtcp_mux=True)
    leg.answer(sdp("0", "a=rtcp-mux"))
    assert audio(leg.offer()).rtcp_mux
    for line, taken in ((("a=rtcp-mux",), (True, ("192.0.2.1", 5000))), ((), (False, ("192.0.2.1", 5001)))):
        leg.take_answer(sdp("0", *line))
        assert leg.negotiated is not None
        assert (leg.negotiated.rtcp_mux, leg.negotiated.rtcp) == taken


# -- numbers (RFC 3264 8.3.2: none changes its meaning in a session)


def test_a_number_that_the_peer_uses_is_not_offered_for_something_else() -> None:
    """The peer has Opus by 101, which we should use for telephone events."""
    leg = description()
    leg.answer(sdp("0 101 97", OPUS.format(101), EVENTS.format(97, 8000)))
    line = audio(leg.offer())
    numbers = {(codec.name, codec.rate): codec.payload_type for codec in line.codecs()}
    assert numbers["opus", 48000] == 101
    assert numbers["telephone-event", 8000] == 97
    assert len(set(line.formats)) == len(line.formats)


offers = st.lists(
    st.tuples(
        st.sampled_from(
            ["opus/48000/2", "G722/8000", "L16/16000", "PCMA/8000", "telephone-event/8000", "telephone-event/48000"]
        ),
        st.integers(96, 127),
    ),
    min_size=1,
    max_size=5,
    unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
)


@given(st.lists(offers, min_size=1, max_size=4), st.permutations(ALL))
def test_no_number_of_ours_changes_its_meaning_as_long_as_the_peers_do_not(
    rounds: list[list[tuple[str, int]]], order: list[str]
) -> None:
    leg = description(order)
    meanings: dict[int, str] = {}
    theirs: dict[int, str] = {}
    for said in rounds:
        said = [(name, number) for name, number in said if theirs.setdefault(number, name) == name]
        formats = " ".join(["0", *(str(number) for _, number in said)])
        answer = leg.answer(sdp(formats, *(f"a=rtpmap:{number} {name}" for name, number in said)))
        for line in (audio(answer), audio(leg.offer())):
            assert len(set(line.formats)) == len(line.formats)
            for codec in line.codecs():
                assert meanings.setdefault(codec.payload_type, codec.rtpmap) == codec.rtpmap
                assert theirs.get(codec.payload_type, codec.rtpmap) == codec.rtpmap
                theirs.setdefault(codec.payload_type, codec.rtpmap)


@given(offers, st.permutations(ALL))
def test_what_we_offer_and_take_comes_back_as_the_same_codec(said: list[tuple[str, int]], order: list[str]) -> None:
    """Two of us agree, whoever offers, and each accepts what the other sends."""
    one, other = description(order), description(ALL)
    one.take_answer(other.answer(one.offer()))
    assert one.codec == other.codec
    for sender, taker in ((one, other), (other, one)):
        assert sender.negotiated is not None
        assert taker.accepts[sender.negotiated.payload_type].name == sender.codec
        assert sender.negotiated.telephone_event is not None
        event = taker.accepts[sender.negotiated.telephone_event]
        assert (event.name, event.rate) == ("telephone-event", sender.negotiated.event_rate)
