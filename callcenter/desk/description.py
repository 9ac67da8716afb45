"""Description: the OpenAPI document, with all that who writes a program against the desk cannot guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from callcenter.desk.commands import HEADER, LONGEST_KEY
from callcenter.desk.problems import MEDIA_TYPE, PROBLEMS

ABOUT = """
Everything that people and programs do with this call centre: calls, customers, notes, follow-ups, callbacks, agents.

**Who asks.** A program sends `Authorization: Bearer cct_...`, a token of `callcenter token create` or `POST /tokens`.
It has a role (agent, supervisor, admin, client), the companies that it sees, and scopes; `GET /me` tells them. A page
signs in by `POST /session`, and sends `X-CSRF-Token` with whatever changes something. What belongs to a company that
you do not see is answered as what there is not: 404.

**Once.** Send `Idempotency-Key`, a new one for each thing that is to be done: the same request again, after a lost
connection too, is answered as the first time, and nothing is done twice. Another request under a used key is a 409.

**Errors** are `application/problem+json` (RFC 9457): `detail` is one sentence for people, `reason` the same for
programs (`invalid`, `forbidden`, `not_found`, `conflict`, `too_many`, `unavailable`), `field` what is wrong. After 429
and 503 ask again in `Retry-After` seconds.

**Lists** come in pages: ask again with `after` set to `next`, until it is null.

**Changes of what others may change** take the `ETag` of what you have read in `If-Match`: 412, when it is another now.

**Missing nothing.** `GET /snapshot` tells how all stands, as of fact `seq`; `GET /events?after=seq` everything that
happens from there on, each fact once, in order. Lost connections go on by `Last-Event-ID`. The same goes by MQTT:
`GET /asyncapi.json`. Or be told by a webhook: see *webhooks* below.

