"""The Standard Workload Format of parallel job logs: 18 numbers a line, comments after ';', -1 for what is not known."""

from __future__ import annotations

import re
from pathlib import Path

from sim.importers.imported import Imported
from sim.importers.lines import BadTrace, Line, text_lines
from sim.listed import Work

FIELDS = (
    *("job", "submit", "wait", "run", "processors", "cpu", "memory", "asked processors", "asked time", "asked memory"),
    *("status", "user", "group", "program", "queue", "partition", "preceding", "think"),
)
KIB_A_GIB = 2**20
SLOTS_MAX = 100
WIDEST = 100_000
_HEADER = re.compile(r";\s*(MaxNodes|MaxProcs)\s*:\s*(\d+)")
UNKNOWN = "-1"


def read(path: Path, limit: int | None) -> Imported:
    """A processor is a slot. Raises BadTrace."""
    found = Imported("swf", f"The job log {path.name}, job by job.")
    size: dict[str, int] = {}
    jobs = 0
    for number, text in text_lines(path):
        if header := _HEADER.match(text):
            size[header[1]] = int(header[2])
        if not text.strip() or text.lstrip().startswith(";"):
            continue
        if limit is not None and jobs >= limit:
            found.losses["jobs left out (--limit)"] += 1
            continue
        jobs += 1
        _job(found, _line(path, number, text))
    widest = max((each for each in (size.get("MaxProcs"), size.get("MaxNodes")) if each), default=0)
    _fleet(found, path, size, widest)
    return found


def _line(path: Path, number: int, text: str) -> Line:
    words = text.split()
    line = Line(path, number, dict(zip(FIELDS, words, strict=False)))
    if len(words) != len(FIELDS):
        raise line.bad(f"{len(words)} fields: expected the {len(FIELDS)} of the Standard Workload Format")
    return line


def _job(found: Imported, line: Line) -> None:
    if line.fields["run"] in (UNKNOWN, "0"):
        found.losses["jobs that never ran, left out"] += 1
        return
    submit, run = line.seconds("submit"), line.span(line.seconds("run"), "run")
    told = (
        line.fields["processors"]
        if line.fields["processors"] not in (UNKNOWN, "0")
        else line.fields["asked processors"]
    )
    if told in (UNKNOWN, "0"):
        found.losses["jobs that do not say how wide they are: one slot"] += 1
        told = "1"
    if not told.isdigit() or int(told) > WIDEST:
        raise line.bad(f"processors: expected 1 to {WIDEST}, not {told}")
    memory = max(_known(line, "memory"), _known(line, "asked memory"))
    requires = {"requires": {"minRAMGB": -(-memory // KIB_A_GIB)}} if memory else {}
    of = found.classify("job", requires)
    found.work += [Work(submit, run, of)] * int(told)
    if int(told) > 1:
        found.losses["jobs with several processors, split: a task for each, which need not run at the same time"] += 1


def _known(line: Line, name: str) -> int:
    return 0 if line.fields[name].startswith("-1") else line.whole(name)


def _fleet(found: Imported, path: Path, size: dict[str, int], widest: int) -> None:
    if not widest:
        raise BadTrace(
            f"{path}: no '; MaxProcs: N' or '; MaxNodes: N' in its header: expected how large the machine was"
        )
    nodes = min(size.get("MaxNodes", 0) or -(-widest // SLOTS_MAX), widest)
    slots = -(-widest // nodes)
    if slots > SLOTS_MAX:
        nodes, slots = -(-widest // SLOTS_MAX), SLOTS_MAX
    demand = max((each.get("requires", {}).get("minRAMGB", 0) for each in found.classes.values()), default=0)
    found.fleet["node"] = {"count": nodes, "slots": slots, **({"ramGB": demand * slots} if demand else {})}
    found.losses[f"machine of {widest} processors, written as {nodes} equal nodes with {slots} slots"] += 1
    if demand:
        found.losses["size of memory not in the log: as much as all slots can ask for"] += 1
