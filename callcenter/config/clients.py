"""Clients: the companies in whose name calls are answered, as they are written."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from callcenter.config.call_me import ClientCallMe
from callcenter.config.callback_shapes import ClientCallbacks
from callcenter.config.calls import Kept, Points, Preferred
from callcenter.config.crm import Crm, Webhooks
from callcenter.config.customers import ClientCalls, ClientCustomers
from callcenter.config.dialling import Outbound
from callcenter.config.dispositions import Disposition
from callcenter.config.followups import ClientFollowups
from callcenter.config.hours import TimeZone
from callcenter.config.languages import Language
from callcenter.config.names import FlowName, MusicName, known
from callcenter.config.numbers import DialPrefix
from callcenter.config.problems import Code
from callcenter.config.prompts import WhisperOrOff
from callcenter.config.recordings import Record
from callcenter.config.shape import (
    Name,
    Positive,
    Retention,
    Shape,
    Slug,
    Text,
    as_list,
    mistake,
    off_as,
    some,
    word_as,
)
from callcenter.config.skills import Asked
from callcenter.config.supervision import Supervision
from callcenter.config.wrap_up_fields import WrapUpFields


class Share(Shape):
    """What a company has of the agents, while it has callers waiting."""

    minimum: Annotated[int, Field(ge=0, le=10_000)] = 0
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0


class Client(Shape):
    """A company."""

    name: Name
    languages: Annotated[tuple[Language, ...], some(20)]
    greeting: dict[Language, Text] = {}
    time_zone: TimeZone | None = None
    music: MusicName | None = None
    whisper: WhisperOrOff | None = None
    share: Share | None = None
    outbound: Outbound | None = None
    dial_prefix: DialPrefix | None = None
    callbacks: Annotated[ClientCallbacks, off_as({"enabled": False})] | None = None
    followups: ClientFollowups = ClientFollowups()
    call_me: ClientCallMe | None = None
    dispositions: Annotated[dict[Slug, Annotated[Disposition, word_as("label")]], some(200)] | None = None
    dispositions_required: bool = False
    wrap_up_fields: WrapUpFields | None = None
    supervision: Annotated[Supervision, off_as({"allowed": []})] | None = None
    in_talk: Annotated[tuple[FlowName, ...], BeforeValidator(as_list)] = ()
    language_skills: Annotated[dict[Language, Asked], some(20)] | None = None
    intents: Annotated[dict[Slug, Asked], some(500)] | None = None
    tiers: Annotated[dict[Name, Points], some(100)] | None = None
    prefer: Preferred = ()
    prefer_for: Positive | None = None
    last_agent_within: Positive | None = None
    keep_place_for: Kept | None = None
    record: Record | None = None
    record_announcement: Annotated[str, known("prompt", besides="off")] | None = None
    record_retention: Retention | None = None
    crm: Crm | None = None
    webhooks: Webhooks | None = None
    customers: ClientCustomers = ClientCustomers()
    calls: ClientCalls = ClientCalls()

    @model_validator(mode="after")
    def _has_what_it_requires(self) -> Client:
        if self.dispositions_required and not self.dispositions:
            raise mistake(
                Code.MISSING,
                "`dispositions_required` without `dispositions`: there is nothing to choose from",
                "add dispositions: {sold: Sold, not-sold: Not sold}, or take it away",
                at="dispositions_required",
            )
        return self
