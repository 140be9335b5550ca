"""What must hold of Workloads: each step is rendered once, nobody else's task is touched, and all of them are accounted for."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, ClassVar

from foreman.api import (
    CONDITION_CLOUD_REVIEWERS_SUPPRESSED,
    CONDITION_COMPLETED,
    CONDITION_NAME_TAKEN,
    CONDITION_PLANNED,
    TERMINAL,
    AgenticTask,
    Verdict,
    Workload,
    WorkloadPhase,
    condition,
)
from foreman.decide.pipeline import batch
from foreman.decide.pipeline.render import child_name, owner_uid
from sim.checkers.stability import SETTLE
from sim.selection import Change

if TYPE_CHECKING:
    from sim.checkers.checkers import Checkers
    from sim.scenario import Scenario

RENDER_GRACE = 60_000_000
"""Microseconds for which an operator may not have heard that a child was there, and is gone again."""
MINUTE = 60_000_000
WRITES_FREE = 12
WRITES_PER_NEWS = 3
_ENDS = (WorkloadPhase.COMPLETED, WorkloadPhase.FAILED)
GOOD = frozenset({Verdict.GO, Verdict.GATE_PASS, Verdict.SKIPPED})


class WorkloadCheck:
    """Knows of every task whose it is, and of every Workload what it has planned and when it has seen it."""

    invariants: ClassVar[tuple[str, ...]] = ("rendered-once", "foreign-child", "workload-accounted")

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self._owner_of: dict[str, str] = {}
        self._planned: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._seen_at: dict[tuple[str, str], int] = {}
        self._recorder: dict[tuple[str, str], str] = {}
        self._news: defaultdict[str, int] = defaultdict(int)
        self._writes: defaultdict[str, int] = defaultdict(int)
        self._minute = 0

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return bool(scenario.workloads)

    def committed(self, change: Change) -> None:
        if change.kind == "AgenticTask":
            self._task(change)
        elif change.kind == "Workload" and change.new is not None:
            self._workload(change)

    # tasks

    def _task(self, change: Change) -> None:
        old, new = change.old, change.new
        task: AgenticTask = new or old
        uid = owner_uid(task)
        if old is None:
            self._owner_of[task.metadata.uid] = uid
            if uid and self.court.role_of(change.actor) == "operator":
                self._rendered(change, uid, task)
        elif self.court.role_of(change.actor) == "operator" and not uid:
            self._foreign(change)
        if uid and (old is None or new is None or (new.status.phase in TERMINAL and old.status.phase not in TERMINAL)):
            self._news[uid] += 1

    def _rendered(self, change: Change, uid: str, task: AgenticTask) -> None:
        name = task.metadata.name
        self.court.exercised("rendered-once")
        if name not in self._planned[uid]:
            self.court.fail(
                "rendered-once", change.key, f"{change.actor} made it although its Workload has not planned it"
            )
        for wanted in task.spec.depends_on:
            self.court.exercised("foreign-child")
            found = self.court.server.tables["AgenticTask"].get(f"{task.metadata.namespace}/{wanted}")
            if found is not None and owner_uid(found) != uid:
                self.court.fail(
                    "foreign-child", change.key, f"{change.actor} lets it wait for {wanted} of somebody else"
                )
        seen = self._seen_at.get((uid, name))
        knew = self._recorder.get((uid, name)) == change.actor and self._goes(task)
        if seen is not None and (knew or self.court.now() - seen > RENDER_GRACE):
            ago = (self.court.now() - seen) / 1e6
            self.court.fail(
                "rendered-once", change.key, f"{change.actor} made it again, {ago:.1f}s after it had been seen"
            )

    def _goes(self, task: AgenticTask) -> bool:
        """Whether its Workload is being deleted: whoever has seen the child there has no excuse then (#949)."""
        tables, namespace = self.court.server.tables["Workload"], task.metadata.namespace
        owners = [tables.get(f"{namespace}/{owner.name}") for owner in task.metadata.owner_references]
        return any(each is not None and each.metadata.deletion_timestamp is not None for each in owners)

    def _foreign(self, change: Change) -> None:
        """An operator has written to a task that is no Workload's: of its spec and life it has nothing to say."""
        self.court.exercised("foreign-child")
        if change.new is None:
            self.court.fail("foreign-child", change.key, f"{change.actor} deleted a task of somebody else")
        elif change.new.spec is not change.old.spec and change.new.spec != change.old.spec:
            self.court.fail("foreign-child", change.key, f"{change.actor} changed the spec of a task of somebody else")

    # Workloads

    def _workload(self, change: Change) -> None:
        old: Workload | None = change.old
        new: Workload = change.new
        uid = new.metadata.uid
        if old is None or old.status is new.status:
            return
        self._storm(change, uid)
        if old.status.tasks is new.status.tasks:
            return
        before = {ref.name: ref.uid for ref in old.status.tasks}
        self._planned[uid] = dict.fromkeys(ref.name for ref in new.status.tasks)
        for ref in new.status.tasks:
            if ref.uid and before.get(ref.name) != ref.uid:
                self._recorded(change, uid, ref.name, ref.uid)

    def _recorded(self, change: Change, uid: str, name: str, child: str) -> None:
        self._seen_at.setdefault((uid, name), self.court.now())
        self._recorder[uid, name] = change.actor
        self.court.exercised("foreign-child")
        if self._owner_of.get(child) != uid:
            self.court.fail(
                "foreign-child", change.key, f"{change.actor} counts {name} as a child, which is somebody else's"
            )

    def _storm(self, change: Change, uid: str) -> None:
        """A Workload's status says what its children do: without news of them there is nothing to write."""
        minute = self.court.now() // MINUTE
        if minute != self._minute:
            self._minute = minute
            self._writes.clear()
            # News of the end of a minute is written in the next one.
            self._news = defaultdict(int, {key: min(count, WRITES_FREE) for key, count in self._news.items()})
        self._writes[uid] += 1
        self.court.exercised("write-storm")
        if self._writes[uid] == WRITES_FREE + WRITES_PER_NEWS * self._news[uid] + 1:
            told = f"{self._writes[uid]} writes to its status within a minute, {self._news[uid]} news of its children"
            self.court.fail("write-storm", change.key, told)

    # the end

    def ended(self, wall: int) -> None:
        for key, workload in sorted(self.court.server.tables["Workload"].items()):
            if workload.metadata.deletion_timestamp is None:
                self.court.exercised("workload-accounted")
                why = self._unaccounted(workload, wall)
                if why:
                    self.court.fail("workload-accounted", key, why)

    def _unaccounted(self, workload: Workload, wall: int) -> str:
        status = workload.status
        children = [task for task in self._children(workload) if task.status.phase not in TERMINAL]
        if condition(status.conditions, CONDITION_COMPLETED) is not None and status.phase in _ENDS:
            if children:
                return f"{status.phase} although {children[0].metadata.name} has not ended"
            why = self._skipped_over(workload)
            if why or status.phase is WorkloadPhase.COMPLETED:
                return why or self._unresolved(workload)
        told = condition(status.conditions, CONDITION_PLANNED)
        if status.phase is WorkloadPhase.FAILED:
            says = condition(status.conditions, CONDITION_COMPLETED) or told
            return "" if says is not None and says.status == "False" else "Failed without a condition that says why"
        taken = condition(status.conditions, CONDITION_NAME_TAKEN)
        waits = bool(children) or (taken is not None and taken.status == "True")
        young = wall - (workload.metadata.creation_timestamp or 0) < SETTLE // 1_000_000
        return "" if waits or young else f"{status.phase or 'untouched'}, with nothing left that could end it"

    def _skipped_over(self, workload: Workload) -> str:
        """What a Workload that calls itself ended has never begun, although it was planned."""
        plan = batch.choose(workload)
        if isinstance(plan, batch.Unplannable):
            return f"has ended although it could not be planned: {plan.message}"
        status = workload.status
        recorded = {ref.name: ref.uid for ref in status.tasks}
        suppressed = condition(status.conditions, CONDITION_CLOUD_REVIEWERS_SUPPRESSED)
        for step in plan.steps if suppressed is None else ():
            name = child_name(workload, step.name)
            if not recorded.get(name) and name not in status.outcomes:
                return f"{status.phase} although {name} was never there"
        return ""

    def _unresolved(self, workload: Workload) -> str:
        """An issue whose coder was not followed by a good end of any kind."""
        good: defaultdict[int, bool] = defaultdict(bool)
        for task in self._children(workload):
            issue = task.spec.payload.issue
            if issue is not None:
                resolved = "ALREADY-RESOLVED" in str(task.status.result)
                good[issue] |= task.status.verdict in GOOD or resolved
        bad = [number for number, well in sorted(good.items()) if not well]
        return f"Completed although nothing of issue {bad[0]} ended well" if bad else ""

    def _children(self, workload: Workload) -> list[AgenticTask]:
        server = self.court.server
        found = (server.tables[kind].get(key) for kind, key in server.dependents(workload.metadata.uid))
        return [task for task in found if isinstance(task, AgenticTask)]
