"""Metrics: what the endpoint counts: whole numbers that only grow, added to in passing."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from callcenter.model.spread import Spread

# Methods that are counted by name; a peer may make up any word, and all of these are one.
METHODS = frozenset(
    (
        *("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "REGISTER"),
        *("PRACK", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PUBLISH"),
    )
)
OTHER = "other"
# Reasons of messages that could not be read; a few carry a header's name.
MAX_REASONS = 64
# Upper bounds in seconds: an answer of a phone, of a person, of nobody (64*T1).
BOUNDS = (0.005, 0.02, 0.1, 0.5, 2.0, 8.0, 32.0)

K = TypeVar("K")


class Counter(dict[K, int], Generic[K]):
    """How often each thing happened."""

    def add(self, key: K) -> None:
        """It happened once more."""
        self[key] = self.get(key, 0) + 1


class Metrics:
    """Requests and answers by method and by class of status (2 for 200-299), each way; and what went wrong."""

    __slots__ = (
        "answer_times",
        "late_responses",
        "repeated_by_peers",
        "repeated_by_us",
        "requests_in",
        "requests_out",
        "response_times",
        "responses_in",
        "responses_out",
        "unreadable",
    )

    def __init__(self) -> None:
        # Each once, however often it was repeated.
        self.requests_in: Counter[str] = Counter()
        self.requests_out: Counter[str] = Counter()
        self.responses_in: Counter[tuple[str, int]] = Counter()
        self.responses_out: Counter[tuple[str, int]] = Counter()
        # By the method of the request, also where it is the answer that was repeated.
        self.repeated_by_us: Counter[str] = Counter()
        self.repeated_by_peers: Counter[str] = Counter()
        self.late_responses = 0
        self.unreadable: Counter[str] = Counter()
        # From a request of ours to its final answer, and from a peer's to ours, in seconds.
        self.response_times: dict[str, Spread] = {}
        self.answer_times: dict[str, Spread] = {}

    def request_came(self, method: str) -> None:
        """A request that has no transaction yet."""
        self.requests_in.add(method if method in METHODS else OTHER)

    def answered(self, method: str, status: int) -> None:
        """An answer of ours went out for the first time."""
        self.responses_out.add((method if method in METHODS else OTHER, status // 100))

    def answer_came(self, method: str, status: int) -> None:
        """An answer to a request of ours."""
        self.responses_in.add((method, status // 100))

    def could_not_read(self, reason: str) -> None:
        """A message was no message."""
        self.unreadable.add(reason if reason in self.unreadable or len(self.unreadable) < MAX_REASONS else OTHER)

    @staticmethod
    def time(times: dict[str, Spread], method: str, seconds: float) -> None:
        """Note how long a final answer took."""
        method = method if method in METHODS else OTHER
        if method not in times:
            times[method] = Spread(BOUNDS)
        times[method].add(seconds)

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "requests_in": dict(self.requests_in),
            "requests_out": dict(self.requests_out),
            "responses_in": _by_class(self.responses_in),
            "responses_out": _by_class(self.responses_out),
            "repeated_by_us": dict(self.repeated_by_us),
            "repeated_by_peers": dict(self.repeated_by_peers),
            "late_responses": self.late_responses,
            "unreadable": dict(self.unreadable),
            "response_times": {method: times.plain() for method, times in self.response_times.items()},
            "answer_times": {method: times.plain() for method, times in self.answer_times.items()},
        }


def _by_class(counted: Counter[tuple[str, int]]) -> dict[str, dict[str, int]]:
    told: dict[str, dict[str, int]] = {}
    for (method, hundreds), number in counted.items():
        told.setdefault(method, {})[f"{hundreds}xx"] = number
    return told
