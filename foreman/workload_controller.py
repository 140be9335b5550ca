"""The workload controller: records what a Workload is to become, creates it, and sums up what has become of it.

Several operators may do this at once. Names are deterministic, every status write is conditional, and a child is created only
shortly after the API server has confirmed the Workload's status that names it: see CREATE_SECONDS.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, cast

from foreman.api import TERMINAL, Agent, AgenticTask, GateAdvisory, Workload
from foreman.cache import Cache
from foreman.cluster import AlreadyExists, Cluster, ClusterError, Conflict, Invalid, NotFound, Unavailable
from foreman.controller import Controller
from foreman.decide.pipeline import cloud, plan
from foreman.decide.pipeline.book import View
from foreman.decide.pipeline.render import owner_uid
from foreman.runtime import Runtime

PASSES = 8
"""Decisions in a row about one Workload before others get their turn."""
CREATE_SECONDS = 10.0
"""How long after its confirmation a plan may be acted on: an operator that froze meanwhile must not raise what was deleted."""
UNSEEN_SECONDS = 30.0
TAKEN_SECONDS = 15.0
PACE_FIRST = 0.2
PACE_PER_CHILD = 0.001
PACE_MAX = 5.0

Children = Mapping[str, AgenticTask]


class WorkloadController:
    """Reconciles Workloads by key."""

    decide = staticmethod(plan.decide)
    owner_of = staticmethod(owner_uid)
    is_going = staticmethod(lambda workload: workload.metadata.deletion_timestamp is not None)

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        workloads: Cache[Workload],
        tasks: Cache[AgenticTask],
        agents: Cache[Agent],
        allow_cloud: bool = True,
    ) -> None:
        """`allow_cloud`: whether reviewers may be Agents of a provider that is not local."""
        self.cluster = cluster
        self.runtime = runtime
        self.workloads = workloads
        self.tasks = tasks
        self.agents = agents
        self.allow_cloud = allow_cloud
        self.controller = Controller("workload", runtime, self.reconcile, workers=4)
        self.queue = self.controller.queue
        self.owned: defaultdict[str, dict[str, None]] = defaultdict(dict)
        workloads.listen(self._changed)
        tasks.listen(self._child_changed)
        agents.listen(self._agent_changed)

    def start(self) -> None:
        self.controller.start()

    # watch -> key

    def _changed(self, key: str, old: Workload | None, new: Workload | None) -> None:
        """Its own status wakes nobody (L21)."""
        if new is None:
            return
        if old is None or old.metadata.generation != new.metadata.generation or old.metadata.uid != new.metadata.uid:
            self.queue.add(key)

    def _child_changed(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        task = new if new is not None else old
        if task is None or not task.metadata.owner_references:
            return
        uid = self.owner_of(task)
        if not uid:
            return
        if new is None:
            self.owned[uid].pop(key, None)
            if not self.owned[uid]:
                del self.owned[uid]
        elif old is None:
            self.owned[uid][key] = None
        elif not _news(old, new):
            return
        self._wake(uid, task)

    def _wake(self, uid: str, task: AgenticTask) -> None:
        """Look at the owner soon: the more children, the more of their changes are taken together."""
        pace = min(PACE_FIRST + PACE_PER_CHILD * len(self.owned.get(uid, ())), PACE_MAX)
        for owner in task.metadata.owner_references:
            if owner.uid == uid:
                self.queue.add_after(f"{task.metadata.namespace}/{owner.name}", pace)

    def _agent_changed(self, key: str, old: Agent | None, new: Agent | None) -> None:
        """A plan may have failed for want of this Agent."""
        if new is None or (old is not None and old.spec == new.spec):
            return
        for workload in self.workloads:
            if workload.metadata.namespace == new.metadata.namespace and not plan.is_planned(workload):
                self.queue.add(workload.key)

    # reconcile

    async def reconcile(self, key: str) -> float | None:
        workload = self.workloads.get(key)
        if workload is None or self.is_going(workload):
            # What is being deleted must not get its children anew as fast as they go (#949).
            return None
        return await _Reconciliation(self, workload).run()


class _Reconciliation:
    """One pass over one Workload: decide, write, create, until nothing is left to do."""

    def __init__(self, controller: WorkloadController, workload: Workload) -> None:
        self.of = controller
        self.cluster = controller.cluster
        self.runtime = controller.runtime
        self.workload = workload
        self.confirmed_at: float | None = None
        self.gone: set[str] = set()
        self.taken: set[str] = set()
        self.unseen: dict[str, AgenticTask] = {}
        self.known: dict[str, Agent] = {}

    async def run(self) -> float | None:
        await self._know_agents()
        for _ in range(PASSES):
            decision = self.of.decide(self._view())
            if decision.doubtful and await self._look_for(decision.doubtful):
                continue
            begun = plan.is_planned(self.workload)
            if decision.changes:
                await self._write(decision.changes)
            if decision.create:
                await self._create(decision.create)
            elif begun or not decision.changes:
                # Once planned, what has been summed up and written adds up to the same again.
                await self._advise(decision.advise)
                return self._again()
        return 0.0

    def _again(self) -> float | None:
        if self.taken:
            return TAKEN_SECONDS
        prefix = f"{self.workload.metadata.namespace}/"
        # What the cache has missed no event will tell of: it is looked at again.
        return UNSEEN_SECONDS if any(self.of.tasks.get(prefix + name) is None for name in self.unseen) else None

    def _view(self) -> View:
        children = self._children()
        agents = self.of.agents.objects
        namespace = self.workload.metadata.namespace

        def agent(name: str) -> Agent | None:
            return agents.get(f"{namespace}/{name}") or self.known.get(name)

        return View(
            self.workload, children, self.runtime.wall(), agent, self.of.allow_cloud, self.gone, frozenset(self.taken)
        )

    def _children(self) -> Children:
        tasks, meta = self.of.tasks.objects, self.workload.metadata
        # An owner in another namespace is none: such a child is an orphan to the garbage collector.
        own = [key for key in self.of.owned.get(meta.uid, ()) if key.partition("/")[0] == meta.namespace]
        found = {key.partition("/")[2]: tasks[key] for key in own if key in tasks}
        return {**self.unseen, **found}

    async def _know_agents(self) -> None:
        """Where cloud reviewers are forbidden each reviewer's Agent decides: one the cache has not seen is asked for."""
        if not cloud.gated(self.workload, self.of.allow_cloud):
            return
        namespace = self.workload.metadata.namespace
        for name in _reviewers(self.workload):
            if self.of.agents.get(f"{namespace}/{name}") is None:
                try:
                    self.known[name] = cast(Agent, await self.cluster.get("Agent", name, namespace))
                except NotFound:
                    continue

    async def _look_for(self, names: Collection[str]) -> bool:
        """Ask the API server for children the cache does not show; True when there is any news."""
        asked = [name for name in names if name not in self.gone and name not in self.unseen]
        for name in asked:
            found = await self._find(name)
            if found is not None and self.of.owner_of(found) == self.workload.metadata.uid:
                self.unseen[name] = found
            else:
                self.gone.add(name)
        return bool(asked)

    async def _find(self, name: str) -> AgenticTask | None:
        try:
            return cast(AgenticTask, await self.cluster.get("AgenticTask", name, self.workload.metadata.namespace))
        except NotFound:
            return None

    async def _write(self, changes: Mapping[str, Any]) -> None:
        self.workload = await self.cluster.patch_status(self.workload, changes, if_version=self.workload.version)
        self.confirmed_at = self.runtime.now()
        self.of.workloads.observe(self.workload)

    async def _create(self, tasks: Collection[AgenticTask]) -> None:
        for task in tasks:
            if not self.taken.isdisjoint(task.spec.depends_on):
                self.taken.add(task.metadata.name)
                continue
            await self._confirm()
            try:
                made = await self.cluster.create(task)
            except AlreadyExists:
                found = await self._find(task.metadata.name)
                if found is None:
                    continue
                if self.of.owner_of(found) != self.workload.metadata.uid:
                    # Never adopted, never deleted (L15, L16): it goes, or this Workload waits and says for whom.
                    self.taken.add(task.metadata.name)
                    continue
                made = found
            except Invalid as error:
                await self._write(plan.reject(self.workload, task.metadata.name, str(error), self.runtime.wall()))
                return
            except NotFound as error:
                # Not the task but what it is to be created in is missing: that may come, and then it is to be tried again.
                raise Unavailable(f"cannot create task {task.key}: {error}") from error
            self.unseen[task.metadata.name] = made
            self.of.tasks.observe(made)

    async def _confirm(self) -> None:
        """The plan must be that of the API server, and just now. Raises Conflict when the Workload has changed."""
        if self.confirmed_at is not None and self.runtime.now() - self.confirmed_at < CREATE_SECONDS:
            return
        meta = self.workload.metadata
        found = cast(Workload, await self.cluster.get("Workload", meta.name, meta.namespace))
        self.of.workloads.observe(found)
        if found.version != self.workload.version:
            raise Conflict(
                f"Workload {self.workload.key} is at version {found.version}, planned was {meta.resource_version}"
            )
        self.confirmed_at = self.runtime.now()

    async def _advise(self, advice: Collection[tuple[AgenticTask, tuple[GateAdvisory, ...]]]) -> None:
        """Reviews hear of what the coder's gate noticed, if they have not begun: it is not worth failing for."""
        for task, noticed in advice:
            changes = {"spec": {"payload": {"gate_advisories": noticed}}}
            try:
                self.of.tasks.observe(await self.cluster.patch(task, changes, if_version=task.version))
            except ClusterError:
                continue


def _news(old: AgenticTask, new: AgenticTask) -> bool:
    """Whether a child has ended: the rest of its life does not concern its owner."""
    return old.status.phase is not new.status.phase and new.status.phase in TERMINAL


def _reviewers(workload: Workload) -> list[str]:
    spec = workload.spec
    named = [
        *spec.reviewer_agent_refs,
        *spec.escalation_reviewer_agent_refs,
        *(each.agent_ref for each in spec.pipeline),
    ]
    return list(dict.fromkeys(each.name for each in named))
