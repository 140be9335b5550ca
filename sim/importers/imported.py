"""What every importer makes: groups of machines, classes of tasks, a list of arrivals; and the scenario written from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import yaml

from foreman.durations import show
from sim.importers.lines import BadTrace
from sim.listed import Work

DAY = 86_400 * 10**6
LONGEST_TIMEOUT = (2**31 - 1) * 10**6


@dataclass
class Imported:
    """`losses`: what the scenario cannot say or says otherwise, and how often."""

    name: str
    story: str
    fleet: dict[str, dict[str, Any]] = field(default_factory=dict)
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)
    work: list[Work] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)

    def classify(self, prefix: str, wanted: dict[str, Any]) -> str:
        """The name of the class of tasks that are like this, a new one if there is none."""
        for name, each in self.classes.items():
            if each == wanted and name.startswith(prefix):
                return name
        name = f"{prefix}-{len(self.classes)}"
        self.classes[name] = wanted
        return name

    def sped_up(self, factor: float) -> Imported:
        """Everything so many times sooner and shorter; tokens stay what they are."""
        self.work = [
            each._replace(at=round(each.at / factor), duration=max(round(each.duration / factor), 1))
            for each in self.work
        ]
        return self

    def text(self, source: str, lead: int = 0) -> str:
        """The scenario as YAML. The first task comes after `lead` microseconds: machines take up to a second to start."""
        if not self.work:
            raise BadTrace(f"{source}: no task in it: expected at least one")
        work = sorted(self.work, key=lambda each: each.at)
        first = work[0].at - lead
        longest = max(each.duration for each in work)
        timeout = min(max(2 * longest, 3600 * 10**6), LONGEST_TIMEOUT)
        data = {
            "story": self.story,
            "until": show(work[-1].at - first + 3 * longest + DAY),
            "fleet": self.fleet,
            "workload": {"mix": {name: {**each, "timeout": show(timeout)} for name, each in self.classes.items()}},
        }
        listed = "".join(f"    {each._replace(at=each.at - first).written()}\n" for each in work)
        head = yaml.safe_dump({"name": self.name, **data}, sort_keys=False, width=120, allow_unicode=True)
        return f"# From {source}\n{head}  listed: |\n{listed}"

    def told(self) -> list[str]:
        """What there is, and what was lost, a line each."""
        nodes = sum(group.get("count", 1) for group in self.fleet.values())
        slots = sum(group.get("count", 1) * group.get("slots", 1) for group in self.fleet.values())
        head = f"{len(self.work)} tasks in {len(self.classes)} classes, {nodes} nodes with {slots} slots"
        return [head, *(f"{count} x {what}" for what, count in self.losses.items())]