**Instants** are ISO 8601 in UTC; `_ms` are milliseconds, `_s` seconds; numbers are in E.164 (`+14155550100`).
""".strip()

TAGS: Mapping[str, str] = {
    "me": "Who asks, and what they may.",
    "session": "Signing in and out, for pages.",
    "tokens": "What programs show in place of a password.",
    "events": "What is, and everything that happens.",
    "calls": "What calls came to, and why.",
    "control": "What agents and supervisors order: states, calls, talks.",
    "interactions": "What people write of calls and customers, and the story of both.",
    "customers": "Who calls.",
    "followups": "What was promised, until when, by whom.",
    "callbacks": "Who is to be called back.",
    "do-not-call": "Who is not to be called.",
    "queues": "How queues stand, and who waits.",
    "agents": "How agents stand.",
    "clients": "The companies in whose name calls are answered.",
    "recordings": "What was said.",
    "reports": "Figures of days.",
    "webhooks": "Who is told of events, and how that goes.",
    "crms": "Who is asked who calls, and how that goes.",
    "audit": "Who did what.",
    "config": "The configuration in force.",
    "health": "Whether the house lives, and takes calls.",
    "call me": "For a company's website, to everybody: ask to be called, confirm, and see what came of it.",
    "operations": "For those who watch over the house.",
}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "NewCustomer": {"client": "acme", "id": "c-4711", "name": "Jana Nováková", "numbers": ["+420777123456"],
                    "language": "cs", "tier": "gold", "fields": {"contract": "xl"}},
    "Written": {"tier": "gold", "notes": None},
    "MergeOrder": {"client": "acme", "other": "c-4712"},
    "ErasureOrder": {"client": "acme", "customer": "c-4711", "dry": True},
    "WrittenNote": {"text": "wants a quieter fan"},
    "GivenDisposition": {"disposition": "follow_up", "follow_up": {"title": "refund 881", "due_at": "friday 10:00"}},
    "GivenFields": {"values": {"order": "A-1881", "returned": True}},
    "NewFollowup": {"client": "acme", "title": "refund 881", "due_at": "tomorrow 10:00", "customer": "c-4711",
                    "queue": "sales"},
    "FollowupChange": {"due_at": "in 2h"},
    "NewAttempt": {"outcome": "no_answer"},
    "NewCallback": {"client": "acme", "queue": "sales", "number": "+14155550100", "not_before": "2026-12-01T10:00",
                    "reason": "the invoice", "mode": "agent_first"},
    "CallbackChange": {"not_before": "2026-12-01T16:00"},
    "NewEntry": {"client": "acme", "number": "+14155550100", "reason": "said so"},
    "ChosenState": {"chosen": "not_ready", "reason": "lunch"},
    "ForcedState": {"chosen": "ready", "why": "the queue is long"},
    "Dialling": {"to": "+14155550100"},
    "Roster": {"skills": {"english": 4}},
    "NewWebhook": {"client": "acme", "url": "https://crm.example.com/hooks/calls", "events": ["interaction"]},
    "NewToken": {"name": "crm", "role": "supervisor", "clients": ["acme"], "scopes": ["calls:read", "events:read"]},
}  # fmt: skip
"""A body of each, as somebody would send it."""

# What each status means wherever it is answered, and a word for programs with it.
MEANINGS: Mapping[str, tuple[str, str, str]] = {
    "400": ("It is no JSON, or its key is none", "invalid", "the body is not JSON"),
    "401": ("Nobody is known to ask", "unauthenticated", "this token does not serve: it is unknown, revoked or over"),
    "403": ("It is not theirs to do", "forbidden", "this takes the scope calls:control, which you do not hold"),
    "404": ("There is no such thing, or it is not theirs to see", "not_found", "there is no such call"),
    "408": ("The body stopped coming", "invalid", "nothing of the file came for 30 s"),
    "409": ("It does not go with how things stand", "conflict", "the agent talks to no caller now"),
    "412": ("It has changed since it was read", "conflict", "somebody has changed it: read it again"),
    "413": ("The body is too large", "request_entity_too_large", "a body is 1024 kB at most"),
    "415": ("The body is of another kind", "invalid", "the body is a CSV: Content-Type text/csv"),
    "416": ("It has not one octet of that range", "invalid", "the recording has 10284 octets"),
    "422": ("Something in it is wrong: `field` says what", "invalid", "limit: Input should be less than 501"),
    "429": ("It is too much: ask again in `Retry-After` seconds", "too_many", "that is too much: ask again in 1 s"),
    "500": ("A mistake of ours", "internal", "this failed by a mistake of ours; the log says more"),
    "503": ("It cannot be done now: ask again in `Retry-After` seconds", "unavailable", "the switch is away"),
}
RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "a new one for each thing to be done; the same again is done once, and answered as the first time",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
    "example": "5f2b9c1e-8d0a-4b57-9f43-0c1f7f6a2d11",
}
CHANGING = frozenset({"post", "put", "patch", "delete"})
# What is done here and not by the switch, or changes nothing when it is done again.
WITHOUT_KEY = frozenset(
    {
        "post /api/v1/session", "delete /api/v1/session", "post /api/v1/tokens", "delete /api/v1/tokens/{token}",
        "patch /api/v1/webhooks/{webhook}", "delete /api/v1/webhooks/{webhook}",
        "post /api/v1/webhooks/{webhook}/secret", "post /api/v1/webhooks/{webhook}/test",
        "post /api/v1/webhooks/{webhook}/replay", "post /api/v1/webhooks/{webhook}/deliveries/{delivery}/replay",
        "post /api/v1/do-not-call/import",
    }
)  # fmt: skip
PUBLIC = "/public/"
# Where nothing is named, and yet may not be there: who asks by a token is signed in by no cookie.
ABSENT = frozenset({"get /api/v1/session"})
# What asks who somebody is by rules of its own: from this machine nobody is asked.
ASKS_SOME = frozenset({"get /metrics"})
CONFLICTS = frozenset(
    {
        "get /api/v1/events", "get /api/v1/recordings/{recording}", "head /api/v1/recordings/{recording}",
        "get /api/v1/recordings/{recording}/peaks", "get /api/v1/calls/{call}/why", "get /api/v1/calls/{call}/trace",
    }
)  # fmt: skip

DELIVERY: Mapping[str, Any] = {
    "post": {
        "tags": ["webhooks"],
        "summary": "What a receiver is told",
        "description": "Sent to the `url` of a webhook, of each event that it wants, in order, at least once:"
        " `webhook-id` is the same when it is sent again. What you answer by 2xx is done; anything else is sent again,"
        " for a day, and all behind it waits. Prove that it is ours: `webhook-signature` has `v1,` and the base64 of"
        " HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`, for each secret that is good (Standard Webhooks);"
        " refuse what is older than five minutes.",
        "parameters": [
            {"name": "webhook-id", "in": "header", "required": True, "schema": {"type": "string"}},
            {"name": "webhook-timestamp", "in": "header", "required": True, "schema": {"type": "integer"},
             "description": "seconds since 1970"},
            {"name": "webhook-signature", "in": "header", "required": True, "schema": {"type": "string"}},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["type", "timestamp", "data"],
                        "properties": {
                            "type": {
                                "type": "string",
                                "description": "interaction.finished (version 1 of a call's record) and"
                                " interaction.changed (2, 3, ...), call.answered and the other words of `/events`,"
                                " followup.due, callback.ended, customer.merged and their like",
                            },
                            "timestamp": {"type": "string", "format": "date-time"},
                            "data": {"type": "object", "additionalProperties": True},
                        },
                    },
                    "example": {
                        "type": "interaction.finished",
                        "timestamp": "2026-11-30T12:05:00.000Z",
                        "data": {"seq": 88231, "client": "acme", "call": "cc1-01kjpwd6vzpggn6g4qsaxf72bt", "version": 1,
                                 "because": "CallEnded", "interaction": {"outcome": "handled"}, "notes": [],
                                 "fields": []},
                    },
                }
            },
        },
        "responses": {"2XX": {"description": "It was taken, and is not sent again"},
                      "410": {"description": "There is no receiver any more: nothing is sent until it is turned on"}},
    }
}  # fmt: skip


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, made once. Problems have their own media type in it, which FastAPI cannot say."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            summary="A call centre's switch",
            description=ABOUT,
            routes=app.routes,
            tags=[{"name": name, "description": about} for name, about in TAGS.items()],
        )
        for path, operations in made["paths"].items():
            for method, operation in operations.items():
                _complete(f"{method} {path}", operation)
        for name, example in EXAMPLES.items():
            made["components"]["schemas"][name]["examples"] = [example]
        made["webhooks"] = {"event": DELIVERY}
        app.openapi_schema = made
    return app.openapi_schema


def _complete(name: str, operation: dict[str, Any]) -> None:
    """Say of one operation which key it takes, and each problem that it may answer."""
    method, _, path = name.partition(" ")
    if method in CHANGING and name not in WITHOUT_KEY and not path.startswith(PUBLIC):
        operation.setdefault("parameters", []).append(KEY)
    answers = operation["responses"]
    for status, answer in answers.items():
        if status in PROBLEMS and "content" in answer:
            answer["content"] = {MEDIA_TYPE: next(iter(answer["content"].values()))}
    if "4XX" not in answers:
        return
    schema = answers["4XX"]["content"][MEDIA_TYPE]["schema"]
    for status in _statuses(name, operation):
        about, reason, detail = MEANINGS[status]
        example = {"type": "about:blank", "title": about, "status": int(status), "detail": detail, "reason": reason}
        later = {"headers": RETRY_AFTER} if status in ("429", "503") else {}
        answers[status] = {
            "description": about, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}, **later,
        }  # fmt: skip
    operation["responses"] = dict(sorted(answers.items()))


def _statuses(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    """The problems that one operation may answer."""
    method, _, path = name.partition(" ")
    parameters = operation.get("parameters", [])
    headers = {each["name"].lower() for each in parameters if each["in"] == "header"}
    body, changes = "requestBody" in operation, method in CHANGING
    known = bool(operation.get("security")) or name in ASKS_SOME
    if known:
        yield from ("401", "403")
    if body or HEADER.lower() in headers:
        yield "400"
    if changes or parameters or name in ABSENT:
        yield from ("404", "422")
    if changes or name in CONFLICTS:
        yield "409"
    if "if-match" in headers:
        yield "412"
    if body or changes:
        yield "413"
    if path.endswith("/import"):
        yield from ("408", "415")
    if "range" in headers:
        yield "416"
    yield from ("429", "500", "503")
