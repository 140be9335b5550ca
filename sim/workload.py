"""The workload of a scenario: which AgenticTasks are created when, and how their executions will go.

Everything random about a task is drawn here, in task order, from streams of its own: two runs that differ only in policy or
faults get the same tasks with the same durations (common random numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from foreman.api import Agent, AgenticTask, ModelEndpoint, ObjectMeta, Provider, from_wire
from sim.draw import Sampler, Stream, Weighted
from sim.executor import Plan
from sim.names import number_width
from sim.scenario import Behaviour, NodeGroup, Scenario, TaskClass, Workload


class Arrival(NamedTuple):
    """A task to create at `at` microseconds. `depended_on` is unknown to a generator; see World for deletion."""

    at: int
    task: AgenticTask
    plan: Plan


def arrivals(scenario: Scenario, seed: int) -> Iterator[Arrival]:
    """All tasks of the scenario in order of creation: explicit ones first where times are equal."""
    explicit = sorted(_explicit(scenario, seed), key=lambda arrival: arrival.at)
    generated = _generated(scenario, scenario.workload, seed) if scenario.workload else iter(())
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
    objects = []
    for name, profile in sorted(scenario.agents.items()):
        tools = ["bash", "fetch_issue", "submit_result"]
        spec: dict[str, object] = {"role": profile.role, "tools": tools, "systemPrompt": "simulated"}
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
        for namespace in sorted(namespaces):
            objects.append(Agent.model_validate({"metadata": {"name": name, "namespace": namespace}, "spec": spec}))
    return objects


def endpoints_of(group: NodeGroup) -> tuple[ModelEndpoint, ...]:
    """The endpoints that each node of the group declares."""
    return tuple(
        ModelEndpoint(
            model=model,
            max_concurrent=each.max_concurrent,
            tokens_per_second=each.tokens_per_second,
            prefill_tokens_per_second=each.prefill_tokens_per_second,
        )
        for model, each in group.endpoints.items()
    )


class Chances:
    """Samplers of one Behaviour, all on one stream."""

    def __init__(self, behaviour: Behaviour, stream: Stream) -> None:
        self.behaviour = behaviour
        self.stream = stream
        self.duration: Sampler = behaviour.duration.sampler(stream)
        # One possible verdict needs no draw.
        certain = [verdict for verdict, weight in behaviour.verdicts.root.items() if weight]
        self.verdict: Callable[[], str] = (
            (lambda: certain[0]) if len(certain) == 1 else behaviour.verdicts.sampler(stream)
        )

    def plan(self) -> Plan:
        b = self.behaviour
        # The draws of the other behaviours stay what they were.
        tokens = (self._span(b.tokens.prompt), self._span(b.tokens.output)) if b.tokens is not None else None
        return Plan(self.duration(), self.verdict(), b.errors, b.hangs, b.nothing, tokens)

    def _span(self, span: tuple[int, int]) -> int:
        low, high = span
        return low + self.stream.below(high - low + 1)


def _explicit(scenario: Scenario, seed: int) -> Iterator[Arrival]:
    stream = Stream(seed, "tasks/explicit")
    for name, seeded in scenario.tasks.items():
        task = from_wire(
            {
                "apiVersion": "foreman.llmkube.dev/v1alpha1",
                "kind": "AgenticTask",
                "metadata": {"name": name, "namespace": seeded.namespace},
                "spec": seeded.spec,
            }
        )
        assert isinstance(task, AgenticTask)
        yield Arrival(seeded.at, task, Chances(seeded.executor or scenario.executor, stream).plan())


def _generated(scenario: Scenario, workload: Workload, seed: int) -> Iterator[Arrival]:
    classes = {name: each for name, each in workload.mix.items() if each.weight}
    pick = Weighted[str]({name: each.weight for name, each in classes.items()}).sampler(Stream(seed, "tasks/mix"))
    templates = {name: _template(each, workload.namespace) for name, each in classes.items()}
    chances = {
        name: Chances(each.executor or scenario.executor, Stream(seed, f"tasks/{name}"))
        for name, each in classes.items()
    }
    only = next(iter(classes)) if len(classes) == 1 else None
    width = number_width(workload.count)
    times = workload.arrivals.times(workload.count, Stream(seed, "tasks/arrivals"))
    edges = workload.shape.edges(workload.count, Stream(seed, "tasks/shape"))
    prefix, listed = workload.name, workload.listed
    for at, (number, parents) in zip(times, edges, strict=True):
        work = listed[number] if listed else None
        name = work.of if work else only or pick()
        task = templates[name]
        spec = task.spec
        if parents:
            spec = spec.evolve(depends_on=tuple(f"{prefix}-{parent:0{width}}" for parent in parents))
        meta = task.metadata.evolve(name=f"{prefix}-{number:0{width}}")
        plan = chances[name].plan()
        if work is not None:
            at, plan = work.at, plan._replace(duration=work.duration, tokens=work.tokens)
        yield Arrival(at, task.evolve(metadata=meta, spec=spec), plan)


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
