"""What was gathered, as the page wants it: columns of small numbers, every text once.

A column that starts with `+` holds differences to the value before (of the same task, in `rows` and `moves`). Times are
virtual microseconds, -1 where there is none. Names, phases, actors and the like are places in `texts`. `task` and `row` are
places in `tasks` and `rows`, -1 where there is none; `from` and `by` count back from a row to another of its task, 0 for none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from sim.causes import WRITES
from sim.report.faults import faults_of
from sim.report.gathered import Gathered, Line
from sim.report.head import head_of
from sim.report.packing import Table, Texts, columns, steps, us
from sim.story import cells, style_of
from sim.trace import Row

_EXECUTION = re.compile(r"attempt (\d+)")


class Lanes:
    """One for each host. Those of nodes come last."""

    def __init__(self, gathered: Gathered, tables: Mapping[str, Table]) -> None:
        nodes = {*tables["nodes"].get("node", ()), *tables["attempts"].get("node", ())} - {None}
        actors = {host_of(actor) for actor in gathered.actors}
        struck = {
            row["actor"] for _, row in gathered.faults if row["actor"].startswith("api") and "*" not in row["actor"]
        }
        twins = {name for name in actors if name.rpartition(".")[0] in nodes}
        names = sorted({*nodes, *actors, *struck}, key=lambda name: (name in nodes or name in twins, natural(name)))
        self.names = names
        self.nodes = [int(name in nodes or name in twins) for name in names]
        self.number = {name: number for number, name in enumerate(names)}

    def of(self, actor: str | None) -> int:
        return self.number.get(host_of(actor or ""), -1)


def host_of(actor: str) -> str:
    return actor.partition("/")[0]


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts cuda-9 before cuda-10."""
    parts = enumerate(re.split(r"(\d+)", name))
    return [(int(part), "") if place % 2 else (0, part) for place, part in parts]


def columns_of(gathered: Gathered) -> dict[str, Any]:
    """The data of a page: JSON values only."""
    tables, texts = gathered.tables(), Texts()
    lanes = Lanes(gathered, tables)
    tasks = _tasks(tables["tasks"], texts)
    names = tasks["name"]
    number = {name: place for place, name in enumerate(names)}
    stories = [gathered.story(name) for name in names]
    rows, places = _rows(stories, texts)
    made = {
        "head": head_of(gathered),
        "lanes": {"name": lanes.names, "node": lanes.nodes},
        "tasks": tasks,
        "rows": rows,
        "moves": _moves(tables["transitions"], number, texts),
        "bars": _bars(tables["attempts"], stories, number, lanes, texts),
        "nodes": _nodes(tables["nodes"], lanes, texts),
        "refused": _refused(gathered.refused, number, places, lanes, texts),
        "violations": _violations(gathered.violations, number, lanes, texts),
        **faults_of(gathered.faults, lanes.number, texts),
    }
    return {**made, "texts": [*texts.known]}


def _tasks(table: Table, texts: Texts) -> Table:
    """In the order in which they were created. Only a run whose safeguards are out lets a task begin again after its end:
    its last end counts."""
    last = {name: place for place, name in enumerate(table.get("task", ()))}
    order = sorted(last.values(), key=lambda place: (table["created"][place], table["task"][place]))

    def column(name: str) -> list[Any]:
        return [table[name][place] for place in order]

    made: Table = {"name": column("task")}
    for name in ("class", "workload", "phase", "verdict", "node", "accelerator", "depends_on"):
        made[name] = texts.all(column(name))
    for name in ("priority", "ram_gb", "attempts"):
        made[name] = [value or 0 for value in column(name)]
    made["+created"] = steps([*map(us, column("created"))])
    for name in ("claimed", "ended"):
        made[name] = [*map(us, column(name))]
    return made


def _rows(stories: Sequence[Sequence[Line]], texts: Texts) -> tuple[Table, dict[int, int]]:
    """The stories one after the other, `first` of each; and where the rows with their numbers are."""
    names = "+seq +t actor what read version known outcome detail style from by basis"
    records: list[tuple[int, ...]] = []
    places: dict[int, int] = {}
    for story in stories:
        wrote: dict[str, int] = {}
        seq = t = 0
        for place, line in enumerate(story):
            row = line.row
            places[line.seq] = len(records)
            records.append((line.seq - seq, row["t"] - t, *_told(row, texts), *_causes(row, place, wrote)))
            seq, t = line.seq, row["t"]
            if row["what"] in WRITES and row.get("version"):
                wrote.setdefault(row["version"], place)
    return {"first": [0, *accumulate(map(len, stories))], **columns(names, records)}, places


def _told(row: Row, texts: Texts) -> tuple[int, ...]:
    _, actor, what, _, known, outcome, detail = cells(row)
    versions = _version(row.get("read")), _version(row.get("version"))
    return (texts(actor), texts(what), *versions, *map(texts, (known, outcome, detail, style_of(row))))


