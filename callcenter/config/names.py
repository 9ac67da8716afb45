"""Names: words of the configuration that name something of it, checked against what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from callcenter.config.problems import Code, did_you_mean
from callcenter.config.shape import KINDS, Slug, mistake, tell
from callcenter.publish.settings import Role

# Logins that the embedded broker has beside those of the agents.
RESERVED_USERS = frozenset({Role.SWITCH.value, Role.MONITOR.value})


def _check_agent(value: str) -> str:
    if value in RESERVED_USERS:
        hint = "take another"
        raise mistake(
            Code.FORM, f"`{value}` cannot be an agent or supervisor: the broker has a login of that name", hint
        )
    return value


tell(_check_agent, lambda inner: {**inner, "not": {"enum": sorted(RESERVED_USERS)}})


def known(kind: str, *, prefix: str = "", besides: str = "", words: tuple[str, ...] = ()) -> AfterValidator:
    """The value must be the name of a ``kind`` that is configured: the names come in the context.

    ``words`` mean something in its place, and may have been meant.
    """

    def check(value: str, info: ValidationInfo) -> str:
        names: Mapping[str, set[str]] = info.context or {}
        if kind in names and value != besides and value not in names[kind]:
            raise mistake(
                Code.NAMES_NOTHING,
                f"no {kind} is named `{value}`",
                did_you_mean(
                    value, {*names[kind], *words}, otherwise=f"add it to the section `{prefix or kind + 's'}`"
                ),
            )
        return value

    KINDS[check] = kind
    return AfterValidator(check)


AgentSlug = Annotated[Slug, AfterValidator(_check_agent)]
ClientName = Annotated[str, known("client")]
HoursName = Annotated[str, known("set of hours", prefix="hours")]
QueueName = Annotated[str, known("queue")]
FlowName = Annotated[str, known("flow")]
TrunkName = Annotated[str, known("trunk")]
AgentName = Annotated[str, known("agent")]
PromptName = Annotated[str, known("prompt")]
MusicName = Annotated[str, known("piece of music", prefix="music")]
