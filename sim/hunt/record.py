"""A counterexample as a file: a scenario that stands alone, and a pytest file that runs it.

The scenario says in `recorded:` which version of Foreman wrote it, what it breaks and the digest of its run, so that a replay
can tell whether it is the same run byte for byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from foreman import __version__
from sim.hunt.case import Case
from sim.hunt.trial import CRASH
from sim.load import check, load
from sim.result import result_of
from sim.scenario import Scenario
from sim.world import World


class NotRecorded(ValueError):
    """The file is a scenario, but nobody recorded a run of it."""


class Replay(NamedTuple):
    """`result`: of the run (see `result_of`); `identical`: whether it is the recorded one; `told`: why not, or ''."""

    scenario: Scenario
    result: dict[str, Any]
    identical: bool
    told: str

    @property
    def violates(self) -> bool:
        """Whether what was recorded is still broken."""
        recorded = self.scenario.recorded
        return recorded is not None and recorded.violates in {
            *(each["invariant"] for each in self.result["violations"]),
            *([CRASH] if self.result["crashes"] else []),
        }


def recorded(case: Case, name: str) -> Scenario:
    """The case as a scenario of that name, with the record of its run."""
    data = {key: value for key, value in case.data.items() if value not in ({}, None)}
    data |= {"name": name, "story": f"{case.violation.task}: {case.violation.message}"}
    digest = World(check(data)).run().digest.hexdigest()
    return check(data | {"recorded": {"foreman": __version__, "violates": case.invariant, "digest": digest}})


def save(scenario: Scenario, folder: Path) -> tuple[Path, Path]:
    """Write '<name>.yaml' and 'test_<name>.py' into `folder`; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    name = scenario.name
    told = scenario.recorded
    assert told is not None
    data = scenario.model_dump(mode="json", exclude_defaults=True)
    head = f"# Breaks {told.violates}. Found, and made as small as it gets, by foreman sim hunt.\n"
    head += f"#   foreman sim replay {name}.yaml\n"
    file = folder / f"{name}.yaml"
    file.write_text(head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    test = folder / f"test_{name.replace('-', '_')}.py"
    test.write_text(_TEST.format(name=name, violates=told.violates), encoding="utf-8")
    return file, test


_TEST = '''"""{violates} holds in {name}.yaml: red as long as the bug is there."""

from pathlib import Path

from sim.testing import replay


def test_{violates_} -> None:
    found = replay(Path(__file__).with_name("{name}.yaml"))
    assert not found.violates, found.result["violations"]
'''.replace("{violates_}", "it_holds()")


def replay(path: Path | str) -> Replay:
    """Run a recorded counterexample again. Raises BadScenario, or NotRecorded."""
    scenario = load(str(path))
    told = scenario.recorded
    if told is None:
        raise NotRecorded(f"{path}: holds no record of a run: expected a file written by foreman sim hunt")
    result = result_of(World(scenario).run())
    if told.foreman != __version__:
        why = f"recorded by Foreman {told.foreman}, this is {__version__}"
    else:
        why = "this is not the code, or the file, that was recorded"
    identical = result["digest"] == told.digest
    return Replay(scenario, result, identical, "" if identical else why)
