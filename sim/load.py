"""Scenarios from files: by path or by the name of one that is shipped, changed by --set, checked, or refused line by line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sim import source, validate
from sim.complaints import missing_key, problems_of, unknown_key
from sim.kinds import did_you_mean, in_words
from sim.names import host_names, node_names
from sim.overrides import override, put
from sim.scenario import Scenario
from sim.schema import schema
from sim.source import BadScenario, Problem, Source, in_file

__all__ = ["BadScenario", "host_names", "load", "node_names", "parse", "schema", "shipped", "zoo"]

FILE_BYTES_MAX = 2**20
_ROUNDS = 20


def shipped() -> dict[str, Path]:
    """The scenarios that come with Foreman, by name: inside an installed package, beside it in a checkout."""
    return {path.stem: path for path in sorted(_folder().glob("*.yaml"))}


def zoo() -> dict[str, Path]:
    """The scenarios of the bug zoo, by name: 'zoo/lost-claim'."""
    return {f"zoo/{path.stem}": path for path in sorted((_folder() / "zoo").glob("*.yaml"))}


def _folder() -> Path:
    here = Path(__file__).parent
    return next((each for each in (here / "scenarios", here.parent / "scenarios") if each.is_dir()), here)


def load(path_or_name: str, sets: Sequence[str] = (), seed: int | None = None) -> Scenario:
    """The scenario in a file, or the shipped one of that name, after `sets` ('fleet.gpu.count=3') and `seed`.

    Raises BadScenario, a line for each problem: place, path in the data, what was expected.
    """
    filename = _find(path_or_name)
    return parse(_text(filename), filename, sets, seed)


def parse(text: str, filename: str, sets: Sequence[str] = (), seed: int | None = None) -> Scenario:
    """The same for text; `filename` is for messages, and its stem names a scenario without a name."""
    origin = source.read(text, in_file(filename))
    if origin.data is None and sets:
        origin.data = {}
    if origin.data is None:
        raise origin.bad([((), "empty: expected a scenario, a mapping with fleet and workload")])
    if not isinstance(origin.data, dict):
        raise origin.bad([((), f"expected a mapping with fleet and workload at the top, not {in_words(origin.data)}")])
    _change(origin, sets)
    if seed is not None:
        put(origin, ["seed"], seed, f"--seed {seed}")
    origin.data.setdefault("name", Path(filename).stem)
    scenario = _scenario(origin)
    if problems := validate.problems(scenario):
        raise origin.bad(problems)
    return scenario


def _change(origin: Source, sets: Sequence[str]) -> None:
    problems: list[str] = []
    for item in sets:
        try:
            override(origin, item)
        except BadScenario as error:
            problems += error.problems
    if problems:
        raise BadScenario(problems)


def _scenario(origin: Source) -> Scenario:
    """An unknown key hides all else in its mapping: it is noted, taken out, and the rest read again."""
    found: dict[Problem, None] = {}
    robbed: set[source.Path] = set()
    for _ in range(_ROUNDS):
        try:
            scenario = Scenario.model_validate(origin.data)
        except ValidationError as error:
            problems = problems_of(error)
        else:
            if not found:
                return scenario
            break
        # What a mapping lacks now may be what its unknown key was meant to be.
        found |= dict.fromkeys(each for each in problems if not (missing_key(each) and each[0] in robbed))
        slips = [path for path, _ in filter(unknown_key, problems)]
        if not slips:
            break
        for path in slips:
            _take_out(origin.data, path)
            robbed.add(path[:-1])
    raise origin.bad(found)


def _take_out(data: Any, path: source.Path) -> None:
    for step in path[:-1]:
        data = data[step]
    del data[path[-1]]


def _find(given: str) -> str:
    """The file to read, as messages name it."""
    known = shipped() | zoo()
    if os.path.exists(given) and not os.path.isdir(given):
        return given
    if given in known:
        return _relative(known[given])
    if os.path.isdir(given):
        inside = sorted(path.name for path in Path(given).glob("*.y*ml"))
        raise BadScenario([f"{given}: is a directory: expected a file{_choice(inside)}"])
    near = did_you_mean(Path(given).stem, known)
    raise BadScenario([f"{given}: no such file, and no scenario of that name{_choice(known)}{near}"])


def _choice(names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f": there is {listed}" if listed else ""


def _relative(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _text(filename: str) -> str:
    try:
        with open(filename, "rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise BadScenario([f"{filename}: cannot be read: {error.strerror}"]) from None
    if len(content) > FILE_BYTES_MAX:
        raise BadScenario(
            [f"{filename}: larger than 1 MiB: expected a scenario; many tasks are better made by a workload"]
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadScenario([f"{filename}:{line}: not UTF-8 text: byte 0x{content[error.start]:02x}"]) from None
