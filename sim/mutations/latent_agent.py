"""The latent hazards of the original's node agent: each mutation puts one of its ways back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from foreman.agent.registrar import Registrar
from foreman.agent.run import Run
from foreman.agent.watcher import Watcher
from foreman.api import IN_FLIGHT, AgenticTask, FleetNode, Phase
from foreman.cluster import Cluster, ClusterError
from foreman.decide import claims
from sim.mutations.product import Mutation, Product, agent

Writes = Callable[[Any, Mapping[str, Any]], bool]


class Loose:
    """A Cluster on which some status writes, those that `loose(obj, changes)` picks, do not carry the version that was read."""

    def __init__(self, inner: Cluster, loose: Writes) -> None:
        self.inner = inner
        self.loose = loose

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        version = None if self.loose(obj, changes) else if_version
        return await self.inner.patch_status(obj, changes, if_version=version)


def loosened(loose: Writes) -> Callable[[Product], Product]:
    def apply(product: Product) -> Product:
        return replace(product, wrap=lambda cluster: Loose(product.wrap(cluster), loose))

    return apply


def _claims(obj: Any, changes: Mapping[str, Any]) -> bool:
    return changes.get("phase") is Phase.RUNNING


class ReportOnceRun(Run):
    """Tries its report once: an API that is away at that moment loses the result (L11)."""

    async def report(self, outcome: claims.Outcome) -> AgenticTask | None:
        try:
            changes = self._changes(self.task, outcome, ())
            written = await self.cluster.patch_status(self.task, changes, if_version=self.task.version)
        except ClusterError:
            return None
        self.landed = True
        return written


class ReportOnceWatcher(Watcher):
    run_type = ReportOnceRun


class CoarseRun(Run):
    """Knows its claim by the node and the second it was made in (L10)."""

    still_ours = staticmethod(
        lambda task, fence: (
            task.status.phase in IN_FLIGHT
            and (task.status.assigned_node, task.status.claimed_at) == (fence.node, fence.claimed_at)
        )
    )


class NamesakeRegistrar(Registrar):
    """Speaks for the FleetNode whoever else does: the name is all there is to an identity (L9)."""

    def _taken(self, node: FleetNode) -> bool:
        return False

    async def beat(self) -> None:
        self.node = await self._write(await self._fetch(), None)


class NamesakeWatcher(Watcher):
    """Recovers whatever runs under its node's name and not in its own hands (L9)."""

    async def _still_registered(self) -> None:
        return


class CoarseNamesakeWatcher(NamesakeWatcher):
    run_type = CoarseRun


class RecoverOnceWatcher(Watcher):
    """Tries once to give an orphan back; if that fails nobody looks at the task again (L8)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._tried: set[str] = set()

    async def _adopt_or_release(self, task: AgenticTask) -> None:
        if task.key in self._tried:
            return
        self._tried.add(task.key)
        try:
            await super()._adopt_or_release(task)
        except ClusterError:
            return


class AbruptWatcher(Watcher):
    """Told to end, it lets go of everything where it stands (L5)."""

    async def drain(self, grace: float) -> None:
        self.draining = True


class SecretiveWatcher(Watcher):
    """Told to end, it neither claims nor gives back what is assigned to it (L25)."""

    async def _assigned(self, task: AgenticTask) -> float | None:
        if not self.draining:
            return await super()._assigned(task)
        self._wanted.pop(task.key, None)
        self._rest()
        return None


class TimelessWatcher(Watcher):
    """Lets a run take as long as it likes (L26)."""

    def _arm(self, due: float) -> None:
        return


LATENT_AGENT: dict[str, Mutation] = {
    "unconditional-claims": Mutation(
        "a claim does not carry the version it was decided on", "legal-transition", loosened(_claims)
    ),
    "report-once": Mutation("a result is reported once, lost or not", "attended", agent(watcher=ReportOnceWatcher)),
    "recover-once": Mutation(
        "an orphan is given back at the first try or never", "attended", agent(watcher=RecoverOnceWatcher)
    ),
    "namesakes": Mutation(
        "two processes of one node name take each other's tasks",
        "stolen-run",
        agent(registrar=NamesakeRegistrar, watcher=NamesakeWatcher),
    ),
    "coarse-fence": Mutation(
        "namesakes tell claims apart by node and second only",
        "fenced-result",
        agent(registrar=NamesakeRegistrar, watcher=CoarseNamesakeWatcher),
    ),
    "abrupt-end": Mutation("an agent told to end just ends", "clean-departure", agent(watcher=AbruptWatcher)),
}