def _version(text: str | None) -> int:
    """0: none was named, -1: any will do."""
    return int(text) if text and text.isdigit() else -1 if text else 0


def _causes(row: Row, place: int, wrote: Mapping[str, int]) -> tuple[int, int, int]:
    """How far back the write is whose version this was written on, and the one that overtook it; how long ago that version
    became known to the writer, -1 if it never did."""
    basis, by = row.get("basis"), row.get("overtaken")
    source = wrote.get(row.get("read", ""))
    overtaker = wrote.get(by["version"]) if by else None
    back = [0 if at is None else place - at for at in (source, overtaker)]
    return back[0], back[1], row["t"] - basis["t"] if basis else -1


def _moves(table: Table, number: Mapping[str, int], texts: Texts) -> Table:
    """The states of each task, one task after the other, `first` of each."""
    of: list[list[int]] = [[] for _ in number]
    for place, name in enumerate(table.get("task", ())):
        if name in number:
            of[number[name]].append(place)
    order = [place for places in of for place in places]
    made: Table = {"first": [0, *accumulate(map(len, of))]}
    made["+t"] = [step for places in of for step in steps([us(table["t"][place]) for place in places])]
    made["attempt"] = [table["attempt"][place] or 0 for place in order]
    for name in ("phase", "node", "holder", "verdict", "reason"):
        made[name] = texts.all(table[name][place] for place in order)
    return made


def _bars(
    table: Table, stories: Sequence[Sequence[Line]], number: Mapping[str, int], lanes: Lanes, texts: Texts
) -> Table:
    """Attempts: when one was assigned, claimed and over, and when the executor of it ran. What runs without being an
    attempt of that host is a bar too."""
    names = "task lane attempt assigned claimed ended started stopped outcome verdict"
    ran = {
        (task, *run): times for task, story in enumerate(stories) for run, times in _executions(story, lanes).items()
    }
    records: list[tuple[int, ...]] = []
    attempts = (dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True))
    for each in attempts:
        task, attempt = number[each["task"]], each["attempt"] or 0
        lane = lanes.of(each["holder"] or each["node"])
        times = us(each["assigned"]), us(each["claimed"]), us(each["ended"])
        run = ran.pop((task, lane, attempt), (-1, -1))
        records.append((task, lane, attempt, *times, *run, texts(each["outcome_phase"]), texts(each["verdict"])))
    records += [(task, lane, attempt, -1, -1, -1, *run, 0, 0) for (task, lane, attempt), run in ran.items()]
    records.sort(key=lambda record: (min(time for time in record[3:8] if time >= 0), record))
    return columns(names, records)


def _executions(story: Sequence[Line], lanes: Lanes) -> dict[tuple[int, int], tuple[int, int]]:
    """(lane, attempt) -> when its executor started and stopped."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for _, row in story:
        match = _EXECUTION.match(row.get("detail", "")) if row["what"] in ("execute", "executed") else None
        if match is not None:
            which = lanes.of(row["actor"]), int(match[1])
            begun = found.get(which, (row["t"], -1))[0]
            found[which] = (begun, -1) if row["what"] == "execute" else (begun, row["t"])
    return found


def _nodes(table: Table, lanes: Lanes, texts: Texts) -> Table:
    """What nodes offer and whether they are ready, as it changes."""
    kept: list[tuple[int, ...]] = []
    last: dict[str, tuple[int, ...]] = {}
    fields = [table.get(name, []) for name in ("t", "node", "phase", "accelerator", "slots", "ram_gb")]
    for t, node, phase, accelerator, slots, ram in zip(*fields, strict=True):
        state = texts(phase), texts(accelerator), slots or 0, ram or 0
        if last.get(node) != state:
            last[node] = state
            kept.append((us(t), lanes.of(node), *state))
    return columns("t lane phase accelerator slots ram_gb", kept)


def _refused(
    lines: Iterable[Line], number: Mapping[str, int], places: Mapping[int, int], lanes: Lanes, texts: Texts
) -> Table:
    """Writes that failed. Those to a task are in its story: `row`; of others the text says what they were."""
    names = "t lane outcome task row text"
    records = []
    for seq, row in lines:
        place = places.get(seq, -1)
        text = "" if place >= 0 else f"{row['what']} {row['kind']} {row.get('key', '')}: {row.get('detail', '')}"
        task = number.get(row.get("key", ""), -1) if place >= 0 else -1
        records.append((row["t"], lanes.of(row["actor"]), texts(row["outcome"]), task, place, texts(text)))
    return columns(names, records)


def _violations(lines: Iterable[Line], number: Mapping[str, int], lanes: Lanes, texts: Texts) -> Table:
    """`lane`: of a violation that is about a host or a node."""
    names = "t task lane about text"
    records = []
    for _, row in lines:
        key = row.get("key", "")
        lane = -1 if key in number else lanes.of(key.rpartition("/")[2])
        records.append((row["t"], number.get(key, -1), lane, texts(key), texts(row.get("detail", ""))))
    return columns(names, records)
