"""The README is held to what it says."""

from __future__ import annotations

import re
from pathlib import Path

from foreman.api import Phase
from foreman.decide.lifecycle import diagram
from sim.load import parse, shipped
from sim.mutations import MUTATIONS

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_phase_diagram_is_the_one_the_table_gives() -> None:
    assert f"```mermaid\n{diagram()}\n```" in README
    assert all(phase in README for phase in Phase)


def test_every_scenario_has_a_row() -> None:
    assert all(f"| `{name}` |" in README for name in shipped())


def test_the_example_scenario_is_valid() -> None:
    for example in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL):
        parse(example, "README.md")


def test_the_mutation_it_shows_exists() -> None:
    for name in re.findall(r"mutations=\[([a-z-]+)\]", README):
        assert name in MUTATIONS
