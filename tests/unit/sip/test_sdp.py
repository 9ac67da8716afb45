"""Session descriptions: read, written, negotiated (RFC 4566, 3264, 3605, 4733)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.sip.errors import SdpError, SdpNotAcceptable
from callcenter.sip.sdp import (
    MAX_LINES,
    MAX_MEDIA,
    MAX_SDP,
    PCMA,
    PCMU,
    Attributes,
    Codec,
    Direction,
    MediaDescription,
    Negotiated,
    Origin,
    SessionDescription,
    make_offer,
    negotiate,
    read_answer,
)
from tests.unit.sip import torture

G722 = Codec("G722", 9)
HERE = "198.51.100.7"

words = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=8)
values = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\r\n\x85\u2028\u2029"), min_size=1, max_size=15
).map(lambda text: text.strip() or "x")
addresses = st.ip_addresses().map(str)
numbers = st.integers(0, 2**63)


def _in_order(others: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(others, key=lambda other: "iuepbrzk".index(other[0])))


@st.composite
def attributes(draw: st.DrawFn) -> Attributes:
    return tuple(draw(st.lists(st.tuples(words, st.none() | values), max_size=4)))


media = st.builds(
    MediaDescription,
    kind=st.sampled_from(["audio", "video", "image", "message"]),
    port=st.integers(0, 65535),
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVP", "udptl", "TCP/MSRP"]),
    formats=st.lists(words, min_size=1, max_size=5).map(tuple),
    connection=st.none() | addresses,
    attributes=attributes(),
    port_count=st.integers(1, 9),
    others=st.lists(st.tuples(st.sampled_from("ibk"), values), max_size=3).map(_in_order),
)
descriptions = st.builds(
    SessionDescription,
    origin=st.builds(Origin, session_id=numbers, version=numbers, address=addresses, username=words),
    media=st.lists(media, max_size=4).map(tuple),
    connection=st.none() | addresses,
    attributes=attributes(),
    name=values.filter(bool),
    times=st.lists(values, min_size=1, max_size=2).map(tuple),
    others=st.lists(st.tuples(st.sampled_from("iuepbrzk"), values), max_size=3).map(_in_order),
)


def offer(text: str, *, address: str = "192.0.2.1") -> SessionDescription:
    """A description with these lines after the session's usual ones."""
    family = "IP6" if ":" in address else "IP4"
    head = f"v=0\no=- 1 1 IN {family} {address}\ns=-\nc=IN {family} {address}\nt=0 0\n"
    return SessionDescription.parse(torture.crlf(head + text.strip() + "\n"))


def answered(description: SessionDescription, **more: object) -> Negotiated:
    """Our answer to an offer, read back from its octets."""
    settings = {"host": HERE, "port": 40000, "session_id": 9} | more
    result = negotiate(description, (PCMU, PCMA), **settings)  # type: ignore[arg-type]
    assert SessionDescription.parse(result.description.to_bytes()) == result.description
    assert len(result.description.media) == len(description.media)
    return result


# -- reading and writing


@given(descriptions)
def test_a_description_reads_back_as_itself(description: SessionDescription) -> None:
    assert SessionDescription.parse(description.to_bytes()) == description


@given(st.binary(max_size=200), descriptions, st.integers(0, 400))
def test_any_octets_raise_nothing_but_sdp_errors(noise: bytes, description: SessionDescription, at: int) -> None:
    whole = description.to_bytes()
    for data in (noise, b"v=0\r\n" + noise, whole[:at] + noise + whole[at:], whole[:at]):
        try:
            read = SessionDescription.parse(data)
        except SdpError:
            continue
        assert SessionDescription.parse(read.to_bytes()) == read
        try:
            answered(read)
        except (SdpError, SdpNotAcceptable):
            pass


