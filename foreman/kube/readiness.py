"""When is a process ready? The checks behind /readyz."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from foreman.agent.agent import Agent
from foreman.api import HEARTBEAT_TIMEOUT_SECONDS
from foreman.cache import Cache
from foreman.kube.health import Check
from foreman.operator import Operator
from foreman.runtime import Runtime


def checked(checks: list[Callable[[], Iterator[Check]]]) -> Iterator[Check]:
    yield Check("admitted", bool(checks), "" if checks else "the API server has not answered yet")
    for each in checks:
        yield from each()


def _cache_check(cache: Cache[Any]) -> Check:
    detail = f"{len(cache)} objects" if cache.watching else "lost" if cache.synced.is_set() else "not listed yet"
    return Check(f"watch {cache.kind}", cache.watching, detail)


def operator_checks(operator: Operator, caches: tuple[Cache[Any], ...]) -> Iterator[Check]:
    for cache in caches:
        yield _cache_check(cache)
    # A candidate is ready to take over: that is what it is there for.
    yield Check("election", True, "active" if operator.active else "standby")


def agent_checks(agent: Agent, runtime: Runtime) -> Iterator[Check]:
    registrar = agent.registrar
    registered = registrar.registered.is_set()
    other = registrar.standing_by_for
    yield Check(
        "registered", registered, registrar.identity.name if registered else other and f"standing by for {other}"
    )
    silent = runtime.now() - registrar.beaten_at
    if registered:
        yield Check("heartbeat", silent < HEARTBEAT_TIMEOUT_SECONDS, f"{silent:.0f}s ago")
        yield _cache_check(agent.watcher.tasks)
    if registrar.draining:
        yield Check("serving", False, "draining")
