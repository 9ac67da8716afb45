"""Skills: what is asked of an agent, as it is written, and as the ACD goes by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from typing_extensions import TypeAliasType

from callcenter.acd.requirements import AllOf, AnyOf, Need, Needs, Requirement, merged
from callcenter.config.problems import Code
from callcenter.config.shape import KINDS, form, mistake, some, tell

Level = Annotated[int, Field(ge=1, le=5)]
_SKILL = form(r"[a-z0-9][a-z0-9_-]{0,63}", "the name of a skill", "write lower case, as in `english`")
KINDS[_SKILL.func] = "skill"
Skill = Annotated[str, _SKILL]


def _asked(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > 50:
        raise mistake(Code.FORM, f"there are {len(value)}", "write at most 50")
    for key in ("any", "all") if isinstance(value, dict) else ():
        if isinstance(value.get(key), dict):
            raise mistake(
                Code.FORM,
                f"no list stands behind `{key}`",
                f"write {key}: [{{...}}, {{...}}], each skill in its own {{}}",
            )
    return value


tell(_asked, lambda inner: {**inner, "maxProperties": 50})


def _combined(value: dict[str, Any]) -> dict[str, Any]:
    for key, each in value.items():
        if isinstance(each, tuple) and key not in ("any", "all"):
            raise mistake(
                Code.FORM,
                f"a list stands behind the skill `{key}`",
                f"write {key}: LEVEL with a level from 1 to 5, or any: [...] or all: [...] for several skills",
            )
    return value


# What is asked of an agent: all of what stands in the mapping. `any` and `all` take a list of further mappings.
if TYPE_CHECKING:
    Asked = dict[str, Any]
else:
    Asked = TypeAliasType(
        "Asked",
        Annotated[
            dict[
                Skill,
                Annotated[
                    Annotated[Level, Tag("<level>")] | Annotated[tuple["Asked", ...], some(20), Tag("<list>")],
                    Discriminator(lambda value: "<list>" if isinstance(value, list | tuple) else "<level>"),
                ],
            ],
            BeforeValidator(_asked),
            AfterValidator(_combined),
        ],
    )


def _together(needs: Needs) -> Need:
    return needs[0] if len(needs) == 1 else AllOf(needs)


def needs_of(asked: Mapping[str, Any]) -> Needs:
    """What an ``Asked`` asks."""
    found: list[Need] = []
    for key, value in asked.items():
        if isinstance(value, tuple):
            each = tuple(_together(needs_of(every)) for every in value)
            found.append(AllOf(each) if key == "all" else AnyOf(each))
        else:
            found.append(Requirement(key, value))
    return merged(found)


def need_of(asked: Mapping[str, object]) -> Need | None:
    """What an ``Asked`` asks as one need; None: nothing."""
    needs = needs_of(asked)
    return None if not needs else needs[0] if len(needs) == 1 else AllOf(needs)


def needs_by_word(by_word: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Needs]:
    """What is asked by language or intent."""
    return {word: needs_of(asked) for word, asked in (by_word or {}).items()}
