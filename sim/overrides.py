"""`--set path.to.field=value`: changes to a scenario from the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sim.source import BadScenario, Path, Source, read

_EXAMPLE = "expected path.to.field=value, e.g. --set fleet.gpu.count=3"


def override(source: Source, item: str) -> None:
    """Change `source` as `item` says: 'faults.0.at=5s'; the value is YAML, mappings on the way are made.

    A list takes the index of an entry, or the next one to grow; a dot within a key is written '\\.'.
    Raises BadScenario that names '--set ITEM'.
    """
    label = f"--set {item}"
    written, equals, text = item.partition("=")
    steps = [step.strip().replace("\\.", ".") for step in re.split(r"(?<!\\)\.", written)]
    if not equals:
        raise BadScenario([f"{label}: no '=': {_EXAMPLE}"])
    if not written.strip():
        raise BadScenario([f"{label}: nothing before '=': {_EXAMPLE}"])
    if not all(steps):
        raise BadScenario([f"{label}: the path {written!r} has an empty part: {_EXAMPLE}"])
    put(source, steps, read(text, lambda line: label).data, label)


def put(source: Source, steps: Sequence[str], value: Any, label: str) -> None:
    """Set the value at `steps`, whose problems are then told under `label`. Raises BadScenario."""
    at = source.data
    path: Path = ()
    for step in steps[:-1]:
        path = (*path, _key(at, path, step, label))
        at = _entered(source, at, path, label)
    path = (*path, _key(at, path, steps[-1], label))
    if isinstance(at, list) and path[-1] == len(at):
        at.append(value)
    else:
        at[path[-1]] = value
    for stale in [each for each in source.marks if each[: len(path)] == path]:
        del source.marks[stale]
    source.marks[path] = label


def _entered(source: Source, at: Any, path: Path, label: str) -> Any:
    """What `at` holds at the last step of `path`; an empty mapping is put where nothing is."""
    key = path[-1]
    if isinstance(at, list) and key == len(at):
        at.append(None)
    if isinstance(at, dict) and key not in at:
        at[key] = None
    if at[key] is None:
        at[key] = {}
        source.marks[path] = label
    return at[key]


def _key(at: Any, path: Path, step: str, label: str) -> str | int:
    if isinstance(at, dict):
        return step
    where = ".".join(map(str, path)) or "the scenario"
    if not isinstance(at, list):
        raise BadScenario([f"{label}: {where} is {str(at)[:40]!r}, which has nothing inside: set {where} itself"])
    if not re.fullmatch("[0-9]{1,9}", step) or int(step) > len(at):
        raise BadScenario([f"{label}: {where} is a list: expected a number from 0 to {len(at)}, not {step[:40]!r}"])
    return int(step)
