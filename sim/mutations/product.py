"""What a run is composed of, and how a mutation changes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from foreman.agent.agent import AgentParts
from foreman.executors.jobmode import JobMode
from foreman.executors.native import NativeExecutor
from foreman.operator import OperatorParts


@dataclass(frozen=True)
class Product:
    """What a run is composed of: how clients are wrapped, the parts of operators and agents, what works by models, and
    what looks after Jobs."""

    wrap: Callable[[Any], Any] = lambda cluster: cluster
    operator: OperatorParts = field(default_factory=OperatorParts)
    agent: AgentParts = field(default_factory=AgentParts)
    native: type[NativeExecutor] = NativeExecutor
    jobs: type[JobMode] = JobMode


@dataclass(frozen=True)
class Mutation:
    """`breaks`: the invariant it is expected to violate in a scenario that provokes it."""

    what: str
    breaks: str
    apply: Callable[[Product], Product]


def operator(**parts: Any) -> Callable[[Product], Product]:
    return lambda product: replace(product, operator=replace(product.operator, **parts))


def agent(**parts: Any) -> Callable[[Product], Product]:
    return lambda product: replace(product, agent=replace(product.agent, **parts))


def jobs(kind: type[JobMode]) -> Callable[[Product], Product]:
    return lambda product: replace(product, jobs=kind)
