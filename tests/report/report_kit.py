"""Reports of scenarios, and what is in them."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.load import load, parse
from sim.report.gathered import Gathered
from sim.report.page import write
from sim.result import result_of
from sim.scenario import Scenario
from sim.trace import Row, Trace
from sim.tracefile import both, writing
from sim.world import World

BROKEN = "mutations=[no-attempt-fence]"
HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"


def scenario_of(name: str, *sets: str) -> Scenario:
    return parse(name, "report.yaml", sets) if "\n" in name else load(name, sets)


def reported(
    path: Path, name: str, *sets: str, replay: str = "", change: Callable[[Row], Row] = lambda row: row
) -> Path:
    """The report of a run, written there. `name`: of a scenario, or its text; `change`: what becomes of each row."""
    gathered = Gathered()
    trace = Trace(lambda row: gathered.put(change(row)), replay or f"foreman sim run {name} --seed 0")
    trace.end(result_of(World(scenario_of(name, *sets), trace=trace).run()))
    write(gathered, path)
    return path


def traced(path: Path, name: str, *sets: str) -> Path:
    """The trace of a run, written there, and its report beside it."""
    gathered = Gathered()
    with writing(path) as writer:
        trace = Trace(both(writer.put, gathered.put), f"foreman sim run {name} --seed 0")
        trace.end(result_of(World(scenario_of(name, *sets), trace=trace).run()))
    write(gathered, path.with_suffix(".html"))
    return path


def data_of(path: Path) -> dict[str, Any]:
    """The data that is packed into a page."""
    packed = re.search(r'id="data">([^<]*)<', path.read_text(encoding="utf-8"))
    assert packed is not None
    found = json.loads(gzip.decompress(b64decode(packed[1])))
    assert isinstance(found, dict)
    return found


def renamed(task: str, name: str) -> Callable[[Row], Row]:
    """Rows in which a task has another name, wherever it is a key."""

    def change(row: Row) -> Row:
        return {**row, "key": f"default/{name}"} if row.get("key") == f"default/{task}" else row

    return change
