"""Entries in a talk: whether the flows that a company lets its agents start there only ask for something."""

from __future__ import annotations

from callcenter.config.problems import Code
from callcenter.config.things import Notes, Things

# What may stand in such a flow: all else leads somewhere, and the caller is with an agent already.
STEPS = ("say", "collect", "set")


def entries(things: Things, notes: Notes) -> None:
    """Note flows that lead away from the talk, those that ask for nothing, and codes for what nobody permits."""
    told: set[str] = set()
    permitted = {name for client in things.clients.values() for name in client.in_talk}
    for code, ordered in things.feature_codes.items():
        if ordered.entry_start in things.flows and ordered.entry_start not in permitted:
            notes.add(
                Code.FORM,
                ("feature_codes", code, "entry_start"),
                f"no client permits `{ordered.entry_start}` in its talks",
                f"add in_talk: [{ordered.entry_start}] to a client, or take the code away",
            )
    for client, about in things.clients.items():
        for at, name in enumerate(about.in_talk):
            path = ("clients", client, "in_talk", at)
            if name in about.in_talk[:at]:
                notes.add(Code.FORM, path, f"`{name}` stands here twice", "take one away")
            flow = things.flows.get(name)
            if flow is None or name in told:
                continue
            told.add(name)
            for number, step in enumerate(flow.steps):
                word = next((each for each in type(step).model_fields if getattr(step, each) is not None), "")
                if word not in STEPS:
                    notes.add(
                        Code.FORM,
                        ("flows", name, number, word),
                        f"`{word}` cannot be in a flow that agents start in a talk (clients.{client}.in_talk)",
                        f"there may be {', '.join(STEPS)}: make a flow of its own of these",
                        key=True,
                    )
            if not any(step.collect for step in flow.steps):
                notes.add(Code.FORM, path, f"`{name}` asks for nothing", "add a `collect` step, or take it away here")
