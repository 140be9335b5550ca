"""Why is it pending? Counts per reason over the fleet, and the smallest change that would make it fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from foreman.decide.filters import Node, Reason, mismatches, obstacle
from foreman.decide.requirement import Requirement


class Explanation(NamedTuple):
    """`reason`: one CamelCase word for the condition; `counts`: nodes per first reason; `advice`: what would help."""

    reason: str
    counts: dict[Reason, int]
    advice: str
    nodes: int

    @property
    def message(self) -> str:
        """One line, e.g. '0/3 nodes fit: 2 other accelerator, 1 no free slot; waits for a free slot on 1 node'."""
        if not self.nodes:
            return f"no FleetNode is registered; {self.advice}"
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        counts = ", ".join(f"{count} {reason.value}" for reason, count in ordered)
        return f"0/{self.nodes} nodes fit: {counts}; {self.advice}"


class Change(NamedTuple):
    """What would make one ready node fit: how many things differ, by how much numbers fall short, and each in words."""

    steps: int
    shortfall: int
    remedies: tuple[str, ...]


class Fit(NamedTuple):
    """One node's answer: whether the task fits at this moment, else everything about the node that is in the way."""

    node: str
    fits: bool
    reasons: tuple[str, ...]


def fit(want: Requirement, node: Node) -> Fit:
    """`reasons` in words with the numbers: 'too little RAM (16 of 32 GiB)'."""
    wrong = mismatches(want, node)
    hurdle = obstacle(want, node)
    if hurdle is not None and not (hurdle is Reason.RAM_TAKEN and Reason.RAM in wrong):
        wrong.append(hurdle)
    return Fit(node.name, not wrong, tuple(_in_words(reason, want, node) for reason in wrong))


def explain(want: Requirement, nodes: Iterable[Node]) -> Explanation:
    """Why no node takes a task of this demand at present."""
    counts: Counter[Reason] = Counter()
    waits: Counter[Reason] = Counter()
    changes: Counter[Change] = Counter()
    total = 0
    for node in nodes:
        total += 1
        wrong = mismatches(want, node)
        hurdle = obstacle(want, node)
        if wrong:
            counts[wrong[0]] += 1
            if node.ready:
                changes[Change(len(wrong), _shortfall(want, node), tuple(_remedy(r, want, node) for r in wrong))] += 1
        elif hurdle is not None:
            counts[hurdle] += 1
            waits[hurdle] += 1
    return Explanation(_word(total, waits), dict(counts), _advice(total, waits, changes), total)


def _word(total: int, waits: Counter[Reason]) -> str:
    if not total:
        return "NoNodes"
    if waits[Reason.BUSY] or waits[Reason.RAM_TAKEN] or waits[Reason.ENDPOINT]:
        return "NodesBusy"
    return "NodesNotReady" if waits else "Unschedulable"


def _advice(total: int, waits: Counter[Reason], changes: Counter[Change]) -> str:
    if not total:
        return "start a foreman agent"
    for reason, what in (
        (Reason.BUSY, "waits for a free slot"),
        (Reason.RAM_TAKEN, "waits for RAM that other tasks hold"),
        (Reason.ENDPOINT, "waits for its model to have room for one run more"),
        (Reason.NOT_READY, "waits for a node to become ready"),
    ):
        if waits[reason]:
            return f"{what} on {_count(waits[reason])}"
    if not changes:
        return "no ready node is near enough to advise a change"
    change = min(changes, key=lambda change: (change.steps, change.shortfall, -changes[change], change.remedies))
    return f"would fit {_count(changes[change])} if {' and '.join(change.remedies)}"


def _shortfall(want: Requirement, node: Node) -> int:
    ram = max(want.min_ram_gb - node.available_ram_gb, 0)
    return ram + max(want.min_context_tokens - node.max_context_tokens, 0)


def _count(number: int) -> str:
    return "1 node" if number == 1 else f"{number} nodes"


def _remedy(reason: Reason, want: Requirement, node: Node) -> str:
    match reason:
        case Reason.ACCELERATOR:
            return f"accelerator were {node.accelerator or 'any'} instead of {want.accelerator}"
        case Reason.RAM:
            return f"minRAMGB were {node.available_ram_gb} instead of {want.min_ram_gb}"
        case Reason.CONTEXT:
            return f"minContextTokens were {node.max_context_tokens} instead of {want.min_context_tokens}"
        case Reason.SELECTOR:
            return f"the node had the label {_labels_lacking(want, node)}"
        case Reason.ROLES:
            return f"the node had the role {_roles_lacking(want, node)}"
        case Reason.SPEED:
            return f"minTokensPerSecond were {node.speed_of(want.endpoint)} instead of {want.min_tokens_per_second}"
        case _:
            return f"the model {want.model or '(unnamed: set spec.model of the Agent)'} were installed"


def _labels_lacking(want: Requirement, node: Node) -> str:
    return ", ".join(f"{key}={value}" for key, value in want.selector if node.labels.get(key, "") != value)


def _roles_lacking(want: Requirement, node: Node) -> str:
    return ", ".join(sorted(set(want.roles) - node.roles))


def _in_words(reason: Reason, want: Requirement, node: Node) -> str:
    detail = _detail(reason, want, node)
    return f"{reason.value} ({detail})" if detail else reason.value


def _detail(reason: Reason, want: Requirement, node: Node) -> str:
    """What the node has against what is wanted."""
    match reason:
        case Reason.ACCELERATOR:
            return f"{node.accelerator or 'unknown'}, not {want.accelerator}"
        case Reason.RAM:
            return f"{node.available_ram_gb} of {want.min_ram_gb} GiB"
        case Reason.CONTEXT:
            return f"{node.max_context_tokens} of {want.min_context_tokens} tokens"
        case Reason.SELECTOR:
            return f"needs {_labels_lacking(want, node)}"
        case Reason.ROLES:
            return f"needs {_roles_lacking(want, node)}"
        case Reason.MODEL:
            return want.model or "the Agent names none"
        case Reason.SPEED:
            return f"{node.speed_of(want.endpoint)} of {want.min_tokens_per_second} tokens/s"
        case Reason.ENDPOINT:
            endpoint = node.endpoints[want.endpoint]
            return f"{node.runs_of(want.endpoint)} runs of {endpoint.max_concurrent or 'any number'} by {want.endpoint}"
        case Reason.BUSY:
            return f"{node.used} of {node.slots} in use"
        case Reason.RAM_TAKEN:
            return f"{max(node.ram_gb - node.taken_ram_gb, 0)} of {want.min_ram_gb} GiB left"
        case _:
            return ""
