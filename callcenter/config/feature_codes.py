"""Feature codes: what agents order by what they dial."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from callcenter.calls.settings import CodeAction
from callcenter.config.names import FlowName, known
from callcenter.config.problems import Code, did_you_mean
from callcenter.config.shape import ALSO, ONE_WORD, Shape, either, mistake


class Nothing(Shape):
    """A word that says everything."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, dict):
            raise mistake(Code.FORM, "this word says everything", f"take `{value}` away")
        return value


CODE_WORDS = tuple(action.value for action in CodeAction)


class FeatureCode(Shape):
    """What an agent orders who dials a code: one word, or one with the reason, the disposition or the flow."""

    ready: Nothing | None = None
    not_ready: Annotated[str, known("reason", prefix="acd.reasons")] | None = None
    sign_out: Nothing | None = None
    wrap_up_done: Annotated[str, Field(max_length=64)] | None = None
    wrap_up_extend: Nothing | None = None
    state: Nothing | None = None
    record_start: Nothing | None = None
    record_stop: Nothing | None = None
    record_pause: Nothing | None = None
    record_resume: Nothing | None = None
    listen: Nothing | None = None
    whisper: Nothing | None = None
    barge: Nothing | None = None
    consult: Nothing | None = None
    consult_swap: Nothing | None = None
    consult_join: Nothing | None = None
    consult_drop: Nothing | None = None
    consult_transfer: Nothing | None = None
    entry_start: FlowName | None = None
    entry_cancel: Nothing | None = None
    callback_accept: Nothing | None = None
    callback_decline: Nothing | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) == 1 and None in value.values():
            value = next(iter(value))
        if isinstance(value, str):
            if value not in CODE_WORDS:
                hint = did_you_mean(value, CODE_WORDS)
                raise mistake(Code.CHOICE, f"`{value}` is nothing that a code can order", hint)
            with_more = value in (CodeAction.NOT_READY, CodeAction.WRAP_UP_DONE, CodeAction.ENTRY_START)
            return {value: "" if with_more else {}}
        if not isinstance(value, dict) or len(value) != 1:
            raise mistake(Code.FORM, "a code orders one thing", "write e.g. ready, or {not_ready: lunch}")
        return value

    @property
    def action(self) -> CodeAction:
        """What it orders."""
        return next(action for action in CodeAction if getattr(self, action.value) is not None)


ALSO[FeatureCode] = lambda inner: either({**inner, **ONE_WORD}, {"enum": list(CODE_WORDS)})
