"""RTCP: compound packets written and read again, hostile ones refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpError,
    SenderReport,
    SourceDescription,
    build_compound,
    middle,
    ntp_time,
    parse_compound,
    round_trip,
)

word = st.integers(0, 0xFFFFFFFF)
blocks = st.lists(
    st.builds(
        ReportBlock,
        ssrc=word,
        fraction_lost=st.integers(0, 255),
        cumulative_lost=st.integers(-0x800000, 0x7FFFFF),
        highest_sequence=word,
        jitter=word,
        last_report=word,
        delay=word,
    ),
    max_size=31,
).map(tuple)
reports = st.one_of(
    st.builds(
        SenderReport,
        ssrc=word,
        ntp=st.integers(0, 2**64 - 1),
        timestamp=word,
        packets=word,
        octets=word,
        blocks=blocks,
    ),
    st.builds(ReceiverReport, ssrc=word, blocks=blocks),
)
names = st.text(min_size=1, max_size=40).filter(lambda name: len(name.encode()) < 256)


@given(reports, word, names, st.lists(word, max_size=31).map(tuple))
def test_what_is_written_is_read(
    report: SenderReport | ReceiverReport, ssrc: int, name: str, sources: tuple[int, ...]
) -> None:
    packets = [report, SourceDescription(ssrc, name), Goodbye(sources)]
    data = build_compound(packets)
    assert len(data) % 4 == 0
    assert parse_compound(data) == packets


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x80\xc9\x00\x01\x00\x00\x00\x01"]))
def test_anything_is_read_or_refused(data: bytes, report: bytes) -> None:
    try:
        parse_compound(report + data)
    except RtcpError:
        pass


def test_unknown_packets_and_padding_are_read_over() -> None:
    app = b"\x80\xcc\x00\x02" + bytes(8)
    goodbye = b"\xa1\xcb\x00\x02\x00\x00\x00\x09" + b"\0\0\0\4"
    report = ReceiverReport(1)
    assert parse_compound(report.to_bytes() + app + goodbye) == [report, Goodbye((9,))]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xca\x00\x00\x00\x00\x00\x00",
        b"\x80\xc9\x00\x05\x00\x00\x00\x01",
        b"\x81\xc9\x00\x01\x00\x00\x00\x01",
        b"\x80\xc8\x00\x01\x00\x00\x00\x01",
        b"\x80\xc9\x00\x00\x80\xc9\x00\x00",
        b"\xa0\xc9\x00\x01\x00\x00\x00\x09",
        b"\xa0\xc9\x00\x01\x00\x00\x00\x00",
    ],
)
def test_broken_packets_are_refused(data: bytes) -> None:
    with pytest.raises(RtcpError):
        parse_compound(data)


def test_the_round_trip_is_told_from_a_report_about_us() -> None:
    sent = ntp_time(1_700_000_000.0)
    assert sent >> 32 == 1_700_000_000 + 2_208_988_800
    block = ReportBlock(1, 0, 0, 0, 0, middle(sent), int(0.5 * 65536))
    assert round_trip(block, middle(ntp_time(1_700_000_000.58))) == pytest.approx(0.08, abs=0.001)
    assert round_trip(block, middle(ntp_time(1_700_000_000.1))) is None
    assert round_trip(ReportBlock(1, 0, 0, 0, 0, 0, 0), 5) is None
