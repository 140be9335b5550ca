"""The claim register of a task, and its history as the callers saw it.

A task is free (new or given back), assigned to (attempt, node), held by (attempt, node, holder), or done; the operations are
the writes that move it and the reads that see it. They are noted at the caller's side: when it asked, when it was answered and
what. An answer that never came, because it was lost or the caller died first, leaves the outcome unknown. A write that was
refused has no effect and says nothing of the register (another field may have moved the version), so it is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from foreman.api import TERMINAL, AgenticTask, Phase
from foreman.cluster import ClusterError, Unavailable
from sim.linearize import Operation, check

FREE, ASSIGNED, HELD, DONE = "free", "assigned", "held", "done"
_STATES = {None: FREE, Phase.PENDING: FREE, Phase.SCHEDULED: ASSIGNED, Phase.RUNNING: HELD, Phase.VERIFYING: HELD}
_SHOWN = 8


class Register(NamedTuple):
    phase: str
    attempt: int
    node: str
    holder: str

    def __str__(self) -> str:
        who = f" {self.holder or self.node} #{self.attempt}" if self.phase in (ASSIGNED, HELD, DONE) else ""
        return f"{self.phase}{who}"


class Call(NamedTuple):
    """What a caller was told it did: found the register as `expects` and left it as `leaves`."""

    kind: str
    actor: str
    expects: Register
    leaves: Register

    def __str__(self) -> str:
        if self.kind == "read":
            return f"{self.actor} read {self.leaves}"
        return f"{self.actor} {self.kind}: {self.expects} -> {self.leaves}"


INITIAL = Register(FREE, 0, "", "")
_FROM = {
    "admit": (FREE,), "assign": (FREE,), "claim": (ASSIGNED,), "report": (HELD,), "verify": (HELD,),
    "release": (ASSIGNED, HELD), "end": (FREE, ASSIGNED, HELD), "read": (FREE, ASSIGNED, HELD, DONE),
}  # fmt: skip


class _Claims:
    """The sequential specification."""

    initial = INITIAL

    def step(self, state: Register, call: Call) -> Register | None:
        if state != call.expects or state.phase not in _FROM[call.kind]:
            return None
        leaves = call.leaves
        # An assignment raises the attempt by one; nothing else touches it.
        fits = leaves.attempt == state.attempt + (call.kind == "assign")
        if call.kind == "claim":
            fits = fits and leaves.node == state.node and not state.holder
        elif call.kind == "report":
            fits = fits and state.holder == call.actor
        return leaves if fits else None

    def states(self, calls: Sequence[Call]) -> Iterable[Register]:
        return {each.expects: None for each in calls}


REGISTER = _Claims()


def register_of(task: AgenticTask) -> Register:
    status = task.status
    phase = DONE if status.phase in TERMINAL else _STATES[status.phase]
    return Register(phase, status.attempt, status.assigned_node, status.holder)


def write(actor: str, role: str, task: AgenticTask, changes: Mapping[str, Any]) -> Call | None:
    """What a status patch by `actor` for `task` as it had read it does to the register; None: nothing."""
    before = register_of(task)
    if "phase" not in changes:
        return None
    target = changes["phase"]
    phase = DONE if target in TERMINAL else _STATES[target]
    leaves = Register(
        phase,
        changes.get("attempt", before.attempt),
        changes.get("assigned_node", before.node),
        changes.get("holder", before.holder),
    )
    if phase == DONE and role == "agent":
        # Who reports says that it is the holder, whatever it has read.
        return Call("report", actor, before._replace(holder=actor), leaves._replace(holder=actor))
    return Call(_kind(before, phase), actor, before, leaves)


def _kind(before: Register, phase: str) -> str:
    if phase == HELD:
        return "verify" if before.phase == HELD else "claim"
    if phase == FREE:
        return "admit" if before.phase == FREE else "release"
    return "assign" if phase == ASSIGNED else "end"


class _Noted:
    """A call on its way; `responded` is set when its caller has heard."""

    __slots__ = ("asked_at", "call", "invoked", "responded")

    def __init__(self, invoked: int, asked_at: int, call: Call | None) -> None:
        self.invoked = invoked
        self.asked_at = asked_at
        self.call = call
        self.responded: int | None = None


class Histories:
    """The history of every task's register. `now()`: microseconds of virtual time, for messages only: the order of
    events is the order in which they are noted."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self._events = 0
        self._tasks: defaultdict[str, list[_Noted]] = defaultdict(list)
        self._keys: dict[str, str] = {}

    def wrap(self, cluster: Any, actor: str, role: str) -> Any:
        """`cluster` with all that its caller sees of tasks written down."""
        return _Witnessed(cluster, self, actor, role)

    def ask(self, call: Call | None) -> _Noted:
        self._events += 1
        return _Noted(self._events, self.now(), call)

    def sent(self, noted: _Noted, task: AgenticTask) -> None:
        """From here on the write may take effect."""
        uid = task.metadata.uid
        self._keys[uid] = task.key
        self._tasks[uid].append(noted)

    def answered(self, noted: _Noted) -> None:
        self._events += 1
        noted.responded = self._events

    def refused(self, noted: _Noted, task: AgenticTask) -> None:
        self._tasks[task.metadata.uid].remove(noted)

    def operations(self) -> Iterator[tuple[str, list[Operation], dict[int, int]]]:
        """(key, history, event -> microseconds) of each task."""
        for uid, noted in self._tasks.items():
            history = [Operation(each.invoked, each.responded, each.call) for each in noted]
            yield self._keys[uid], history, {each.invoked: each.asked_at for each in noted}

    def violations(self) -> Iterator[tuple[str, int, str]]:
        """(key, operations looked at, what is wrong or '') of each task."""
        for key, history, times in self.operations():
            violation = check(history, REGISTER)
            yield key, len(history), _told(violation.window, times) if violation else ""


def _told(window: Sequence[Operation], times: Mapping[int, int]) -> str:
    parts = [
        f"{times[each.invoked] / 1e6:.3f}s {each.call}" + (" (outcome unknown)" if each.responded is None else "")
        for each in window[-_SHOWN:]
    ]
    more = f"... {len(window) - _SHOWN} before; " if len(window) > _SHOWN else ""
    return f"no order of these explains what their callers saw: {more}{'; '.join(parts)}"


class _Witnessed:
    """A Cluster that notes what is asked about tasks and what is answered, and changes nothing."""

    def __init__(self, inner: Any, histories: Histories, actor: str, role: str) -> None:
        self.inner = inner
        self.histories = histories
        self.actor = actor
        self.role = role

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
        noted = self.histories.ask(None)
        found = await self.inner.get(kind, name, namespace)
        if isinstance(found, AgenticTask):
            seen = register_of(found)
            noted.call = Call("read", self.actor, seen, seen)
            self.histories.sent(noted, found)
            self.histories.answered(noted)
        return found

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        call = write(self.actor, self.role, obj, changes) if isinstance(obj, AgenticTask) else None
        if call is None:
            return await self.inner.patch_status(obj, changes, if_version=if_version)
        histories = self.histories
        noted = histories.ask(call)
        histories.sent(noted, obj)
        try:
            written = await self.inner.patch_status(obj, changes, if_version=if_version)
        except ClusterError as error:
            if not isinstance(error, Unavailable):
                histories.refused(noted, obj)
            raise
        histories.answered(noted)
        return written
