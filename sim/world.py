"""World: the composition root of a run. A scenario and a seed in; hosts, network, API server, checkers, statistics out."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from operator import attrgetter
from typing import Any

from foreman.agent.agent import Agent as NodeAgent
from foreman.agent.identity import instance_of
from foreman.agent.registrar import Identity
from foreman.api import AgenticTask
from foreman.decide.requirement import agent_key, requirement_of
from foreman.operator import Operator, OperatorOptions, OperatorParts
from sim.apiserver import ApiServer
from sim.cascade import Cascade
from sim.checkers import SPECIAL, Checkers, Violation
from sim.clock import Clock
from sim.cluster import Endpoint, SimCluster
from sim.collector import uncollected
from sim.draw import Stream
from sim.ending import Tasks, compare_with_calm
from sim.executor import Plan, SimExecutor
from sim.faults import Faults
from sim.garbage import JANITOR, GarbageCollector
from sim.heartbeats import CountingServer, Heartbeats, exact_because
from sim.hold import Hold
from sim.host import EPOCH, SECOND, Host, Process
from sim.jobs import Yard
from sim.machines import machine_of, measured, options_of
from sim.model import Models
from sim.mutations import Product, mutated
from sim.names import node_names
from sim.network import Link
from sim.pipelines import ChildPlans, Pipelines
from sim.register import Histories
from sim.scenario import NodeGroup, Scenario
from sim.schedule import BOOT, Drawn, Listed, Schedule
from sim.serving import Serving
from sim.states import States
from sim.stats import Stats
from sim.thinking import thoughtful
from sim.trace import Digest, Trace
from sim.ttl import TimeToLive
from sim.user import submit
from sim.workload import Arrival, arrivals, total

STAGGER = 1 * SECOND
TWIN_DELAY = 5 * SECOND
ENOUGH_VIOLATIONS = 50
"""A run that has gone wrong this often has told enough: it may never end by itself."""
CALLS_PER_LOOK = 8192


class _Roles(dict[str, str]):
    """What actors may write as."""

    def __missing__(self, actor: str) -> str:
        return "user"


class World:
    """One run. `seed` overrides the scenario's; `product` is what runs (default: with the scenario's mutations);
    `check=False` leaves the invariants out; `trace` receives the event log; `schedule` decides how long things take; after
    `enough` violations the run ends; without a `digest` it is a little faster."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int | None = None,
        *,
        product: Product | None = None,
        check: bool = True,
        trace: Trace | None = None,
        schedule: Schedule | None = None,
        enough: int = ENOUGH_VIOLATIONS,
        digest: bool = True,
    ) -> None:
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.schedule = schedule or (Drawn(self.seed) if scenario.schedule is None else Listed(scenario.schedule))
        self.enough = enough
        self.product = product or mutated(scenario.mutations)
        self.trace = trace
        self.states: States | None = None
        self.env = Clock()
        # Read at every write: all of it in C.
        self.now: Callable[[], int] = partial(attrgetter("now"), self.env)
        self.exact = exact_because(scenario, trace is not None, schedule is not None, product is not None)
        server = ApiServer if self.exact else CountingServer
        self.server = server(lambda: EPOCH + self.env.now // SECOND, scenario.apiserver.history)
        self.endpoint = Endpoint(self.env, self.server, scenario.apiserver.replicas, scenario.apiserver.stale_lists)
        self.heartbeats = Heartbeats(self) if not self.exact else None
        self.hosts: dict[str, Host] = {}
        self.links: dict[str, Link] = {}
        self.roles: dict[str, str] = _Roles({JANITOR: "user"})
        self.operators: dict[str, Operator] = {}
        self.agents: dict[str, NodeAgent] = {}
        self.clients: dict[str, SimCluster] = {}
        self.plans: dict[str, Plan] = ChildPlans(scenario, self.seed, self.server, self.schedule)
        self.yard = Yard(self.env, self.plans, scenario, self.server.tables["Agent"])
        self.crashes: list[tuple[str, str, Exception]] = []
        self.executions = 0
        self.counted = {"discarded": 0, "reconciles": 0, "refused": 0, "relists": 0}
        self.events = 0
        self.wall_seconds = 0.0
        self.interrupted = False
        self.calm: Tasks | None = None  # see sim.ending
        self.total = total(scenario)
        self.pipelines = Pipelines(len(scenario.workloads), self._child_made, self._maybe_finish)
        self.slots = sum(group.count * group.slots for group in scenario.fleet.values())
        self._stopped = False
        self.ttl = TimeToLive(self.env, self.server, scenario.workload.ttl if scenario.workload else 0)
        self._observe(check, digest)
        self._lags()
        self._populate()
        self.faults = Faults(self.env, scenario, self.seed, self.hosts, self.links, self.endpoint, self._note)
        self.faults.on_calm = self._maybe_finish
        self.checkers.up = lambda host: self.hosts[host].up

    # composition

    def _observe(self, check: bool, digest: bool) -> None:
        scenario = self.scenario
        self.digest = Digest(self.now)
        self.stats = Stats(self.now, scenario.operators.audit, self.roles.__getitem__)
        self.stats.on_settled = self._settled
        one_scheduler = scenario.operators.replicas == 1
        self.checkers = Checkers(self.server, self.now, self.roles.__getitem__, one_scheduler, self._violated)
        self.checkers.reconciles = lambda: self.counted["reconciles"]
        self.checkers.jobs = self.yard
        self.checkers.sent = lambda: self.endpoint.sent
        self.checkers.blind_until = lambda actor: self.hosts[actor.partition("/")[0]].blind_until
        self.histories = Histories(self.now) if check and scenario.checks.linearizable else None
        if check:
            self.checkers.special = [each(self.checkers, scenario) for each in SPECIAL if each.concerns(scenario)]
            self.server.observers += [self.checkers.committed, *(each.committed for each in self.checkers.special)]
        if digest:
            self.server.observers.append(self.digest.committed)
        self.server.observers.append(self.stats.committed)
        if scenario.workloads:
            self.server.observers.append(self.pipelines.committed)
        self.models = Models(scenario, self.seed, self.now, self.product.native, self.checkers.special)
        GarbageCollector(self.env, self.server)
        if any(fault.fault == "delete-workload" for fault in scenario.faults):
            Cascade(self.env, self.server)
        if self.trace is not None:
            self.trace.now = self.now
            if self.trace.sink is not None:
                self.trace.begin(scenario.model_dump(mode="json", exclude_defaults=True), self.seed, check)
                self.states = States(self.trace)
                self.server.observers.append(self.states.committed)
            self.endpoint.tap = self.trace.request
            self.endpoint.watch = self.trace.watched()

    def _lags(self) -> None:
        lags = self.scenario.apiserver.lag
        for number, replica in enumerate(self.endpoint.replicas):
            if lags:
                replica.lag = lags[min(number, len(lags) - 1)]

    def _populate(self) -> None:
        scenario = self.scenario
        for number in range(scenario.operators.replicas):
            name = f"operator-{number}"
            boot_at = self.schedule.once(name, "boot", BOOT, 0)
            parts = thoughtful(self.product.operator, scenario.operators, name, self.schedule)
            self._host(name, partial(self._operator, parts), scenario.operators.restart_delay, boot_at)
        stagger = Stream(self.seed, "boot")
        for group, nodes in scenario.fleet.items():
            for name in node_names(group, nodes.count):
                for twin in range(nodes.twins):
                    host = name if twin == 0 else f"{name}.{twin}"
                    drawn = stagger.below(STAGGER) + twin * TWIN_DELAY
                    boot_at = self.schedule.once(host, "boot", BOOT, drawn)
                    self._host(host, self._agent_program(name, nodes), scenario.agent.restart_delay, boot_at)
        self._host("user", self._user, SECOND, 0)

    def _host(
        self, name: str, program: Callable[[Process], Coroutine[Any, Any, None]], restart_delay: int, boot_at: int
    ) -> None:
        network = self.scenario.network
        self.links[name] = Link(name, self.seed, network.latency, network.watch, network.loss, self.schedule)
        host = self.hosts[name] = Host(self.env, name, program, restart_delay)
        host.on_crash = self._crashed
        self.env.at(boot_at, lambda _: host.boot())

    def client(self, process: Process, actor: str, role: str) -> Any:
        """A client for `process` that signs its writes as `actor`."""
        self.roles[actor] = role
        cluster = SimCluster(self.endpoint, self.links[process.host.name], process, actor, role)
        self.clients[process.host.name] = cluster
        mutated_client = self.product.wrap(cluster)
        return self.histories.wrap(mutated_client, actor, role) if self.histories is not None else mutated_client

    async def _operator(self, parts: OperatorParts, process: Process) -> None:
        name = process.host.name
        identity = f"{name}/{process.host.boots}"
        options = OperatorOptions(
            policy=self.scenario.policy,
            leader_elect=self.scenario.operators.leader_election,
            identity=identity,
            audit=self.scenario.operators.audit,
        )
        draw = Stream(self.seed, f"policy/{identity}").below
        cluster = self.client(process, identity, "operator")
        operator = Operator(cluster, process, options, draw, parts)
        self.operators[name] = operator
        process.on_death.append(lambda: self._count_operator(operator))
        await operator.run(process.stop)

    def _agent_program(self, node: str, group: NodeGroup) -> Callable[[Process], Coroutine[Any, Any, None]]:
        machine = machine_of(group)
        spec = machine.spec.evolve(node_name=node)
        options = options_of(self.scenario.agent)
        speed = self._speed if self.scenario.contention.capacity else None

        async def program(process: Process) -> None:
            host = process.host.name
            instance = instance_of(host, str(process.host.boots))
            luck = Stream(self.seed, f"executor/{instance}")
            serving = Serving(machine.endpoints, group.tokens_per_second)
            spoil = self.faults.ambushes.spoil
            cluster = self.client(process, instance, "agent")
            work = self.models.worker(process, cluster, serving)
            jobs = self.yard.supervision(self.product.jobs, self.links[host], process)
            executor = SimExecutor(
                process, self.plans, luck, instance, self, spoil, serving, self._model_of, speed, work, jobs
            )
            identity = Identity(node, instance, spec, group.labels)
            measure = partial(measured, machine.capability, process.host)
            agent = NodeAgent(cluster, process, identity, executor, measure, options, self.product.agent)
            self.agents[host] = agent
            process.on_death.append(lambda: self._agent_died(instance, agent))
            await agent.run(process.stop)

        return program

    def _speed(self) -> float:
        """Of each execution, as a share of what it would have alone."""
        running = sum(map(len, self.checkers.live.values()))
        share = min(1.0, self.scenario.contention.capacity / max(running, 1))
        return share * share

    async def _user(self, process: Process) -> None:
        cluster = self.client(process, "user", "user")
        await submit(cluster, process, self.scenario, self._arriving(), self.total)
        if self.total == 0:
            self._maybe_finish()
        await process.event().wait()

    def _arriving(self) -> Iterator[Arrival]:
        """The tasks in order; how each will go is known from when it is asked for."""
        for arrival in arrivals(self.scenario, self.seed, self.schedule):
            self.plans[arrival.task.key] = arrival.plan
            if self.states is not None and arrival.group:
                self.states.classes[arrival.task.key] = arrival.group
            yield arrival

    def _model_of(self, task: AgenticTask) -> str:
        return requirement_of(task, self.server.tables["Agent"].get(agent_key(task))).endpoint

    # what the run tells

    def _child_made(self) -> None:
        self.total += 1

    def execution_started(self, holder: str, execution: Any) -> None:
        self.executions += 1
        self.checkers.execution_started(holder, execution)
        if self.trace is not None:
            self.trace.execution_started(holder, execution)

    def execution_ended(self, holder: str, execution: Any, completed: bool) -> None:
        self.checkers.execution_ended(holder, execution, completed)
        if self.trace is not None:
            self.trace.execution_ended(holder, execution, completed)

    def _agent_died(self, instance: str, agent: NodeAgent) -> None:
        self.checkers.process_died(instance)
        self._count_agent(agent)

    def _count_agent(self, agent: NodeAgent) -> None:
        self.counted["discarded"] += agent.watcher.discarded
        self.counted["relists"] += agent.watcher.tasks.relists
        agent.watcher.discarded = agent.watcher.tasks.relists = 0

    def _count_operator(self, operator: Operator) -> None:
        self.counted["reconciles"] += sum(each.reconciles for each in operator.controllers)
        self.counted["refused"] += operator.scheduler.conflicts
        operator.scheduler.conflicts = 0
        for each in operator.controllers:
            each.reconciles = 0

    def _note(self, host: str, what: str) -> None:
        if self.trace is not None:
            self.trace.add(host, "fault", detail=what)

    def _violated(self, violation: Violation) -> None:
        if len(self.checkers.violations) >= self.enough:
            self._stopped = True
        if self.trace is not None:
            self.trace.add(
                "checker", "violation", key=violation.task, detail=f"{violation.invariant}: {violation.message}"
            )

    def _crashed(self, host: Host, task: str, error: Exception) -> None:
        self.crashes.append((host.name, task, error))
        self.halt()

    # the end of tasks, and of the run

    def _settled(self, task: AgenticTask) -> None:
        self.plans.pop(task.key, None)
        self.ttl.settled(task)
        self._maybe_finish()

    def _after(self, us: int, fn: Callable[[], None]) -> None:
        self.env.at(us, lambda _: fn())

    def done(self) -> bool:
        tasks = self.stats.settled + self.stats.deleted >= self.total
        return tasks and self.faults.pending == 0 and self.pipelines.settled()

    def _maybe_finish(self) -> None:
        if self.done():
            self._after(self.scenario.linger, self._finish)

    def _finish(self) -> None:
        if self.done():
            self.halt()

    def hold(self, **match: Any) -> Hold:
        """Hold back the matching requests at the API server's door until released: see Hold."""
        return Hold(self.endpoint, **match)

    def run(self, until: int | None = None, progress: Callable[[World], None] | None = None) -> World:
        """Run to the end, or to virtual microsecond `until`. ^C ends the run early and leaves it consistent."""
        started = time.perf_counter()
        try:
            with uncollected():
                for _ in self.steps(until):
                    if progress is not None:
                        progress(self)
        except KeyboardInterrupt:
            self.interrupted = True
        self.wall_seconds += time.perf_counter() - started
        self._close()
        return self

    def steps(self, until: int | None = None) -> Iterator[None]:
        """The same in short steps, for who looks in between; judges nothing."""
        limit = self.scenario.until if until is None else until
        self.env.at(max(limit - self.now(), 0), lambda _: self.halt())
        while not self._stopped:
            self.events += self.env.advance(CALLS_PER_LOOK)
            yield

    def advance(self, until: int) -> None:
        """Run up to virtual microsecond `until`, for tests that act in between; judges nothing."""
        self.env.run(until=until)

    def drop_unstarted(self) -> None:
        """The run ends in mid-flight: without this Python would complain of coroutines that never started."""
        for host in self.hosts.values():
            if host.process is not None:
                host.process.drop_unstarted()

    def halt(self) -> None:
        """End the run before anything else happens in it."""
        self._stopped = True
        self.env.halt()

    @property
    def stopped(self) -> bool:
        """Whether the run has come to its end: all tasks have, or too much is wrong."""
        return self._stopped

    def _close(self) -> None:
        self.drop_unstarted()
        self.judge()

    def judge(self) -> None:
        """Count what the processes have counted, and look whether all that should have happened has."""
        if self.heartbeats is not None:
            self.heartbeats.settle(self)
        for agent in self.agents.values():
            self._count_agent(agent)
        for operator in self.operators.values():
            self._count_operator(operator)
        if self.histories is not None:
            self.checkers.claims(self.histories.violations())
        if not self.interrupted:
            self.checkers.liveness(EPOCH + self.now() // SECOND, self.now() - self.faults.ended_at)
            if self.scenario.checks.differential and self.faults.struck:
                compare_with_calm(self)
