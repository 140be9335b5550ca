"""The progress monitor: is this run getting anywhere? One pure step per turn: state and what happened in, state and advice out.

Checked in this order, the first that applies is the advice:
  hard cap on the context      end
  soft cap                     a nudge; still above it a turn later: end
  turns without an edit        a nudge, and only tools that lead to an edit are offered; three more turns without: end
  the same call again          a nudge; once more without an edit in between: end
An edit disarms everything but the caps (#1216). A zero in the limits switches a check off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from foreman.executors.loop.limits import Limits
from foreman.executors.loop.shell import writes

EDITS = frozenset({"write_file", "str_replace"})
READS = frozenset({"read_file", "grep"})
GROUNDING_MAX = 8
"""Distinct reads allow so many turns without an edit beyond the limit."""
SHELL_WRITES_MAX = 20
"""Shell commands that look like writes count as edits so often without a real one (#1520)."""
FORCED_TURNS = 3
FORCED_OUT = ("grep", "bash")


class Deed(NamedTuple):
    """A tool call that was carried out. `identity` is equal for equal calls; `place`: what a read looked at."""

    tool: str
    identity: str
    failed: bool
    edit: bool = False
    shell_write: bool = False
    place: str = ""


@dataclass(frozen=True)
class Progress:
    """`idle`: turns since the last edit; `places` and `repeats` are since then too; `forced`: turns in the forcing phase."""

    idle: int = 0
    places: frozenset[str] = frozenset()
    repeats: Mapping[str, int] = field(default_factory=dict)
    warned: frozenset[str] = frozenset()
    shell_writes: int = 0
    forcing: bool = False
    forced: int = 0
    over_soft_cap: bool = False


class Advice(NamedTuple):
    """`end`: stop the run; else, if there is text, tell the model. `signal` names the check."""

    signal: str = ""
    text: str = ""
    end: bool = False


NOTHING = Advice()


def deed(tool: str, arguments: Mapping[str, Any], failed: bool) -> Deed:
    """What a call was, as far as progress goes."""
    identity = f"{tool} {json.dumps(arguments, sort_keys=True)}"
    edit = tool in EDITS and not failed
    shell_write = tool == "bash" and not failed and writes(str(arguments.get("command", "")))
    return Deed(tool, identity, failed, edit, shell_write, identity if tool in READS and not failed else "")


def step(before: Progress, deeds: list[Deed], context: int, limits: Limits) -> tuple[Progress, Advice]:
    """After one turn that called tools; `context`: tokens of the request that led to it."""
    now = _counted(before, deeds)
    stuck = limits.stuck
    if stuck.context_hard_cap and context >= stuck.context_hard_cap:
        return now, Advice(
            "context-hard-cap", f"the context has {context} tokens, at most {stuck.context_hard_cap}", True
        )
    if stuck.context_soft_cap:
        now, advice = _soft_cap(now, context, stuck.context_soft_cap)
        if advice is not NOTHING:
            return now, advice
    if stuck.edit_free_turns_limit and limits.edits_expected:
        now, advice = _edit_free(now, stuck.edit_free_turns_limit)
        if advice is not NOTHING:
            return now, advice
    if stuck.repeated_tool_threshold:
        return _repeated(now, before, deeds, stuck.repeated_tool_threshold)
    return now, NOTHING


def _counted(before: Progress, deeds: list[Deed]) -> Progress:
    now = replace(before, idle=before.idle + 1, forced=before.forced + before.forcing)
    for each in deeds:
        counts = each.shell_write and now.shell_writes < SHELL_WRITES_MAX
        if each.edit or counts:
            shell_writes = 0 if each.edit else now.shell_writes + 1
            now = Progress(shell_writes=shell_writes, over_soft_cap=now.over_soft_cap)
        else:
            repeats = {**now.repeats, each.identity: now.repeats.get(each.identity, 0) + 1}
            places = now.places | {each.place} if each.place else now.places
            now = replace(now, repeats=repeats, places=places)
    return now


def _soft_cap(now: Progress, context: int, cap: int) -> tuple[Progress, Advice]:
    if context < cap:
        return replace(now, over_soft_cap=False), NOTHING
    if now.over_soft_cap:
        return now, Advice(
            "context-soft-cap", f"the context has {context} tokens, a turn after the warning at {cap}", True
        )
    text = (
        "This conversation is almost too long to go on. Finish now: make the last edit you need, if any, together with "
        "submit_result in one turn."
    )
    return replace(now, over_soft_cap=True), Advice("context-soft-cap", text)


def _edit_free(now: Progress, limit: int) -> tuple[Progress, Advice]:
    if now.forcing:
        if now.forced >= FORCED_TURNS:
            return now, Advice(
                "edit-free", f"{now.idle} turns without an edit, {now.forced} of them after the warning", True
            )
        return now, NOTHING
    grounding = min(max(len(now.places) - 1, 0), GROUNDING_MAX)
    if now.idle < limit + grounding:
        return now, NOTHING
    text = (
        f"{now.idle} turns have passed without a change to any file. Searching and the shell are no longer offered. Edit now "
        "with what you know (str_replace or write_file), or call submit_result: NO-GO if it cannot be done."
    )
    return replace(now, forcing=True), Advice("edit-free", text)


def _repeated(now: Progress, before: Progress, deeds: list[Deed], threshold: int) -> tuple[Progress, Advice]:
    for each in deeds:
        count = now.repeats.get(each.identity, 0)
        if each.identity in now.warned and count > before.repeats.get(each.identity, 0):
            return now, Advice("repeated-call", f"{each.tool} was called {count} times with the same arguments", True)
        if count >= threshold:
            text = (
                f"You have called {each.tool} {count} times with the same arguments and nothing has changed in between. The "
                "answer will be the same. Do something else: edit, look elsewhere, or call submit_result."
            )
            return replace(now, warned=now.warned | {each.identity}), Advice("repeated-call", text)
    return now, NOTHING


def withheld(progress: Progress, reads_restricted: bool) -> tuple[str, ...]:
    """Tools that the forcing phase takes away."""
    if not progress.forcing:
        return ()
    return (*FORCED_OUT, "read_file") if reads_restricted else FORCED_OUT
