"""A court: the checkers over an API server that tests write to by hand, legally or not."""

from __future__ import annotations

from typing import Any

from support import new_agent, new_node, new_task
from workload_kit import child, workload

from foreman.api import AgenticTask, Condition, ObjectReference, Phase, Workload
from foreman.executors import Execution
from sim.apiserver import ApiServer
from sim.checkers import SPECIAL, Checkers, Violation
from sim.checkers.endpoints import EndpointCheck
from sim.checkers.workloads import WorkloadCheck
from sim.clock import Clock
from sim.host import EPOCH, SECOND, Signal
from sim.load import parse
from sim.scenario import Scenario

ROLES = {"op": "operator", "n1/1": "agent", "n1/2": "agent", "n2/1": "agent"}
METAL = {"accelerator": "metal", "total_ram_gb": 32, "available_ram_gb": 32}


class Court:
    """`op` is the operator, `n1/1` and `n1/2` two processes of the agent on the metal node n1, which has 32 GiB."""

    def __init__(self, slots: int = 1) -> None:
        self.time = 0
        self.server = ApiServer(lambda: EPOCH + self.time // SECOND)
        self.found: list[Violation] = []
        self.checkers = Checkers(
            self.server, lambda: self.time, lambda actor: ROLES.get(actor, "user"), True, self.found.append
        )
        scenario = Scenario(fleet={"n": {}})
        self.checkers.special = [check(self.checkers, scenario) for check in (WorkloadCheck, EndpointCheck)]
        self.server.observers += [self.checkers.committed, *(check.committed for check in self.checkers.special)]
        for name in ("n1", "n2"):
            self.server.create(f"{name}/1", new_node(name, slots=slots))
            self.node(name, phase="Ready", capability=METAL)
            self.beat(name)

    def ask(self, text: str) -> None:
        """Put the checks on that a scenario with these keys has."""
        scenario = parse(f"fleet: {{n: {{twins: 2}}}}\nworkload: {{count: 1}}\n{text}", "court.yaml")
        self.checkers.special = [each(self.checkers, scenario) for each in SPECIAL if each.concerns(scenario)]
        self.server.observers += [each.committed for each in self.checkers.special]

    def wait(self, seconds: int) -> None:
        self.time += seconds * SECOND

    def node(self, name: str, **changes: Any) -> None:
        self.server.patch_status(f"{name}/1", self.server.get("test", "FleetNode", name), changes, None)

    def beat(self, name: str = "n1") -> None:
        self.node(name, last_heartbeat_time=EPOCH + self.time // SECOND)

    def agent(self, name: str, limit: int) -> None:
        self.server.create("user", new_agent(name, maxConcurrentTasks=limit))

    def task(self, name: str = "a") -> AgenticTask:
        found: AgenticTask = self.server.get("test", "AgenticTask", name, "default")
        return found

    def write(self, actor: str, name: str = "a", **changes: Any) -> None:
        self.server.patch_status(actor, self.task(name), changes, None)

    # the life of a task, as it should be

    def pending(self, name: str = "a", **spec: Any) -> None:
        self.server.create("user", new_task(name, **spec))
        self.write("op", name, phase=Phase.PENDING)

    def assign(self, name: str = "a", node: str = "n1") -> None:
        attempt = self.task(name).status.attempt + 1
        self.write("op", name, phase=Phase.SCHEDULED, assigned_node=node, attempt=attempt)

    def claim(self, name: str = "a", holder: str = "n1/1") -> None:
        now = EPOCH + self.time // SECOND
        self.write(holder, name, phase=Phase.RUNNING, holder=holder, claimed_at=now, started_at=now)

    def running(self, name: str = "a", **spec: Any) -> None:
        self.pending(name, **spec)
        self.assign(name)
        self.claim(name)

    def start(self, name: str = "a", holder: str = "n1/1", attempt: int | None = None) -> Execution:
        task = self.task(name)
        execution = Execution(task, attempt or task.status.attempt, Signal(Clock()))
        self.checkers.execution_started(holder, execution)
        return execution

    def execute(self, name: str = "a", holder: str = "n1/1") -> None:
        self.checkers.execution_ended(holder, self.start(name, holder), True)

    def finish(self, name: str = "a", holder: str = "n1/1") -> None:
        self.write(holder, name, phase=Phase.SUCCEEDED, verdict="GO", finished_at=EPOCH)

    def release(self, actor: str = "op", name: str = "a", **more: Any) -> None:
        self.write(actor, name, phase=Phase.PENDING, assigned_node="", holder="", **more)

    def condition(self, reason: str, status: str = "False", type_: str = "Scheduled") -> tuple[Condition, ...]:
        now = EPOCH + self.time // SECOND
        return (Condition(type=type_, status=status, reason=reason, last_transition_time=now),)

    # a Workload of two steps, as it should be rendered

    def workload(self) -> Workload:
        found: Workload = self.server.get("test", "Workload", "wl", "default")
        return found

    def sum_up(self, actor: str = "op", **changes: Any) -> None:
        """The operator writes the Workload's status."""
        self.server.patch_status(actor, self.workload(), changes, None)

    def planned(self, *steps: str) -> None:
        """A Workload `wl` whose steps are on record and not made yet."""
        self.server.create("user", workload(reviewerAgentRefs=None))
        self.sum_up(tasks=tuple(ObjectReference(name=f"wl-{step}") for step in steps))

    def render(self, step: str, actor: str = "op", uid: str | None = None, **spec: Any) -> AgenticTask:
        made = child(step, owner=self.workload().metadata.uid if uid is None else uid)
        return self.server.create(actor, made.evolve(spec=made.spec.evolve(**spec)))  # type: ignore[no-any-return]

    def record(self, *children: AgenticTask) -> None:
        self.sum_up(tasks=tuple(ObjectReference(name=c.metadata.name, uid=c.metadata.uid) for c in children))

    def rendered(self) -> tuple[AgenticTask, AgenticTask]:
        self.planned("code-641", "verify-641")
        made = self.render("code-641"), self.render("verify-641", depends_on=("wl-code-641",))
        self.record(*made)
        return made

    # the verdict

    def judge(self, calm: int = 10_000) -> None:
        self.checkers.liveness(EPOCH + self.time // SECOND, calm * SECOND)

    def broken(self) -> set[str]:
        assert self.found == self.checkers.violations
        return {violation.invariant for violation in self.found}
