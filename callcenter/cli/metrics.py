"""``callcenter metrics``: what the running switch counts of SIP and of sound, as Prometheus reads it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from callcenter.cli.common import add_switch_arguments, socket_or_tell
from callcenter.control.client import ControlClient, ControlError

Labels = tuple[tuple[str, str], ...]

# Name, what it says, and where it stands in what the switch tells.
_BY_METHOD = (
    ("callcenter_sip_requests_received_total", "Requests of peers, each once.", "requests_in"),
    ("callcenter_sip_requests_sent_total", "Requests of ours, each once.", "requests_out"),
    ("callcenter_sip_retransmissions_sent_total", "Messages that we repeated.", "repeated_by_us"),
    ("callcenter_sip_retransmissions_received_total", "Messages that peers repeated.", "repeated_by_peers"),
)
_BY_CLASS = (
    ("callcenter_sip_responses_received_total", "Answers to requests of ours.", "responses_in"),
    ("callcenter_sip_responses_sent_total", "Answers to requests of peers.", "responses_out"),
)
_TIMES = (
    ("callcenter_sip_response_seconds", "From a request of ours to its final answer.", "response_times"),
    ("callcenter_sip_answer_seconds", "From a peer's request to our final answer.", "answer_times"),
)
# The same of sound; `way` is what came from peers (received), or what they report to have got of ours (sent).
_SPREADS = (
    ("callcenter_media_mos", "Mean opinion score of legs, estimated by the E-model (ITU-T G.107).", "mos"),
    ("callcenter_media_loss_ratio", "Share of a leg's packets that were lost.", "loss"),
    ("callcenter_media_jitter_seconds", "Interarrival jitter of legs (RFC 3550).", "jitter"),
    ("callcenter_media_round_trip_seconds", "Round trip to the peers of legs, by RTCP.", "round_trip"),
)
# Of each worker: name, what it says, where it stands, and in which unit of the one that is told.
_OF_WORKERS = (
    ("up", "Whether it is there.", "alive", 1),
    ("load_ratio", "Share of a core that it uses.", "load", 1),
    ("late_seconds", "By how much nine of ten ticks of the last second were late at most.", "late_ms", 0.001),
    ("worst_late_seconds", "By how much the worst one was.", "worst_late_ms", 0.001),
    ("sessions", "Legs on it.", "sessions", 1),
    ("restarts", "How often it has died and was replaced.", "restarts", 1),
    ("draining", "Whether it takes no new calls.", "draining", 1),
    ("memory_bytes", "What it has in memory.", "memory", 1),
)
_DROPPED = (("over_rate", "over_rate"), ("banned", "banned"))
_NOW = ("transactions", "dialogs", "sessions", "connections", "registrations", "traced_messages")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``metrics``."""
    add_switch_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Look, and write it; exit status 1 when no switch runs."""
    path = socket_or_tell(options)
    if path is None:
        return 1
    with ControlClient(path) as client:
        try:
            told = client.ask("metrics")
        except ControlError as error:
            print(f"callcenter: {error}", file=sys.stderr)
            return 1
    print(json.dumps(told) if options.json else "\n".join(lines(told)))
    return 0


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """The text format of Prometheus, version 0.0.4."""
    for name, about, key in _BY_METHOD:
        yield from _family(name, "counter", about, (((("method", each),), n) for each, n in told[key].items()))
    for name, about, key in _BY_CLASS:
        rows = (
            ((("method", method), ("class", hundreds)), number)
            for method, classes in told[key].items()
            for hundreds, number in classes.items()
        )
        yield from _family(name, "counter", about, rows)
    late = "Answers that belong to no request of ours any more."
    yield from _family("callcenter_sip_late_responses_total", "counter", late, [((), told["late_responses"])])
    unreadable = (((("reason", reason),), number) for reason, number in told["unreadable"].items())
    yield from _family("callcenter_sip_unreadable_total", "counter", "Messages that were none.", unreadable)
    guard = told["guard"]
    dropped = [((("why", why),), guard[key]) for why, key in _DROPPED]
    about = "Messages that the guard did not take; those of connections and known phones are answered 503."
    yield from _family("callcenter_sip_guard_rejected_total", "counter", about, dropped)
    yield from _family(
        "callcenter_sip_guard_answered_503_total", "counter", "Of these, answered 503.", [((), guard["refused"])]
    )
    yield from _family("callcenter_sip_guard_bans_total", "counter", "Bans since the start.", [((), guard["bans"])])
    yield from _family("callcenter_sip_guard_banned", "gauge", "Sources banned now.", [((), guard["bans_now"])])
    for name, about, key in _TIMES:
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} histogram"
        for method, times in told[key].items():
            label = (("method", method),)
            for bound, number in times["up_to"]:
                yield _sample(f"{name}_bucket", (*label, ("le", f"{bound:g}")), number)
            yield _sample(f"{name}_bucket", (*label, ("le", "+Inf")), times["count"])
            yield _sample(f"{name}_sum", label, times["seconds"])
            yield _sample(f"{name}_count", label, times["count"])
    yield from _media(told.get("media", {}))  # an older switch tells none
    for key in _NOW:
        yield from _family(f"callcenter_sip_{key}", "gauge", f"{_words(key)} now.", [((), told["now"][key])])


def _media(media: Mapping[str, Any]) -> Iterator[str]:
    """How legs have sounded, by trunk (empty: phones of our own, and callers without a trunk), and the workers."""
    quality = media.get("quality", {})
    if not media:
        return
    for name, about, key in _SPREADS:
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} histogram"
        for trunk, figures in quality.items():
            for way, spread in figures[key].items() if key != "round_trip" else (("", figures[key]),):
                label = (("trunk", trunk), *((("way", way),) if way else ()))
                yield from _histogram(name, label, spread)
    legs = [((("trunk", trunk),), figures["legs"]) for trunk, figures in quality.items()]
    yield from _family("callcenter_media_legs_total", "counter", "Legs that have ended.", legs)
    one_way = [
        ((("trunk", trunk), ("kind", kind)), number)
        for trunk, figures in quality.items()
        for kind, number in figures["one_way"].items()
    ]
    about = "How often sound went one way only: missing from the beginning, or stopped, unheard, unreported later."
    yield from _family("callcenter_media_one_way_total", "counter", about, one_way)
    bad = [((("trunk", trunk),), int(trunk in media["sounds_bad"])) for trunk in media["trunks"]]
    yield from _family("callcenter_media_trunk_sounds_bad", "gauge", "Whether many calls by it sound bad.", bad)
    for name, about, key, unit in _OF_WORKERS:
        rows = []
        for each in media["workers"]:
            label = (("worker", str(each["worker"])), ("pid", str(each["pid"])))
            rows.append((label, round(each[key] * unit, 6)))
        yield from _family(f"callcenter_media_worker_{name}", "gauge", about, rows)


def _histogram(name: str, label: Labels, spread: Mapping[str, Any]) -> Iterator[str]:
    for bound, number in spread["up_to"]:
        yield _sample(f"{name}_bucket", (*label, ("le", f"{bound:g}")), number)
    yield _sample(f"{name}_bucket", (*label, ("le", "+Inf")), spread["count"])
    yield _sample(f"{name}_sum", label, spread["sum"])
    yield _sample(f"{name}_count", label, spread["count"])


def _family(name: str, kind: str, about: str, rows: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for labels, number in rows:
        yield _sample(name, labels, number)


def _sample(name: str, labels: Labels, number: float) -> str:
    inside = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels)
    return f"{name}{{{inside}}} {number}" if inside else f"{name} {number}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _words(key: str) -> str:
    return key.replace("_", " ").capitalize()