def test_a_phones_description_is_read() -> None:
    read = SessionDescription.parse(
        b"v=0\r\no=ana 53655765 2353687637 IN IP4 192.0.2.1\r\ns= \r\ni=x\r\nc=IN IP4 192.0.2.1\r\nb=AS:84\r\n"
        b"t=0 0\r\na=tool:phone\r\na=recvonly\r\nm=audio 49172/2 RTP/AVP 96 0 8 101\r\nc=IN IP4 192.0.2.2/127\r\n"
        b"b=TIAS:64000\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\n"
        b"a=ptime:20\r\na=maxptime:60.0\r\n"
    )
    assert read.origin == Origin(53655765, 2353687637, "192.0.2.1", "ana")
    (audio,) = read.media
    assert (audio.port, audio.port_count, audio.connection) == (49172, 2, "192.0.2.2")
    assert audio.codec("96") == Codec("opus", 96, 48000, 2, "useinbandfec=1")
    assert [codec.name for codec in audio.codecs()] == ["opus", "PCMU", "PCMA", "telephone-event"]
    assert (audio.telephone_event(8000), audio.telephone_event(48000)) == (101, None)
    assert (audio.ptime, audio.maxptime, audio.direction) == (20, 60, None)
    assert read.direction_of(audio) is Direction.RECVONLY
    assert read.address_of(audio) == "192.0.2.2"


def test_sloppy_descriptions_are_borne() -> None:
    read = SessionDescription.parse(
        b"v=0\no=- abc def IN IP4 h.example\nc=IN IP4 h.example\nm=audio 5000 RTP/AVP 0 \na=sendonly \n\nx=odd\n"
    )
    assert (read.origin.session_id, read.name, read.times) == (0, "-", ("0 0",))
    assert read.media[0].formats == ("0",)
    assert read.direction_of(read.media[0]) is Direction.SENDONLY
    assert SessionDescription.parse(b"v=0\r\ns=Jos\xe9\r\n").name == "José"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"v=1\r\n",
        b"o=- 1 1 IN IP4 h\r\n",
        b"v=0\r\no=x\r\n",
        b"v=0\r\nc=IN IP4\r\n",
        b"v=0\r\nc=IN IP4 <x>\r\n",
        b"v=0\r\nc=IN IP6 2001::zz\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nm=audio 1 RTP/AVP\r\n",
        b"v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio -1 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio 1/x RTP/AVP 0\r\n",
        b"v=0\r\nm =audio 1 RTP/AVP 0\r\n",
        b"v=0\r\ngarbage\r\n",
        b"v=0\r\nm=audio 1 RTP/AVP" + b" 0" * 65 + b"\r\n",
        b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * (MAX_MEDIA + 1),
        b"v=0\r\n" + b"a=x\r\n" * MAX_LINES,
        b"v=0\r\n" + b"a" * MAX_SDP,
    ],
)
def test_what_is_no_description_is_refused(data: bytes) -> None:
    with pytest.raises(SdpError):
        SessionDescription.parse(data)


def test_a_line_end_in_a_value_is_our_own_mistake() -> None:
    for name in ("a\r\nm=x", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line end"):
            SessionDescription(Origin(1, 1, "h"), name=name).to_bytes()


# -- answering


def test_the_first_codec_of_the_offer_that_we_have_is_taken() -> None:
    for formats, codec in (("0 8", PCMU), ("8 0", PCMA), ("9 18 8", PCMA), ("0", PCMU)):
        result = answered(offer(f"m=audio 5000 RTP/AVP {formats}"))
        assert result.codec == codec
        assert result.description.media[0].formats == (str(codec.payload_type),)
        assert result.remote == ("192.0.2.1", 5000)
        assert result.rtcp == ("192.0.2.1", 5001)


def test_the_wish_for_a_codec_is_followed_where_it_is_offered() -> None:
    assert answered(offer("m=audio 5000 RTP/AVP 0 8"), prefer=PCMA).codec == PCMA
    assert answered(offer("m=audio 5000 RTP/AVP 0"), prefer=PCMA).codec == PCMU


def test_codecs_are_known_by_name_not_by_number() -> None:
    result = answered(offer("m=audio 5000 RTP/AVP 0 96 97\na=rtpmap:0 speex/8000\na=rtpmap:97 pcma/8000/1"))
    assert (result.codec.name, result.payload_type, result.receive_payload_type) == ("PCMA", 97, 97)
    assert result.description.media[0].formats == ("97",)


@pytest.mark.parametrize("number", [96, 100, 101, 127])
def test_telephone_events_are_taken_by_any_payload_type(number: int) -> None:
    result = answered(
        offer(f"m=audio 5000 RTP/AVP 0 {number}\na=rtpmap:{number} Telephone-Event/8000\na=fmtp:{number} 0-16")
    )
    assert (result.telephone_event, result.receive_telephone_event) == (number, number)
    audio = result.description.media[0]
    assert audio.formats == ("0", str(number))
    assert audio.telephone_event(8000) == number
    assert audio.fmtp(str(number)) == "0-15"


def test_telephone_events_are_only_answered_when_offered_at_the_codecs_rate() -> None:
    assert answered(offer("m=audio 5000 RTP/AVP 0")).telephone_event is None
    both = offer(
        "m=audio 5000 RTP/AVP 0 100 101\na=rtpmap:100 telephone-event/48000\na=rtpmap:101 telephone-event/8000"
    )
    assert answered(both).telephone_event == 101


def test_every_line_is_answered_and_video_is_refused() -> None:
    result = answered(
        offer(
            "m=video 6000 RTP/AVP 31 34\na=rtpmap:31 H261/90000\nm=audio 5000 RTP/AVP 0\nm=audio 5002 RTP/AVP 8\n"
            "m=application 7000 TCP/BFCP *\nm=audio 0 RTP/AVP 0"
        )
    )
    assert [(line.kind, line.port) for line in result.description.media] == [
        ("video", 0),
        ("audio", 40000),
        ("audio", 0),
        ("application", 0),
        ("audio", 0),
    ]
    assert result.description.media[0].formats == ("31", "34")
    assert b"m=application 0 TCP/BFCP *\r\n" in result.description.to_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "m=audio 5000 RTP/AVP 9 18",
        "m=audio 5000 RTP/AVP 101\na=rtpmap:101 telephone-event/8000",
        "m=audio 5000 RTP/SAVP 0",
        "m=audio 0 RTP/AVP 0",
        "m=video 5000 RTP/AVP 0",
        "m=audio 5000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127",
        "m=audio 5000 RTP/AVP 0\nc=IN IP4 255.255.255.255",
        "a=nothing",
    ],
)
def test_an_offer_without_common_ground_is_488(text: str) -> None:
    with pytest.raises(SdpNotAcceptable) as refused:
        answered(offer(text))
    assert refused.value.status == 488


