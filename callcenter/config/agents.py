"""Agents: who answers, as it is written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from callcenter.config.codecs import Codecs
from callcenter.config.dialling import MayDial
from callcenter.config.hashes import DeskHash, HexMd5, HexSha256, MosquittoHash
from callcenter.config.languages import Language
from callcenter.config.names import ClientName, QueueName
from callcenter.config.numbers import Extension
from callcenter.config.problems import Code
from callcenter.config.recordings import Record
from callcenter.config.shape import Name, Shape, mistake, some
from callcenter.config.skills import Level, Skill
from callcenter.model.states import Intent


class Agent(Shape):
    """Who answers."""

    name: Name
    skills: dict[Skill, Level] = {}
    clients: Annotated[tuple[ClientName, ...], some(1000)]
    queues: Annotated[tuple[QueueName, ...], some(1000)] | None = None
    weight: Annotated[int, Field(ge=1, le=100)] = 1
    language: Language | None = None
    sign_in: Intent | None = None
    extension: Extension | None = None
    may_dial: MayDial | None = None
    auto_answer: bool = False
    codecs: Codecs | None = None
    record: Record | None = None
    sip_md5: HexMd5 | None = None
    sip_sha256: HexSha256 | None = None
    mqtt: MosquittoHash | None = None
    desk: DeskHash | None = None

    @model_validator(mode="after")
    def _both(self) -> Agent:
        if (self.sip_md5 is None) != (self.sip_sha256 is None):
            raise mistake(
                Code.MISSING, "`sip_md5` and `sip_sha256` belong together", "make both with: callcenter password USER"
            )
        return self
