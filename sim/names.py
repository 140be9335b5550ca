"""What the things of a scenario are called: hosts, nodes and tasks, as faults and traces name them."""

from __future__ import annotations

import re

from sim.scenario import Scenario, Workload

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def node_names(group: str, count: int) -> list[str]:
    """'<group>-<number>' from 0, padded to equal length so that names sort as numbers: gpu-00 .. gpu-11."""
    width = number_width(count)
    return [f"{group}-{number:0{width}}" for number in range(count)]


def number_width(count: int) -> int:
    """Digits of the largest of `count` numbers from 0."""
    return len(str(max(count - 1, 0)))


def apiserver_names(scenario: Scenario) -> list[str]:
    return [f"apiserver-{number}" for number in range(scenario.apiserver.replicas)]


def all_node_names(scenario: Scenario) -> list[str]:
    return [name for group, nodes in scenario.fleet.items() for name in node_names(group, nodes.count)]


def host_names(scenario: Scenario) -> list[str]:
    """Every host: operators, agents (the n-th twin of a node is '<node>.<n>'), and the user who creates the tasks."""
    agents = [
        name if twin == 0 else f"{name}.{twin}"
        for group, nodes in scenario.fleet.items()
        for name in node_names(group, nodes.count)
        for twin in range(nodes.twins)
    ]
    operators = [f"operator-{number}" for number in range(scenario.operators.replicas)]
    return [*operators, *agents, "user"]


def generated_name(workload: Workload, number: int) -> str:
    """The workload's task `number`, padded like a node."""
    return f"{workload.name}-{number:0{number_width(workload.count)}}"


def is_generated(workload: Workload, name: str) -> bool:
    """Whether the workload makes a task of that name."""
    number = name.rpartition("-")[2]
    whole = number.isascii() and number.isdigit() and len(number) <= 10
    return whole and int(number) < workload.count and name == generated_name(workload, int(number))


def is_label(name: str) -> bool:
    """Whether an API server takes `name` as a DNS label (RFC 1123)."""
    return _LABEL.fullmatch(name) is not None