def test_an_offer_without_an_address_makes_no_sense() -> None:
    with pytest.raises(SdpError):
        answered(SessionDescription.parse(b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 5000 RTP/AVP 0\r\n"))


def test_a_plain_line_is_taken_where_a_secure_one_comes_first() -> None:
    result = answered(offer("m=audio 5000 RTP/SAVP 0\nm=audio 5002 RTP/AVP 0"))
    assert [line.port for line in result.description.media] == [0, 40000]
    assert result.remote == ("192.0.2.1", 5002)


@pytest.mark.parametrize(
    ("said", "answer", "holds"),
    [
        ("sendrecv", Direction.SENDRECV, False),
        ("sendonly", Direction.RECVONLY, True),
        ("recvonly", Direction.SENDONLY, False),
        ("inactive", Direction.INACTIVE, True),
    ],
)
@pytest.mark.parametrize("level", ["session", "media"])
def test_directions_are_answered(said: str, answer: Direction, holds: bool, level: str) -> None:
    lines = [f"a={said}", "m=audio 5000 RTP/AVP 0"]
    result = answered(offer("\n".join(lines if level == "session" else lines[::-1])))
    assert (result.direction, result.remote_holds) == (answer, holds)
    assert result.description.direction_of(result.description.media[0]) is answer
    assert result.remote == ("192.0.2.1", 5000)


def test_our_wish_narrows_the_direction() -> None:
    both = offer("m=audio 5000 RTP/AVP 0")
    assert answered(both, direction=Direction.SENDONLY).direction is Direction.SENDONLY
    assert answered(both, direction=Direction.INACTIVE).direction is Direction.INACTIVE
    held = offer("m=audio 5000 RTP/AVP 0\na=sendonly")
    assert answered(held, direction=Direction.SENDONLY).direction is Direction.INACTIVE


@pytest.mark.parametrize("nowhere", ["0.0.0.0", "::"])
def test_the_address_nowhere_is_a_hold(nowhere: str) -> None:
    result = answered(offer("m=audio 5000 RTP/AVP 0", address=nowhere))
    assert result.remote_holds
    assert (result.remote, result.rtcp) == (None, None)
    assert result.direction is Direction.RECVONLY


def test_the_address_of_the_line_goes_before_the_sessions() -> None:
    assert answered(offer("m=audio 5000 RTP/AVP 0\nc=IN IP4 192.0.2.99")).remote == ("192.0.2.99", 5000)


def test_ipv6_is_answered_in_kind() -> None:
    result = answered(offer("m=audio 5000 RTP/AVP 0", address="2001:db8::1"), host="2001:db8::2")
    assert result.remote == ("2001:db8::1", 5000)
    wire = result.description.to_bytes()
    assert b"o=- 9 0 IN IP6 2001:db8::2\r\n" in wire
    assert b"c=IN IP6 2001:db8::2\r\n" in wire


@pytest.mark.parametrize(
    ("attribute", "rtcp"),
    [
        ("53020", ("192.0.2.1", 53020)),
        ("53020 IN IP4 192.0.2.5", ("192.0.2.5", 53020)),
        ("0", ("192.0.2.1", 5001)),
        ("x", ("192.0.2.1", 5001)),
        ("53020 IN IP4 <x>", ("192.0.2.1", 53020)),
        ("53020 IN IP4 224.0.0.1", None),
    ],
)
def test_rtcp_goes_where_the_attribute_says(attribute: str, rtcp: tuple[str, int] | None) -> None:
    assert answered(offer(f"m=audio 5000 RTP/AVP 0\na=rtcp:{attribute}")).rtcp == rtcp


def test_our_own_rtcp_port_is_told_only_when_it_is_not_the_next() -> None:
    plain = answered(offer("m=audio 5000 RTP/AVP 0\na=rtcp-mux"), rtcp_port=40001).description.media[0]
    assert (plain.attribute("rtcp"), plain.attribute("rtcp-mux")) == (None, None)
    assert answered(offer("m=audio 5000 RTP/AVP 0"), rtcp_port=40005).description.media[0].attribute("rtcp") == "40005"
    assert answered(offer("m=audio 65535 RTP/AVP 0")).rtcp is None


@pytest.mark.parametrize(
    ("lines", "ptime"),
    [
        ("", 20),
        ("a=ptime:30", 30),
        ("a=ptime:25", 20),
        ("a=ptime:5", 10),
        ("a=ptime:400", 60),
        ("a=ptime:x", 20),
        ("a=ptime:0", 20),
        ("a=ptime:20.0", 20),
        ("a=maxptime:10", 10),
        ("a=ptime:40\na=maxptime:30", 30),
    ],
)
def test_packets_are_as_long_as_the_peer_wishes_within_reason(lines: str, ptime: int) -> None:
    assert answered(offer(f"m=audio 5000 RTP/AVP 0\n{lines}".strip())).ptime == ptime


# -- versions


def test_the_version_grows_by_one_with_every_change_and_only_then() -> None:
    hello = offer("m=audio 5000 RTP/AVP 0")
    first = answered(hello, version=3).description
    again = answered(hello, session_id=77, previous=first).description
    assert again == first
    held = answered(offer("m=audio 5000 RTP/AVP 0\na=sendonly"), previous=first).description
    assert (held.origin.session_id, held.origin.version) == (9, 4)
    resumed = answered(hello, previous=held).description
    assert resumed.origin.version == 5


def test_a_further_offer_keeps_the_lines_and_the_numbers() -> None:
    peers = offer(
        "m=video 6000 RTP/AVP 31\nm=audio 5000 RTP/AVP 97 100\na=rtpmap:97 PCMA/8000\na=rtpmap:100 telephone-event/8000"
    )
    ours = answered(peers, version=3).description
    again = make_offer((PCMU, PCMA), host=HERE, port=40000, session_id=1, direction=Direction.SENDONLY, previous=ours)
    assert (again.origin.session_id, again.origin.version) == (9, 4)
    assert [(line.kind, line.port) for line in again.media] == [("video", 0), ("audio", 40000)]
    assert again.media[1].formats == ("0", "97", "100")
    assert again.direction_of(again.media[1]) is Direction.SENDONLY
    assert (
        make_offer((PCMU, PCMA), host=HERE, port=40000, session_id=1, direction=Direction.SENDONLY, previous=again)
        == again
    )


def test_a_further_offer_stays_on_the_line_in_use() -> None:
    ours = answered(offer("m=audio 5002 RTP/SAVP 0\nm=audio 5000 RTP/AVP 0")).description
    again = make_offer((PCMU,), host=HERE, port=40000, session_id=1, previous=ours)
    assert [line.port for line in again.media] == [0, 40000]
    assert read_answer(again, offer("m=audio 0 RTP/SAVP 0\nm=audio 5000 RTP/AVP 0")).remote == ("192.0.2.1", 5000)


# -- offering


def test_our_offer_is_plain() -> None:
    assert make_offer((PCMA, PCMU), host=HERE, port=40000, session_id=5).to_bytes() == torture.crlf(
        f"v=0\no=- 5 0 IN IP4 {HERE}\ns=-\nc=IN IP4 {HERE}\nt=0 0\nm=audio 40000 RTP/AVP 8 0 101\n"
        "a=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n"
        "a=ptime:20\na=sendrecv\n"
    )


OURS = make_offer((PCMU, PCMA), host=HERE, port=40000, session_id=5)


def test_the_answer_to_our_offer_is_read() -> None:
    result = read_answer(OURS, offer("m=audio 5000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\na=ptime:30"))
    assert (result.codec, result.payload_type, result.telephone_event) == (PCMA, 8, 101)
    assert (result.remote, result.direction, result.remote_holds) == (("192.0.2.1", 5000), Direction.SENDRECV, False)
    assert (result.description, result.ptime) == (OURS, 30)


def test_the_answer_may_use_numbers_of_its_own() -> None:
    result = read_answer(
        OURS,
        offer("m=audio 5000 RTP/AVP 96 97\na=rtpmap:96 PCMU/8000\na=rtpmap:97 telephone-event/8000"),
    )
    assert (result.payload_type, result.receive_payload_type) == (96, 0)
    assert (result.telephone_event, result.receive_telephone_event) == (97, 101)


def test_an_answer_without_rtpmap_means_the_offers() -> None:
    opus = Codec("opus", 96, 48000, 2)
    proposal = make_offer((opus,), host=HERE, port=40000, session_id=5, telephone_event=None)
    assert read_answer(proposal, offer("m=audio 5000 RTP/AVP 96")).codec == opus


def test_an_answer_without_telephone_events_means_none() -> None:
    result = read_answer(OURS, offer("m=audio 5000 RTP/AVP 0"))
    assert (result.telephone_event, result.receive_telephone_event) == (None, 101)


def test_the_answer_to_a_hold_of_ours() -> None:
    hold = make_offer((PCMU,), host=HERE, port=40000, session_id=5, direction=Direction.SENDONLY)
    result = read_answer(hold, offer("m=audio 5000 RTP/AVP 0\na=recvonly"))
    assert (result.direction, result.remote_holds) == (Direction.SENDONLY, False)
    assert read_answer(hold, offer("m=audio 5000 RTP/AVP 0")).direction is Direction.SENDONLY
    gone = read_answer(hold, offer("m=audio 5000 RTP/AVP 0\na=inactive"))
    assert (gone.direction, gone.remote_holds) == (Direction.INACTIVE, True)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("m=audio 0 RTP/AVP 0", SdpNotAcceptable),
        ("m=audio 5000 RTP/AVP 9", SdpNotAcceptable),
        ("m=audio 5000 RTP/AVP 101\na=rtpmap:101 telephone-event/8000", SdpNotAcceptable),
        ("m=audio 5000 RTP/SAVP 0", SdpError),
        ("m=video 5000 RTP/AVP 0", SdpError),
        ("a=x", SdpError),
        ("m=audio 5000 RTP/AVP 0\nm=audio 5002 RTP/AVP 0", SdpError),
        ("m=audio 5000 RTP/AVP 0\nc=IN IP4 239.0.0.1", SdpError),
    ],
)
def test_an_answer_that_does_not_fit_is_told(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_answer(OURS, offer(text))


@given(st.permutations([PCMU, PCMA, G722]), st.permutations([PCMA, PCMU, G722]), st.sampled_from(list(Direction)))
def test_two_of_us_always_agree(mine: list[Codec], theirs: list[Codec], direction: Direction) -> None:
    """Both sides of a negotiation see the same codec, numbers and opposite directions."""
    proposal = make_offer(mine, host="192.0.2.1", port=5000, session_id=1, direction=direction)
    answer = negotiate(proposal, theirs, host="192.0.2.2", port=6000, session_id=2)
    seen = read_answer(proposal, answer.description)
    assert seen.codec.same_as(answer.codec)
    assert (seen.payload_type, seen.telephone_event) == (answer.receive_payload_type, answer.receive_telephone_event)
    assert (answer.remote, seen.remote) == (("192.0.2.1", 5000), ("192.0.2.2", 6000))
    assert (seen.direction.sends, seen.direction.receives) == (answer.direction.receives, answer.direction.sends)
