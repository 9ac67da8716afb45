"""Metrics: what Prometheus reads, rendered here and not in the switch, whose loop would stand still for it.

The switch tells plain counts (command ``metrics``). What ended calls came to is counted from the database: each call
that ended since the switch started is read once, so that a desk that was away has missed none.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from callcenter.desk.integrations.breaker import BreakerState
from callcenter.desk.integrations.figures import Figures, State
from callcenter.model.facts import CallEnded, ScreenPopSent, SwitchStarted, TrunkTried
from callcenter.model.spread import Spread
from callcenter.runtime.encoding import from_json
from callcenter.storage.database import Database

# Name without `_total`, what it says, and where it stands in what the switch tells.
_BY_METHOD = (
    ("callcenter_sip_requests_received", "Requests of peers, each once.", "requests_in"),
    ("callcenter_sip_requests_sent", "Requests of ours, each once.", "requests_out"),
    ("callcenter_sip_retransmissions_sent", "Messages that we repeated.", "repeated_by_us"),
    ("callcenter_sip_retransmissions_received", "Messages that peers repeated.", "repeated_by_peers"),
)
_BY_CLASS = (
    ("callcenter_sip_responses_received", "Answers to requests of ours.", "responses_in"),
    ("callcenter_sip_responses_sent", "Answers to requests of peers.", "responses_out"),
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
)
_ROUND_TRIP = "Round trip to the peers of legs, by RTCP."
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

WAITS = (5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0)
"""Seconds in a queue, as service levels are agreed."""
TALKS = (30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1_200.0, 3_600.0)
POPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.3, 1.0)
# Facts read at once, in the reader's thread.
PAGE = 2_000

Labels = tuple[str, ...]


class EndedCalls:
    """What the calls that ended since the switch started came to; :meth:`read` goes on from where it was."""

    def __init__(self) -> None:
        self._seq = 0
        self._started = False
        # Two may ask at once, and each call counts once.
        self._reading = asyncio.Lock()
        self._begin()

    def _begin(self) -> None:
        self.calls: Counter[Labels] = Counter()
        self.visits: Counter[Labels] = Counter()
        self.waits: dict[Labels, Spread] = {}
        self.talks: dict[Labels, Spread] = {}
        self.pops: dict[Labels, Spread] = {}
        self.attempts: Counter[Labels] = Counter()

    async def read(self, reader: Database) -> None:
        """Count the calls that ended since the last time. Raises StorageError."""
        async with self._reading:
            await self._read(reader)

    async def _read(self, reader: Database) -> None:
        # From the end: what lies before this start of the switch is not looked through.
        start = await reader.fetch_all(_START, (_STARTED, self._seq))
        if start:
            # What the switch tells itself begins anew then too.
            self._begin()
            self._seq, self._started = start[0][0], True
        while self._started:
            rows = await reader.fetch_all(_NEWS, (self._seq, _ENDED, _POP, _TRIED, PAGE))
            for seq, kind, body, record in rows:
                self._seq = seq
                if kind == _POP:
                    told = from_json(body)
                    labels = (str(told["acknowledged"]).lower(),)
                    self.pops.setdefault(labels, Spread(POPS)).add(told["took_ms"] / 1000)
                elif kind == _TRIED:
                    told = from_json(body)
                    self.attempts[told["trunk"], f"{told['status'] // 100}xx" if told["status"] else "none"] += 1
                elif record is not None:
                    self._take(from_json(record))
            if len(rows) < PAGE:
                return

    def _take(self, record: Mapping[str, Any]) -> None:
        """Count one ended call, as :meth:`Interaction.plain` writes it."""
        client = record["client"]
        self.calls[client, record["queue"], record["direction"], record["outcome"] or ""] += 1
        for visit in record["visits"]:
            labels = (client, visit["queue"], visit["outcome"] or "")
            self.visits[labels] += 1
            self.waits.setdefault(labels, Spread(WAITS)).add(visit["wait_ms"] / 1000)
        if record["talk_ms"]:
            self.talks.setdefault((client, record["queue"]), Spread(TALKS)).add(record["talk_ms"] / 1000)


_STARTED, _ENDED, _POP = SwitchStarted.__name__, CallEnded.__name__, ScreenPopSent.__name__
_TRIED = TrunkTried.__name__
_START = "SELECT seq FROM facts WHERE kind = ? AND seq > ? ORDER BY seq DESC LIMIT 1"
_NEWS = (
    "SELECT f.seq, f.kind, f.body, i.record FROM facts AS f"
    f" LEFT JOIN interactions AS i ON f.kind = '{_ENDED}' AND i.call_id = f.call_id"
    " WHERE f.seq > ? AND f.kind IN (?, ?, ?) ORDER BY f.seq LIMIT ?"
)


def render(
    told: Mapping[str, Any],
    ended: EndedCalls | None = None,
    beside: Mapping[str, float] | None = None,
    others: Figures | None = None,
) -> str:
    """The text format of Prometheus, version 0.0.4, of what the switch tells, and what ended calls came to.

    ``beside``: further gauges by their names, of what this process knows itself; ``others``: how it goes with other
    people's servers.
    """
    registry = CollectorRegistry()
    registry.register(_Told(told, ended, beside or {}, others or Figures()))
    return generate_latest(registry).decode()


class _Told(Collector):
    """One look, as Prometheus' library asks for it."""

    def __init__(
        self, told: Mapping[str, Any], ended: EndedCalls | None, beside: Mapping[str, float], others: Figures
    ) -> None:
        self._others = others
        self._told = told
        self._ended = ended
        self._beside = beside

    def collect(self) -> Iterator[Metric]:
        if self._told:
            yield from _sip(self._told)
        if media := self._told.get("media"):
            yield from _media(media)
        if floor := self._told.get("floor"):  # an older switch tells none
            yield from _floor(floor)
        if self._ended is not None:
            yield from _calls(self._ended)
        yield from _webhooks(self._others)
        yield from _crms(self._others)
        for name, value in self._beside.items():
            yield _gauge(name, _ABOUT_BESIDE.get(name, ""), (), [((), value)])


