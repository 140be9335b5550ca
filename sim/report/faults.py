"""Faults as a page shows them: when each struck and whom, until when, and which hosts' stories tell of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from sim.causes import concerns_all
from sim.report.gathered import Line
from sim.report.packing import columns

_OVER = " over"


def faults_of(lines: Sequence[Line], lane_of: Mapping[str, int], text: Callable[[Any], int]) -> dict[str, Any]:
    """`faults`, in columns: `until` is when it was over (-1: never, or it struck only once), `over` 1 for a row that tells
    of an end. `told`: lane -> the faults that the stories of its host tell of; `tell_all`: those that every story tells of."""
    until = _ends(lines)
    records = []
    for place, (seq, row) in enumerate(lines):
        actor, detail = row["actor"], row.get("detail", "")
        lane = lane_of.get(actor, -1)
        records.append(
            (seq, row["t"], lane, text(actor), text(detail), int(detail.endswith(_OVER)), until.get(place, -1))
        )
    told, tell_all = _told(lines, lane_of)
    return {"faults": columns("seq t lane actor detail over until", records), "told": told, "tell_all": tell_all}


def _ends(lines: Sequence[Line]) -> dict[int, int]:
    """Which fault was over when, by its place."""
    open_: list[tuple[int, str, str]] = []
    until: dict[int, int] = {}
    for place, (_, row) in enumerate(lines):
        actor, detail = row["actor"], row.get("detail", "")
        if not detail.endswith(_OVER):
            open_.append((place, actor, detail.partition(" ")[0]))
            continue
        name = detail.removesuffix(_OVER)
        ended = {each for each in open_ if each[2] == name and (fnmatchcase(each[1], actor) or actor == "api")}
        until |= {each[0]: row["t"] for each in ended}
        open_ = [each for each in open_ if each not in ended]
    return until


def _told(lines: Sequence[Line], lane_of: Mapping[str, int]) -> tuple[dict[int, list[int]], list[int]]:
    of: dict[str, list[int]] = {}
    for place, (_, row) in enumerate(lines):
        of.setdefault(row["actor"], []).append(place)
    everybody: list[int] = []
    told: dict[int, list[int]] = {}
    for actor, places in of.items():
        if concerns_all(actor):
            everybody += places
            continue
        exact = actor in lane_of and not set("*?[") & set(actor)
        for host in [actor] if exact else lane_of:
            if fnmatchcase(host, actor):
                told.setdefault(lane_of[host], []).extend(places)
    return {lane: sorted(places) for lane, places in sorted(told.items())}, sorted(everybody)
