"""What an answer still says when somebody is erased who may stand in it: nothing of them, in the shape that it had."""

from __future__ import annotations

import json

from callcenter.control.skeleton import skeleton

SECRETS = ("Jana", "4155550101", "1980-02-03", "4711", "gold", "tea")


def test_nothing_of_a_person_stays_and_what_was_done_does() -> None:
    attempt = {"number": 1, "at": "2026-11-30T10:00:00.000Z", "agent": "amy", "detail": "Jana was out"}
    answer = {
        "merged": True,
        "callback": {
            "id": "x-3f0a6f0b9c1d2e3f4a5b",
            "client": "tech",
            "number": "+14155550101",
            "name": "Jana",
            "source": "agent",
            "state": "planned",
            "outcome": "",
            "reason": "wants tea",
            "not_before": "2026-12-01T10:00:00.000Z",
            "not_after": None,
            "attempts": 1,
            "history": [attempt],
        },
        "customer": {
            "id": "c-1",
            "client": "tech",
            "name": "Jana",
            "numbers": ["+14155550101"],
            "agent": "Jana",
            "since": "1980-02-03",
            "born": "1980-02-03T00:00:00Z",
            "fields": {"vip": True, "account": 4711, "state": "gold"},
            "revision": 3,
        },
        "call": "+14155550101",
        "state": "likes tea",
        "fields": {"id": "Jana"},
        "kept": ["+14155550101"],
    }
    told = skeleton(answer)
    assert not [secret for secret in SECRETS if secret in json.dumps(told)]
    assert told == {
        "merged": True,
        "callback": {
            "id": "x-3f0a6f0b9c1d2e3f4a5b",
            "client": "tech",
            "number": "",
            "name": "",
            "source": "agent",
            "state": "planned",
            "outcome": "",
            "reason": "",
            "not_before": "2026-12-01T10:00:00.000Z",
            "not_after": None,
            "attempts": 1,
            "history": [],
        },
        "customer": {
            "id": "c-1",
            "client": "tech",
            "name": "",
            "numbers": [],
            "agent": "",
            "since": "",
            "born": "",
            "fields": {},
            "revision": 3,
        },
        "call": "",
        "state": "",
        "fields": {},
        "kept": [],
    }
