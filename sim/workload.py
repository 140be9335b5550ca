"""The workload of a scenario: which AgenticTasks are created when, and how their executions will go.

Everything random about a task is drawn here, in task order, from streams of its own: two runs that differ only in policy or
faults get the same tasks with the same durations (common random numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from foreman.api import Agent, AgenticTask, ObjectMeta, Provider, parse
from sim.draw import Distribution, Fixed, Sampler, Stream, Weighted
from sim.executor import Plan
from sim.names import generated_name, number_width
from sim.once import once
from sim.scenario import AgentProfile, Behaviour, Scenario, TaskClass, TaskSeed, Workload
from sim.schedule import Schedule


class Arrival(NamedTuple):
    """A task to create at `at` microseconds; `group`: its name in the mix. `depended_on` is unknown to a generator; see
    World for deletion."""

    at: int
    task: AgenticTask
    plan: Plan
    group: str = ""


def arrivals(scenario: Scenario, seed: int, schedule: Schedule) -> Iterator[Arrival]:
    """All tasks of the scenario in order of creation: explicit ones first where times are equal."""
    explicit = sorted(_explicit(scenario, seed, schedule), key=lambda arrival: arrival.at)
    generated = _generated(scenario, scenario.workload, seed, schedule) if scenario.workload else iter(())
    if not explicit:
        yield from generated
        return
    # Few explicit tasks: merge lazily so that a million generated ones need no list.
    waiting = explicit[::-1]
    for arrival in generated:
        while waiting and waiting[-1].at <= arrival.at:
            yield waiting.pop()
        yield arrival
    yield from reversed(waiting)


def total(scenario: Scenario) -> int:
    return len(scenario.tasks) + (scenario.workload.count if scenario.workload else 0)


def agent_objects(scenario: Scenario, namespaces: set[str]) -> list[Agent]:
    """The Agent objects the scenario's profiles describe, one in each namespace that has tasks."""
    return [
        agent.evolve(metadata=agent.metadata.evolve(namespace=namespace))
        for agent in _agents(scenario.agents)
        for namespace in sorted(namespaces)
    ]


@once
def _agents(profiles: Mapping[str, AgentProfile]) -> list[Agent]:
    return [_agent(name, profile) for name, profile in sorted(profiles.items())]


def _agent(name: str, profile: AgentProfile) -> Agent:
    return Agent.model_validate({"metadata": {"name": name}, "spec": agent_spec(profile)})


def agent_spec(profile: AgentProfile) -> dict[str, Any]:
    """The spec of its Agent, as in a manifest."""
    tools = ["bash", "fetch_issue", "submit_result"]
    spec: dict[str, Any] = {"role": profile.role, "tools": tools, "systemPrompt": "simulated"}
    if profile.provider is Provider.CLOUD_PROXY:
        spec |= {
            "provider": profile.provider,
            "providerConfig": {"baseURL": "http://cloud", "model": profile.model or "any"},
        }
    if profile.requires is not None:
        spec["requiredCapability"] = profile.requires
    if profile.model:
        spec["model"] = profile.model
    if profile.max_concurrent_tasks is not None:
        spec["maxConcurrentTasks"] = profile.max_concurrent_tasks
    if profile.job_mode:
        spec["execution"] = {"mode": "Job"}
    return spec | profile.spec


class Chances:
    """Samplers of one Behaviour, all on one stream; `schedule` decides how long the work takes."""

    def __init__(self, behaviour: Behaviour, stream: Stream, schedule: Schedule) -> None:
        self.behaviour = behaviour
        self.stream = stream
        self.schedule = schedule
        self.open = not isinstance(behaviour.duration, Fixed) and behaviour.tokens is None
        self.duration: Sampler = behaviour.duration.sampler(stream)
        # One possible verdict needs no draw.
        certain = [verdict for verdict, weight in behaviour.verdicts.root.items() if weight]
        self.verdict: Callable[[], str] = (
            (lambda: certain[0]) if len(certain) == 1 else behaviour.verdicts.sampler(stream)
        )

    def plan(self, key: str) -> Plan:
        """Of the task of that key."""
        b = self.behaviour
        # Drawn even where it is chosen: the draws after it stay what they were.
        duration = self.duration()
        if self.open:
            duration = self.schedule.once(key, "work", b.duration, duration)
        # The draws of the other behaviours stay what they were.
        tokens = (self._span(b.tokens.prompt), self._span(b.tokens.output)) if b.tokens is not None else None
        return Plan(duration, self.verdict(), b.errors, b.hangs, b.nothing, tokens, b.conversation)

    def _span(self, span: tuple[int, int]) -> int:
        low, high = span
        return low + self.stream.below(high - low + 1)


