"""The watcher: claims tasks assigned to this node, runs them in its slots, lets go of what is no longer its own.

It watches only its own node's tasks. It is level-triggered like the controllers: what to do follows from the task as the cache
shows it and from the runs in hand, so a restart needs no path of its own. A Scheduled task is claimed; a task Running under an
earlier life of this agent goes back to Pending; a run whose task has been deleted, released or given to another is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from foreman.agent.run import Run
from foreman.api import AgenticTask, FleetNode, Phase
from foreman.cache import Cache, Stalled
from foreman.cluster import Cluster, ClusterError, NotFound, Unavailable
from foreman.controller import Controller
from foreman.decide import claims
from foreman.executors import Executor
from foreman.runtime import ProcessExit, Runtime

_HELD = (Phase.RUNNING, Phase.VERIFYING)
POLL_SECONDS = 5.0
STALL_THRESHOLD = 3
CLAIM_RETRY_SECONDS = 1.0
FAREWELL_SECONDS = 5.0
PATIENCE_SECONDS = 5.0
"""How long an assigned task may wait for a slot here before it is handed back: the operator may just be a moment ahead."""


class Watcher:
    """One node's claims. `holder` identifies this process; `namespace` None means all."""

    admits = staticmethod(claims.admits)
    run_type: type[Run] = Run

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        node: str,
        holder: str,
        executor: Executor,
        *,
        slots: int = 1,
        namespace: str | None = "default",
        poll: float = POLL_SECONDS,
    ) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.node = node
        self.holder = holder
        self.executor = executor
        self.slots = slots
        self.poll = poll
        self.tasks: Cache[AgenticTask] = Cache(
            cluster,
            runtime,
            "AgenticTask",
            namespace=namespace,
            fields={"status.assignedNode": node},
            retry=poll,
            stall_after=STALL_THRESHOLD,
        )
        self.runs: dict[str, Run] = {}
        self.draining = False
        self.landed = 0
        self.discarded = 0
        self.on_discarded: Callable[[Run], None] | None = None
        self._claiming: dict[str, AgenticTask] = {}
        self._orphans: dict[str, AgenticTask] = {}
        self._wanted: dict[str, float] = {}
        self._done: dict[str, int] = {}
        self._controller = Controller("watcher", runtime, self._reconcile, workers=2)
        self._planned = False
        self._alarm_at = float("inf")
        self._idle = runtime.event()
        self.tasks.listen(self._changed)

    async def run(self) -> None:
        """Watch for ever. Raises Stalled when three lists in a row have failed and no run is in hand.

        A run in hand outlives an outage of the API: killing it would lose work that can still be reported afterwards.
        """
        self._controller.start()
        while True:
            try:
                await self.tasks.run()
            except Stalled:
                if not self.runs:
                    raise
                await self.runtime.sleep(self.poll)

    def current_task(self) -> str:
        """What to display on the FleetNode: the first run's 'namespace/name'."""
        return next(iter(self.runs), "")

    async def drain(self, grace: float) -> None:
        """Claim nothing more, give back what is only assigned, let runs end within `grace` seconds, give back the rest."""
        self.draining = True
        for key in list(self._wanted):
            self._controller.queue.add(key)
        self._rest()
        if not await self._idle.wait(timeout=grace):
            for run in list(self.runs.values()):
                run.interrupt()
            await self._idle.wait(timeout=FAREWELL_SECONDS)

    def _rest(self) -> None:
        """Tell the drain when nothing is in hand any more: no run, no claim on its way, nothing still to give back."""
        if self.draining and not (self.runs or self._claiming or self._wanted):
            self._idle.set()

    # what the cache tells

    def _changed(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        run = self.runs.get(key)
        if run is not None and not self._stands(run, new):
            run.supersede()
            self.runtime.spawn(self._check_name(), "name")
        if new is None:
            self._done.pop(key, None)
        if claims.claimable(new, self.node):
            self._wanted.setdefault(key, self.runtime.now())
            self._plan()
            if self.draining:
                self._controller.queue.add(key)
        else:
            self._wanted.pop(key, None)
            if self.draining:
                self._rest()
        self._reckon(key, new)

    def _reckon(self, key: str, task: AgenticTask | None) -> None:
        """Note whether the task is an orphan. Until that is settled it has a slot: by the API server's books it runs here."""
        if task is not None and task.status.phase in _HELD and self._orphan(key, task):
            self._orphans[key] = task
            self._controller.queue.add(key)
        elif key in self._orphans:
            del self._orphans[key]
            self._plan()

    def _stands(self, run: Run, task: AgenticTask | None) -> bool:
        if task is None or task.metadata.deletion_timestamp is not None:
            return False
        # What the cache shows may be older than the claim itself: only a later version can end a run.
        if task is run.task or int(task.version) <= int(run.task.version):
            return True
        if run.reporting and claims.reported(task, run.fence):
            # The watch is often faster than the answer to the report: nobody has taken the task away.
            return True
        return run.still_ours(task, run.fence)

    def _orphan(self, key: str, task: AgenticTask) -> bool:
        """Running on this node with no run behind it."""
        status = task.status
        return (
            key not in self.runs
            and key not in self._claiming
            and status.phase in _HELD
            and status.assigned_node == self.node
            # The end of an own attempt may reach the cache later than it reached us.
            and not (status.holder == self.holder and self._done.get(key) == status.attempt)
        )

    # claim

    def _plan(self) -> None:
        """Claim once all that a list brought is in, so that urgency decides and not the order of names."""
        if not self._planned:
            self._planned = True
            self.runtime.call_later(0, self._pump)

    def _pump(self) -> None:
        """Claim the most urgent of the assigned tasks for each free slot."""
        self._planned = False
        if self.draining:
            return
        while self._wanted and (ready := self._ready()):
            best = min(ready, key=claims.claim_order)
            key = best.key
            del self._wanted[key]
            self._claiming[key] = best
            self.runtime.spawn(self._claim_and_run(best), "run")
        for key in self._wanted:
            self._controller.queue.add_after(key, PATIENCE_SECONDS)

    def _taken(self) -> int:
        """Slots in use. A run that only supervises a Job takes none (#1558)."""
        holders = [run.task for run in self.runs.values()]
        holders += self._claiming.values()
        holders += self._orphans.values()
        return len([task for task in holders if not task.status.supervised])

    def _room(self, task: AgenticTask) -> bool:
        return task.status.supervised or self.admits(self.slots, self._taken())

    def _ready(self) -> list[AgenticTask]:
        """What may be claimed now. An attempt given anew to this node waits until the one before has let go of the slot."""
        free = (key for key in self._wanted if key not in self.runs and key not in self._claiming)
        return [task for key in free if (task := self.tasks.get(key)) is not None and self._room(task)]

    async def _claim_and_run(self, task: AgenticTask) -> None:
        key = task.key
        try:
            changes = claims.claim(task, self.node, self.holder, self.runtime.wall())
            claimed = await self.cluster.patch_status(task, changes, if_version=task.version)
        except ClusterError as error:
            if isinstance(error, Unavailable):
                # Its slot stays taken until the API server has shown what became of the claim.
                await self.tasks.find_out(task)
            del self._claiming[key]
            # Perhaps the claim is ours after all, and an orphan for now; perhaps it is still to be had.
            self._reckon(key, self.tasks.get(key))
            self._controller.queue.add_after(key, CLAIM_RETRY_SECONDS)
            self._rest()
            self._pump()
        else:
            await self._carry_out(claimed)

    async def _carry_out(self, task: AgenticTask) -> None:
        run = self.run_type(self.cluster, self.runtime, self.executor, task)
        self.runs[run.key] = run
        del self._claiming[run.key]
        self._arm(run.deadline)
        self.tasks.observe(task)
        seen = self.tasks.get(run.key)
        if seen is None or not self._stands(run, seen):
            run.supersede()
        outcome = await run.execute()
        self._ended(run, None if run.superseded else await run.report(outcome))

    def _ended(self, run: Run, written: AgenticTask | None) -> None:
        del self.runs[run.key]
        self._done[run.key] = run.attempt
        if run.landed:
            self.landed += 1
        else:
            self.discarded += 1
            if self.on_discarded is not None:
                self.on_discarded(run)
        if written is not None:
            self.tasks.observe(written)
        self._reckon(run.key, self.tasks.get(run.key))
        self._rest()
        self._pump()

    # reconcile: what is neither claimed nor run

    async def _reconcile(self, key: str) -> float | None:
        task = self.tasks.get(key)
        if task is None:
            return None
        if claims.claimable(task, self.node):
            return await self._assigned(task)
        if self._orphan(key, task):
            await self._adopt_or_release(task)
        return None

    async def _assigned(self, task: AgenticTask) -> float | None:
        """Claim it now, or hand it back if this node has had no slot for it for a while."""
        key = task.key
        if key in self._claiming:
            return None
        since = self._wanted.setdefault(key, self.runtime.now())
        if not self.draining:
            self._pump()
            if key not in self._wanted:
                return None
            left = since + PATIENCE_SECONDS - self.runtime.now()
            if left > 0:
                return left
        reason, why = ("AgentDraining", "shutting down") if self.draining else ("NoFreeSlot", "all slots are taken")
        changes = claims.hand_back(task, reason, f"handed back by {self.node}: {why}", self.runtime.wall())
        self._wanted.pop(key, None)
        self.tasks.observe(await self.cluster.patch_status(task, changes, if_version=task.version))
        self._rest()
        return None

    async def _adopt_or_release(self, task: AgenticTask) -> None:
        """A claim of ours whose answer was lost is carried out; one of an earlier life goes back to Pending."""
        if task.status.holder == self.holder and not self.draining:
            counted = self._orphans.pop(task.key, None)
            if self._room(task):
                self._claiming[task.key] = task
                self.runtime.spawn(self._carry_out(task), "run")
                return
            if counted is not None:
                self._orphans[task.key] = counted
        elif task.status.holder != self.holder:
            await self._still_registered()
        changes = claims.recover(task, self.runtime.wall())
        self.tasks.observe(await self.cluster.patch_status(task, changes, if_version=task.version))

    async def _check_name(self) -> None:
        """A run was taken away. If a new holder of this node's name did it, do not contend with it till the next heartbeat."""
        try:
            await self._still_registered()
        except ClusterError:
            return

    async def _still_registered(self) -> None:
        """Before taking a task from another holder of this node's name: is the name still ours?"""
        try:
            node = cast(FleetNode, await self.cluster.get("FleetNode", self.node))
        except NotFound:
            return
        if node.status.instance not in ("", self.holder):
            raise ProcessExit(f"{node.status.instance} has taken the name {self.node} over")

    # deadlines: one timer, for whichever run is due first

    def _arm(self, due: float) -> None:
        if due < self._alarm_at:
            self._alarm_at = due
            self.runtime.call_later(due - self.runtime.now(), lambda: self._alarm(due))

    def _alarm(self, due: float) -> None:
        if due != self._alarm_at:
            return
        self._alarm_at = float("inf")
        now = self.runtime.now()
        for run in list(self.runs.values()):
            if run.deadline <= now:
                run.time_out()
            else:
                self._arm(run.deadline)