def _sip(told: Mapping[str, Any]) -> Iterator[Metric]:
    for name, about, key in _BY_METHOD:
        yield _counter(name, about, ("method",), (((method,), number) for method, number in told[key].items()))
    for name, about, key in _BY_CLASS:
        rows = (
            ((method, hundreds), number)
            for method, classes in told[key].items()
            for hundreds, number in classes.items()
        )
        yield _counter(name, about, ("method", "class"), rows)
    late = "Answers that belong to no request of ours any more."
    yield _counter("callcenter_sip_late_responses", late, (), [((), told["late_responses"])])
    unreadable = (((reason,), number) for reason, number in told["unreadable"].items())
    yield _counter("callcenter_sip_unreadable", "Messages that were none.", ("reason",), unreadable)
    guard = told["guard"]
    about = "Messages that the guard did not take; those of connections and known phones are answered 503."
    dropped = [((why,), guard[key]) for why, key in _DROPPED]
    yield _counter("callcenter_sip_guard_rejected", about, ("why",), dropped)
    yield _counter("callcenter_sip_guard_answered_503", "Of these, answered 503.", (), [((), guard["refused"])])
    yield _counter("callcenter_sip_guard_bans", "Bans since the start.", (), [((), guard["bans"])])
    yield _gauge("callcenter_sip_guard_banned", "Sources banned now.", (), [((), guard["bans_now"])])
    for name, about, key in _TIMES:
        # An older switch tells the sum as `seconds`.
        times = [((method,), {"sum": each.get("seconds"), **each}) for method, each in told[key].items()]
        yield _histogram(name, about, ("method",), times)
    for key in _NOW:
        yield _gauge(
            f"callcenter_sip_{key}", f"{key.replace('_', ' ').capitalize()} now.", (), [((), told["now"][key])]
        )