def _explicit(scenario: Scenario, seed: int, schedule: Schedule) -> Iterator[Arrival]:
    stream = Stream(seed, "tasks/explicit")
    written = _written(scenario.tasks)
    for name, seeded in scenario.tasks.items():
        chances = Chances(seeded.executor or scenario.executor, stream, schedule)
        yield Arrival(seeded.at, written[name], chances.plan(written[name].key))


@once
def _written(tasks: Mapping[str, TaskSeed]) -> dict[str, AgenticTask]:
    return {
        name: parse(AgenticTask, {"metadata": {"name": name, "namespace": seeded.namespace}, "spec": seeded.spec})
        for name, seeded in tasks.items()
    }


def _generated(scenario: Scenario, workload: Workload, seed: int, schedule: Schedule) -> Iterator[Arrival]:
    templates = _templates(workload)
    names = list(templates)
    # One class needs no draw.
    pick: Callable[[], str] = (
        (lambda: names[0]) if len(names) == 1 else _mixed(workload).sampler(Stream(seed, "tasks/mix"))
    )
    chances = {
        name: Chances(workload.mix[name].executor or scenario.executor, Stream(seed, f"tasks/{name}"), schedule)
        for name in names
    }
    width = number_width(workload.count)
    times = _times(workload, Stream(seed, "tasks/arrivals"), schedule)
    edges = workload.shape.edges(workload.count, Stream(seed, "tasks/shape"))
    prefix, listed = workload.name, workload.listed
    for at, (number, parents) in zip(times, edges, strict=True):
        work = listed[number] if listed else None
        name = work.of if work else pick()
        task = templates[name]
        spec = task.spec
        if parents:
            spec = spec.evolve(depends_on=tuple(f"{prefix}-{parent:0{width}}" for parent in parents))
        meta = task.metadata.evolve(name=f"{prefix}-{number:0{width}}")
        plan = chances[name].plan(f"{workload.namespace}/{meta.name}")
        if work is not None:
            at, plan = work.at, plan._replace(duration=work.duration, tokens=work.tokens)
        yield Arrival(at, task.evolve(metadata=meta, spec=spec), plan, name)


def _times(workload: Workload, stream: Stream, schedule: Schedule) -> Iterator[int]:
    """When each task arrives: where that is left to chance, the gaps between them are choices."""
    drawn = workload.arrivals.times(workload.count, stream)
    usual = workload.arrivals.gap()
    return drawn if usual is None else _chosen(workload, drawn, usual, schedule)


def _chosen(workload: Workload, drawn: Iterator[int], usual: Distribution, schedule: Schedule) -> Iterator[int]:
    at = before = 0
    for number, time in enumerate(drawn):
        at += schedule.once(f"{workload.namespace}/{generated_name(workload, number)}", "arrival", usual, time - before)
        before = time
        yield at


def _mixed(workload: Workload) -> Weighted[str]:
    return Weighted[str]({name: each.weight for name, each in workload.mix.items() if each.weight})


@once
def _templates(workload: Workload) -> dict[str, AgenticTask]:
    """A task without a name of each class that has any."""
    return {name: _template(each, workload.namespace) for name, each in workload.mix.items() if each.weight}


def _template(each: TaskClass, namespace: str) -> AgenticTask:
    spec: dict[str, object] = {"kind": each.kind, "payload": {}, "priority": each.priority}
    if each.requires is not None:
        spec["requiredCapability"] = each.requires
    if each.agent:
        spec["agentRef"] = {"name": each.agent}
    if each.timeout:
        spec["timeoutSeconds"] = max(each.timeout // 1_000_000, 1)
    if each.retry is not None:
        spec["retryPolicy"] = each.retry
    meta = ObjectMeta(namespace=namespace)
    return AgenticTask.model_validate({"metadata": meta, "spec": spec})


def namespaces(scenario: Scenario) -> set[str]:
    found = {seeded.namespace for seeded in scenario.tasks.values()}
    found |= {seeded.namespace for seeded in scenario.workloads.values()}
    return found | ({scenario.workload.namespace} if scenario.workload else set())
