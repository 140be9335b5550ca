"""The task controller: normalises new tasks, resolves dependencies, hands eligible ones to the scheduler, takes back claims
whose node is silent or whose time is up, and keeps the record of finished ones."""

from __future__ import annotations

from collections import defaultdict
from typing import cast

from foreman.api import (
    ANNOTATION_AUDITED,
    ANNOTATION_CLAIM_EXPIRIES,
    IN_FLIGHT,
    REASON_AGENT_NOT_FOUND,
    REASON_CLAIM_EXPIRED,
    TERMINAL,
    Agent,
    AgenticTask,
    FleetNode,
    FleetNodePhase,
    Phase,
)
from foreman.audit import Auditor
from foreman.cache import Cache
from foreman.cluster import Cluster, NotFound
from foreman.controller import Controller
from foreman.decide import custody, pending
from foreman.decide.lifecycle import Event, after
from foreman.decide.requirement import agent_key
from foreman.liveness import Liveness
from foreman.resting import Resting
from foreman.runtime import Runtime
from foreman.scheduler import Scheduler

SWEEP_SECONDS = 15.0
WAIT_NEWS_SECONDS = 10.0
PUBLISH_SECONDS = 1.0


class TaskController:
    """Reconciles AgenticTasks by key."""

    next_step = staticmethod(pending.next_step)
    expire = staticmethod(custody.expire)

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        tasks: Cache[AgenticTask],
        nodes: Cache[FleetNode],
        agents: Cache[Agent],
        liveness: Liveness,
        auditor: Auditor | None,
    ) -> None:
        """`auditor` keeps the record of finished tasks; None: none is kept."""
        self.cluster = cluster
        self.runtime = runtime
        self.tasks = tasks
        self.nodes = nodes
        self.agents = agents
        self.liveness = liveness
        self.auditor = auditor
        self.controller = Controller("task", runtime, self.reconcile, view=tasks.get)
        self.queue = self.controller.queue
        self.scheduler: Scheduler
        self._dependents: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._acyclic: set[str] = set()
        self._resting = Resting(runtime)
        self._since: dict[str, tuple[Phase, int, float]] = {}
        self._fine_until: dict[str, float] = {}
        tasks.listen(self._changed)

    def start(self) -> None:
        self.controller.start()
        self.runtime.spawn(self._sweep_for_ever(), "task-sweep")

    # watch -> key

    def _changed(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        if old is None or new is None:
            task: AgenticTask = new or old  # type: ignore[assignment]
            if task.spec.depends_on:
                self._track_dependencies(key, task, new is not None)
        if new is None or (old is not None and old.metadata.generation != new.metadata.generation):
            # A task that is gone, or depends on others now, may come to close a cycle.
            self._acyclic.clear()
        phase = new.status.phase if new is not None else None
        if phase is Phase.PENDING or key in self._resting.until:
            self._resting.changed(key, old, new)
        if new is not None and phase in IN_FLIGHT:
            self._track_flight(key, new)
            return
        self._since.pop(key, None)
        self._fine_until.pop(key, None)
        if new is None or old is None or old.status.phase is not phase or phase is Phase.PENDING:
            self.queue.add(key)
        if key in self._dependents and (new is None or phase in TERMINAL or old is None):
            for dependent in self._dependents[key]:
                self.queue.add(dependent)

    def _track_dependencies(self, key: str, task: AgenticTask, present: bool) -> None:
        for name in task.spec.depends_on:
            dependency = f"{task.metadata.namespace}/{name}"
            if present:
                self._dependents[dependency][key] = None
            else:
                self._dependents[dependency].pop(key, None)
                if not self._dependents[dependency]:
                    del self._dependents[dependency]

    def _track_flight(self, key: str, task: AgenticTask) -> None:
        status = task.status
        self._fine_until[key] = 0.0
        known = self._since.get(key)
        if known is None or known[0] is not status.phase or known[1] != status.attempt:
            self._since[key] = (status.phase, status.attempt, self.runtime.now())  # type: ignore[assignment]

    def node_lost(self, name: str) -> None:
        """The node has gone silent: look at everything assigned to it."""
        for key in self.scheduler.fleet.tasks_on(name):
            self.queue.add(key)

    async def _sweep_for_ever(self) -> None:
        """Deadlines need no timer each: one pass over what is in flight finds those that have passed. What cannot be overdue
        yet, whatever else happens to it, is passed over; any change to a task or to what is known of it ends that."""
        while True:
            await self.runtime.sleep(SWEEP_SECONDS)
            now = self.runtime.now()
            for key in [key for key, until in self._fine_until.items() if now > until]:
                task = self.tasks.get(key)
                if task is not None:
                    self._inspect(key, task, now, self._since[key][2])

    def _inspect(self, key: str, task: AgenticTask, now: float, since: float) -> None:
        if self._overdue(task, now - since):
            self.queue.add(key)
        elif task.status.phase is not Phase.SCHEDULED:
            lost_at = self.liveness.fresh_until(task.status.assigned_node)
            self._fine_until[key] = min(lost_at, since + custody.deadline_of(task))

    def _overdue(self, task: AgenticTask, seconds: float) -> bool:
        return (
            custody.past_deadline(task, seconds)
            or custody.unclaimed_too_long(task, seconds)
            or self.liveness.stale(task.status.assigned_node)
            or self.left_behind(task)
        )

    def left_behind(self, task: AgenticTask) -> bool:
        """Whether it is assigned to a node that claims nothing more. The agent gives back what it sees while it drains; an
        assignment that crosses with its farewell reaches nobody."""
        node = self.nodes.get(task.status.assigned_node)
        draining = node is not None and node.status.phase is FleetNodePhase.DRAINING
        return draining and task.status.phase is Phase.SCHEDULED

    # reconcile

    async def reconcile(self, key: str) -> float | None:
        task = self.tasks.get(key)
        if task is None:
            self.scheduler.withdraw(key)
            return None
        phase = task.status.phase
        if task.metadata.deletion_timestamp is not None and phase not in IN_FLIGHT:
            self.scheduler.withdraw(key)
            return None
        if phase is None:
            await self._write(task, {"phase": after(None, Event.OBSERVED)})
            return None
        if phase in TERMINAL:
            await self._finished(task)
            return None
        if phase in IN_FLIGHT:
            return await self._guard(task)
        return await self._dispatch(task)

    async def _dispatch(self, task: AgenticTask) -> float | None:
        wall = self.runtime.wall()
        namespace = task.metadata.namespace
        step = self.next_step(
            task,
            lambda name: self.tasks.get(f"{namespace}/{name}"),
            task.key in self._dependents,
            wall,
            self._acyclic,
        )
        if isinstance(step, pending.Write):
            await self._write(task, step.changes)
            return None
        if isinstance(step, pending.Wait):
            return await self._wait(task, step, wall)
        if (rest := self._resting.left(task.key)) > 0:
            return rest
        if not await self._agent_exists(task):
            message = f'Agent "{task.spec.agent_ref and task.spec.agent_ref.name}" not found in namespace "{namespace}"'
            await self._write(task, pending.fail(task, REASON_AGENT_NOT_FOUND, message, wall).changes)
            return None
        self.scheduler.offer(task)
        return None

    async def _wait(self, task: AgenticTask, step: pending.Wait, wall: int) -> float | None:
        """A short wait is not worth a write; a longer one is said on the task."""
        waited = wall - (task.metadata.creation_timestamp or 0)
        if waited < WAIT_NEWS_SECONDS:
            return WAIT_NEWS_SECONDS - waited
        changes = pending.blocked(task, "WaitingForDependencies", step.message, wall)
        if changes is not None:
            await self._write(task, changes)
        return step.seconds

    async def _agent_exists(self, task: AgenticTask) -> bool:
        """A cache that has not seen the Agent yet is no proof that there is none: the API server is asked."""
        key = agent_key(task)
        if not key or self.agents.get(key) is not None:
            return True
        try:
            self.agents.observe(await self.cluster.get("Agent", key.split("/")[1], task.metadata.namespace))  # type: ignore[arg-type]
        except NotFound:
            return False
        return True

    async def _guard(self, task: AgenticTask) -> float | None:
        """Take the claim back if its node is silent, or end the task if its time is up."""
        name = task.status.assigned_node
        if self.left_behind(task):
            await self._write(task, custody.leave(task, self.runtime.wall()).changes)
            return None
        _, _, since = self._since.get(task.key, (None, 0, self.runtime.now()))
        seconds = self.runtime.now() - since
        # A silent node cannot have claimed: a task assigned to it after it fell silent has the full time for that,
        # else one silence would cost a strike for each time the task is assigned there.
        assigned = task.status.phase is Phase.SCHEDULED
        lost = self.liveness.stale(name) and (not assigned or custody.unclaimed_too_long(task, seconds))
        if lost and self._said_ready(name):
            return PUBLISH_SECONDS
        if lost and await self._silent(name):
            node = self.nodes.get(name)
            detail = custody.silence_detail(node is not None, node.status.last_heartbeat_time if node else None)
            await self._expire(task, detail)
        elif custody.past_deadline(task, seconds):
            await self._write(task, custody.time_out(task, self.runtime.wall()).changes)
        elif custody.unclaimed_too_long(task, seconds):
            await self._expire(task, f"not claimed within {custody.CLAIM_SECONDS}s although the node is alive")
        return None

    def _said_ready(self, name: str) -> bool:
        """Whether the node is still Ready to everybody else: they must hear of its silence before its tasks are to be had."""
        node = self.nodes.get(name)
        return node is not None and node.status.phase is FleetNodePhase.READY

    async def _silent(self, name: str) -> bool:
        """A silence must be confirmed by the API server: perhaps it was only this operator's cache that stood still."""
        try:
            node = cast(FleetNode, await self.cluster.get("FleetNode", name))
        except NotFound:
            return True
        if not self.liveness.stale(name):
            # The heartbeat that was missing has come over the watch meanwhile.
            return False
        seen = self.nodes.get(name)
        if seen is not None and seen.status.last_heartbeat_time == node.status.last_heartbeat_time:
            return True
        self.nodes.observe(node)
        self.liveness.saw(name)
        return False

    async def _expire(self, task: AgenticTask, detail: str) -> None:
        wall = self.runtime.wall()
        step = self.expire(task, detail, wall)
        released = await self._write(task, step.changes)
        if step.reason == REASON_CLAIM_EXPIRED:
            count = {ANNOTATION_CLAIM_EXPIRIES: str(custody.standing_strikes(task, wall) + 1)}
            changes = {"metadata": {"annotations": count}}
            self.tasks.observe(await self.cluster.patch(released, changes, if_version=released.version))

    async def _finished(self, task: AgenticTask) -> None:
        self.scheduler.withdraw(task.key)
        if self.auditor is not None and task.metadata.annotations.get(ANNOTATION_AUDITED) != "true":
            self.tasks.observe(await self.auditor.record(task))

    async def _write(self, task: AgenticTask, changes: object) -> AgenticTask:
        written = await self.cluster.patch_status(task, changes, if_version=task.version)  # type: ignore[arg-type]
        self.tasks.observe(written)
        return written