def _media(media: Mapping[str, Any]) -> Iterator[Metric]:
    """How legs have sounded, by trunk (empty: phones of our own, and callers without a trunk), and the workers."""
    quality = media["quality"]
    for name, about, key in _SPREADS:
        rows = [((trunk, way), spread) for trunk, each in quality.items() for way, spread in each[key].items()]
        yield _histogram(name, about, ("trunk", "way"), rows)
    trips = [((trunk,), each["round_trip"]) for trunk, each in quality.items()]
    yield _histogram("callcenter_media_round_trip_seconds", _ROUND_TRIP, ("trunk",), trips)
    legs = [((trunk,), each["legs"]) for trunk, each in quality.items()]
    yield _counter("callcenter_media_legs", "Legs that have ended.", ("trunk",), legs)
    about = "How often sound went one way only: missing from the beginning, or stopped, unheard, unreported later."
    one_way = [((trunk, kind), number) for trunk, each in quality.items() for kind, number in each["one_way"].items()]
    yield _counter("callcenter_media_one_way", about, ("trunk", "kind"), one_way)
    bad = [((trunk,), int(trunk in media["sounds_bad"])) for trunk in media["trunks"]]
    yield _gauge("callcenter_media_trunk_sounds_bad", "Whether many calls by it sound bad.", ("trunk",), bad)
    for name, about, key, unit in _OF_WORKERS:
        rows_of = [((str(each["worker"]), str(each["pid"])), round(each[key] * unit, 6)) for each in media["workers"]]
        yield _gauge(f"callcenter_media_worker_{name}", about, ("worker", "pid"), rows_of)


