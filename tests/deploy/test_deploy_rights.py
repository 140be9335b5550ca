"""The rights that `deploy/` gives, tried: operator and agents work on a server that grants them and nothing else, and an agent
that wants more is refused.

The server is the simulator's over HTTP; who may do what is decided by the very RBAC objects and admission policies that are
applied to a cluster.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from admission import Review, policies, refusals
from kubeconfigs import kubeconfig
from manifests import BASE
from rbac import Rbac
from support import new_node, new_task

from foreman.api import TERMINAL, ConfigMap, ObjectMeta, Phase, Verdict
from foreman.cluster import Forbidden
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from sim.apiserver import ApiServer
from sim.http.access import Access
from sim.http.serve import Server

OPERATOR = "system:serviceaccount:foreman-system:foreman-operator"
AGENT = "system:serviceaccount:foreman-agents:"
ADMIN = "admin"
OPERATIONS = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE"}
ENDPOINTS_OFF = ("--metrics-bind-address", "0", "--health-probe-bind-address", "0")
PATIENCE_SECONDS = 60


class Guarded:
    """A server under the rules of deploy/. A token is the name of its user."""

    def __init__(self, folder: Path, *nodes: str) -> None:
        self.folder = folder
        objects = [each.object for each in BASE]
        self.rbac = Rbac(objects)
        self.policies = policies(objects)
        self.refused: list[tuple[str, ...]] = []
        users = [OPERATOR, ADMIN, *(f"{AGENT}{node}" for node in nodes)]
        access = Access({user: user for user in users}, self._authorize)
        self.server = Server(ApiServer(lambda: int(time.time())), access=access, admit=self._admit)
        self.processes: list[asyncio.subprocess.Process] = []
        self.connections: list[Connection] = []

    def _authorize(self, user: str, *asked: str) -> bool:
        allowed = user == ADMIN or self.rbac.authorize(user, *asked)
        if not allowed:
            self.refused.append((user, *asked))
        return allowed

    def _admit(self, request: Any, served: Any, old: Any, new: Any) -> str | None:
        target = request.target
        operation = OPERATIONS[request.verb]
        review = Review(request.user, operation, target.group, target.resource, target.subresource, old, new)
        why = refusals(self.policies, review)
        if why:
            self.refused.append((request.user, *why))
        return why[0] if why else None

    def kubeconfig(self, user: str) -> str:
        place = self.folder / user.replace(":", "-")
        place.mkdir(exist_ok=True)
        return kubeconfig(place, self.server.url, {"token": user})

    async def client(self, user: str) -> KubeCluster:
        self.connections.append(await Connection.open(self.kubeconfig(user)))
        return KubeCluster(self.connections[-1])

    async def start(self, user: str, *words: str) -> None:
        with (self.folder / "log").open("ab") as sink:
            command = [
                sys.executable,
                "-m",
                "foreman.cli",
                *words,
                "--kubeconfig",
                self.kubeconfig(user),
                *ENDPOINTS_OFF,
            ]
            self.processes.append(await asyncio.create_subprocess_exec(*command, stdout=sink, stderr=sink))

    async def close(self) -> list[int]:
        """End everything in good order; the exit codes."""
        for process in self.processes:
            process.terminate()
        codes = [await process.wait() for process in self.processes]
        for connection in self.connections:
            await connection.close()
        await self.server.stop()
        return codes


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.05)


def test_the_rights_are_enough_to_work(tmp_path: Path) -> None:
    """A DAG through scheduling, claims, reports, records, Events, election and a drain, without one refusal."""
    guarded = Guarded(tmp_path, "mac-1", "mac-2")

    async def story() -> tuple[list[Any], list[int]]:
        await guarded.server.start()
        admin = await guarded.client(ADMIN)
        await guarded.start(OPERATOR, "operator", "--leader-elect")
        for node in ("mac-1", "mac-2"):
            words = (
                "agent",
                "--fleet-node-name",
                node,
                "--stub-sleep",
                "20ms",
                "--node-labels",
                "x=1",
                "--task-namespace",
                "*",
            )
            await guarded.start(f"{AGENT}{node}", *words)
        for number in range(8):
            needs = [f"t{number - 2}"] if number > 1 else []
            await admin.create(new_task(f"t{number}", dependsOn=needs))

        async def recorded() -> bool:
            listing = await admin.list("AgenticTask")
            return all(t.status.phase in TERMINAL and t.metadata.annotations for t in listing.items)  # type: ignore[attr-defined]

        await until(recorded)
        tasks = (await admin.list("AgenticTask")).items
        nodes = {node.metadata.name: node for node in (await admin.list("FleetNode")).items}
        assert set(nodes) == {"mac-1", "mac-2"}
        return list(tasks), await guarded.close()

    tasks, codes = asyncio.run(story())
    # Whether its namespace exists a process may look at, where that is allowed; where not, it believes what it was told.
    assert [asked for asked in guarded.refused if asked[1:4] != ("get", "", "namespaces")] == []
    assert {task.status.verdict for task in tasks} == {Verdict.GO}
    assert codes == [0, 0, 0]


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(
            lambda c, mine, other: c.patch_status(other, {"phase": Phase.RUNNING}, if_version=None),
            id="claims another's task",
        ),
        pytest.param(
            lambda c, mine, other: c.patch_status(mine, {"assigned_node": "mac-2"}, if_version=None),
            id="hands its task on",
        ),
        pytest.param(
            lambda c, mine, other: c.patch_status(mine, {"attempt": 9}, if_version=None), id="raises the attempt"
        ),
        pytest.param(
            lambda c, mine, other: c.patch(mine, {"spec": {"priority": 9}}, if_version=None), id="changes a spec"
        ),
        pytest.param(lambda c, mine, other: c.delete(mine), id="deletes a task"),
        pytest.param(lambda c, mine, other: c.create(new_task("own")), id="submits a task"),
        pytest.param(lambda c, mine, other: c.create(new_node("mac-2")), id="registers another node"),
        pytest.param(lambda c, mine, other: c.list("ConfigMap"), id="reads records"),
        pytest.param(
            lambda c, mine, other: c.create(ConfigMap(metadata=ObjectMeta(name="x", namespace="default"))),
            id="writes records",
        ),
        pytest.param(
            lambda c, mine, other: c.get("Lease", "foreman-operator.llmkube.dev", "foreman-system"),
            id="reads the lease",
        ),
    ],
)
def test_an_agent_is_refused_what_is_not_its_own(tmp_path: Path, attempt: Any) -> None:
    guarded = Guarded(tmp_path, "mac-1")

    async def story() -> tuple[Any, Any]:
        await guarded.server.start()
        admin, agent = await guarded.client(ADMIN), await guarded.client(f"{AGENT}mac-1")
        tasks = []
        for name, node in (("mine", "mac-1"), ("other", "mac-2")):
            task = await admin.create(new_task(name))
            changes = {"phase": Phase.SCHEDULED, "assigned_node": node, "attempt": 1}
            tasks.append(await admin.patch_status(task, changes, if_version=None))
        before = (await admin.list("AgenticTask")).items
        with pytest.raises(Forbidden):
            await attempt(agent, *tasks)
        after = (await admin.list("AgenticTask")).items
        await guarded.close()
        return before, after

    before, after = asyncio.run(story())
    assert before == after
    assert len(guarded.refused) == 1