def _floor(floor: Mapping[str, Any]) -> Iterator[Metric]:
    """The floor as it is now."""
    yield _info("callcenter_build_info", "The version of the switch.", {"version": floor["version"]})
    yield _info("callcenter_config_info", "The configuration in force.", {"revision": floor["revision"]})
    for name, about, key in (
        ("callcenter_start_time_seconds", "When the switch started, in seconds since 1970.", "started_at"),
        ("callcenter_config_load_time_seconds", "When the configuration was put in force.", "loaded_at"),
    ):
        yield _gauge(name, about, (), [((), _instant(floor[key]))])
    certificates = [
        ((each["file"], str(each["self_made"]).lower()), _instant(each["ends_at"]))
        for each in floor.get("certificates", ())  # an older switch tells none
    ]
    about = "When a certificate that SIP over TLS shows ends, in seconds since 1970."
    yield _gauge("callcenter_certificate_not_after_time_seconds", about, ("file", "self_made"), certificates)
    about = "Whether calls should be sent to the switch, as /readyz has it."
    yield _gauge("callcenter_ready", about, (), [((), int(floor["ready"]))])
    yield _gauge("callcenter_draining", "Whether it takes no more.", (), [((), int(floor["draining"]))])
    calls = [((direction,), number) for direction, number in floor["calls"].items()]
    yield _gauge("callcenter_calls_active", "Calls that are up.", ("direction",), calls)
    yield _gauge("callcenter_callbacks_pending", "People to be called back.", (), [((), floor["callbacks"])])
    queues = floor["queues"]
    for name, about, key in (
        ("callcenter_queue_waiting", "Who waits, callbacks included.", "waiting"),
        ("callcenter_queue_callbacks", "Of these, who is called back at their turn.", "callbacks"),
        ("callcenter_queue_longest_wait_seconds", "How long the first of them has.", "longest_s"),
        ("callcenter_queue_agents_ready", "Agents who may be rung for it now.", "ready"),
        ("callcenter_queue_agents_signed_in", "Agents who are signed in and may serve it.", "signed_in"),
    ):
        rows = [((each["client"], each["queue"]), each[key]) for each in queues]
        yield _gauge(name, about, ("client", "queue"), rows)
    levels = [
        ((each["client"], each["queue"], f"{each['threshold_s']:g}"), each["service_level"])
        for each in queues
        if each["service_level"] is not None
    ]
    about = "Share of today's callers who were answered in time, as the report has it."
    yield _gauge("callcenter_service_level_ratio", about, ("client", "queue", "threshold_s"), levels)
    agents = [((state,), number) for state, number in floor["agents"].items()]
    yield _gauge("callcenter_agents", "Agents by what they are at.", ("state",), agents)
    trunks = floor["trunks"]
    up = [((each["trunk"],), int(each["up"])) for each in trunks if each["up"] is not None]
    yield _gauge("callcenter_trunk_up", "Whether calls can go by it.", ("trunk",), up)
    lines = [((each["trunk"],), each["calls"]) for each in trunks]
    yield _gauge("callcenter_trunk_calls", "Calls that it carries.", ("trunk",), lines)
    limits = [((each["trunk"],), each["max_calls"]) for each in trunks if each["max_calls"]]
    yield _gauge("callcenter_trunk_calls_limit", "Calls that it may carry.", ("trunk",), limits)
    mqtt, database, recordings = floor["mqtt"], floor["database"], floor["recordings"]
    yield _gauge("callcenter_mqtt_connected", "Whether there is a broker.", (), [((), int(mqtt["connected"]))])
    yield _gauge("callcenter_mqtt_queue_length", "Facts that it has not taken yet.", (), [((), mqtt["waiting"])])
    yield _counter("callcenter_pops_sent", "Screen pops that went to it.", (), [((), mqtt["pops_sent"])])
    yield _gauge("callcenter_db_healthy", "Whether facts can be written.", (), [((), int(database["healthy"]))])
    yield _gauge("callcenter_db_waiting", "Facts that are not written yet.", (), [((), database["waiting"])])
    about = "How long the oldest of these has waited."
    yield _gauge("callcenter_db_waiting_seconds", about, (), [((), database.get("waiting_s", 0))])
    yield _counter("callcenter_db_lost", "Facts that never will be.", (), [((), database["lost"])])
    yield _counter("callcenter_facts", "Facts in the log.", (), [((), database["facts"])])
    yield _gauge("callcenter_recordings_active", "Talks that are recorded.", (), [((), recordings["recording"])])
    yield _counter("callcenter_recording_failures", "Recordings that failed.", (), [((), recordings["failures"])])
    if recordings["free"] is not None:
        about = "Room where recordings are."
        yield _gauge("callcenter_recordings_free_bytes", about, (), [((), recordings["free"])])
    yield _histogram(
        "callcenter_loop_lag_seconds", "How late the switch's loop is to its timers.", (), [((), floor["lag"])]
    )


def _calls(ended: EndedCalls) -> Iterator[Metric]:
    """What ended calls came to since the switch started."""
    of_calls, labels = ("client", "queue", "direction", "outcome"), ("client", "queue", "outcome")
    yield _counter("callcenter_calls", "Calls that have ended, by the last queue.", of_calls, ended.calls.items())
    yield _counter("callcenter_queue_visits", "Visits to queues that have ended.", labels, ended.visits.items())
    about = "Attempts to call by a trunk, by the class of the final answer; none: there was no answer."
    yield _counter("callcenter_trunk_attempts", about, ("trunk", "class"), ended.attempts.items())
    about = "How long these visits waited."
    yield _histogram("callcenter_queue_wait_seconds", about, labels, _plain(ended.waits))
    yield _histogram("callcenter_talk_seconds", "How long was talked.", ("client", "queue"), _plain(ended.talks))
    about = "From an offer to the broker's word for its screen pop, or to the end of waiting for it."
    yield _histogram("callcenter_pop_delay_seconds", about, ("acknowledged",), _plain(ended.pops))


def _webhooks(figures: Figures) -> Iterator[Metric]:
    """How it goes with those who are told of events."""
    labels, hooks = ("client", "webhook"), figures.webhooks
    if not hooks:
        return
    states = [((each.client, each.webhook, state.value), int(each.state == state)) for each in hooks for state in State]
    yield _gauge("callcenter_webhook_state", "1 of the state that it is in.", (*labels, "state"), states)
    for name, about, values in (
        ("pending", "Deliveries that wait.", [each.pending for each in hooks]),
        ("given_up", "Deliveries that were given up, and may be replayed.", [each.given_up for each in hooks]),
        ("oldest_pending_seconds", "How long the first of them has waited.", [each.oldest_s for each in hooks]),
        ("failures", "Attempts that failed since the last that did not.", [each.failures for each in hooks]),
    ):
        rows = [((each.client, each.webhook), value) for each, value in zip(hooks, values, strict=True)]
        yield _gauge(f"callcenter_webhook_{name}", about, labels, rows)
    attempts = [(("delivered",), figures.sent), (("failed",), figures.failed)]
    yield _counter("callcenter_webhook_attempts", "Attempts since the desk began.", ("result",), attempts)


def _crms(figures: Figures) -> Iterator[Metric]:
    """How it goes with CRMs that are asked who calls; counted since the desk began."""
    crms = figures.crms
    if not crms:
        return
    results = [
        ((each.client, result), number)
        for each in crms
        for result, number in (
            ("found", each.tally.found),
            ("nobody", each.tally.nobody),
            ("from_cache", each.tally.remembered),
            ("timed_out", each.tally.timed_out),
            ("failed", each.tally.failed - each.tally.timed_out),
            ("left_out", each.tally.left_out),
        )
    ]
    about = "What came of asking; left out while the breaker was open, or too many questions were under way."
    yield _counter("callcenter_crm_lookups", about, ("client", "result"), results)
    states = [((each.client, state), int(each.state == state)) for each in crms for state in (*BreakerState, "unused")]
    yield _gauge("callcenter_crm_breaker", "1 of the state that it is in.", ("client", "state"), states)
    opened = [((each.client,), each.tally.opened) for each in crms]
    yield _counter("callcenter_crm_breaker_opened", "How often it opened.", ("client",), opened)
    under_way = [((each.client,), each.under_way) for each in crms]
    yield _gauge("callcenter_crm_under_way", "Questions under way.", ("client",), under_way)
    took = [((each.client,), each.tally.took.plain()) for each in crms]
    yield _histogram("callcenter_crm_answer_seconds", "How long answers took.", ("client",), took)


_ABOUT_BESIDE = {
    "callcenter_db_wal_bytes": "The write-ahead log of the database.",
    "callcenter_db_bytes": "The database.",
    "callcenter_data_free_bytes": "Room on the disk of the database.",
    "callcenter_last_backup_time_seconds": "When the last backup was made, in seconds since 1970.",
    "callcenter_switch_up": "Whether the switch answers the desk.",
    "callcenter_desk_db_readable": "Whether the desk can read the database; else calls that ended are not counted.",
    "callcenter_desk_facts_behind": "Facts that are written and that the desk has not come to yet.",
}


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _plain(spreads: Mapping[Labels, Spread]) -> Iterator[tuple[Labels, Mapping[str, Any]]]:
    return ((labels, spread.plain()) for labels, spread in spreads.items())


def _counter(name: str, about: str, labels: Labels, rows: Iterable[tuple[Labels, float]]) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _gauge(name: str, about: str, labels: Labels, rows: Iterable[tuple[Labels, float]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _info(name: str, about: str, values: Mapping[str, str]) -> Metric:
    return _gauge(name, about, tuple(values), [(tuple(values.values()), 1)])


def _histogram(name: str, about: str, labels: Labels, rows: Iterable[tuple[Labels, Mapping[str, Any]]]) -> Metric:
    family = HistogramMetricFamily(name, about, labels=labels)
    for values, spread in rows:
        buckets = [(f"{bound:g}", number) for bound, number in spread["up_to"]]
        family.add_metric(values, [*buckets, ("+Inf", spread["count"])], sum_value=spread["sum"])
    return family
