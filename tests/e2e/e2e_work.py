"""Real work in real processes, on this machine alone: `foreman dev`, native agents, a repository with three bugs in it, a bare
remote, and a scripted model that mends them.

`python tests/e2e/e2e_work.py` plays and tells the story of a Workload whose coder is killed in the middle of a turn.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml
from aiohttp import web
from scripted_endpoint import Say, ScriptedEndpoint, call, serving

from foreman.api import AgenticTask, FleetNode, Phase, Resource, Workload, WorkloadPhase, from_wire
from foreman.cache import Cache
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from foreman.kube.runtime import AsyncioRuntime

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
REPO = "example/demo"
ISSUES = (1, 2, 3)
PATIENCE_SECONDS = 240
ENDED = (WorkloadPhase.COMPLETED, WorkloadPhase.FAILED)
ENDPOINTS_OFF = ("--metrics-bind-address", "0", "--health-probe-bind-address", "0")
WRONG = "def double(x):\n    return x + x + 1\n"
TEST = (
    "import unittest\n\nfrom sum_{n} import double\n\n\nclass Test(unittest.TestCase):\n"
    "    def test_double(self):\n        self.assertEqual(double(-2), -4)\n"
)


def git(folder: Path, *words: str) -> str:
    """What git prints, in an environment that is the same everywhere."""
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com",
    }  # fmt: skip
    return subprocess.run(["git", *words], cwd=folder, env=env, check=True, text=True, capture_output=True).stdout


class Remote:
    """A bare repository that remembers every push, with a bug for each issue."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{REPO}.git"
        self.template = f"file://{folder}/{{repo}}.git"
        source = folder / "source"
        source.mkdir(parents=True)
        self.path.mkdir(parents=True)
        git(source, "init", "-q", "-b", "main")
        for issue in ISSUES:
            (source / f"sum_{issue}.py").write_text(WRONG, encoding="utf-8")
        (source / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
        git(source, "add", ".")
        git(source, "commit", "-q", "-m", "Three bugs")
        git(self.path, "init", "-q", "--bare", "-b", "main")
        git(self.path, "config", "core.logAllRefUpdates", "always")
        git(source, "push", "-q", str(self.path), "main")

    def branches(self) -> dict[str, str]:
        """Heads of all branches but main."""
        said = git(self.path, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
        heads = dict(line.split() for line in said.splitlines())
        return {name: head for name, head in heads.items() if name != "main"}

    def pushes(self, branch: str) -> list[str]:
        """The heads that the branch has had, the oldest first."""
        return git(self.path, "reflog", "show", "--format=%H", f"refs/heads/{branch}").split()[::-1]

    def file(self, branch: str, path: str) -> str:
        return git(self.path, "show", f"{branch}:{path}")

    def fence(self, branch: str) -> str:
        return git(self.path, "log", "-1", "--format=%B", f"refs/foreman/fence/{branch}")


class Brain:
    """The model of coders and reviewers. The first to ask for turn `turn` of the coder of `issue` waits until `released`;
    `reached` is set meanwhile."""

    def __init__(self, issue: int = 0, turn: int = 0) -> None:
        self.at = (issue, turn)
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self.asked: list[tuple[str, int, int]] = []

    async def __call__(self, server: ScriptedEndpoint, request: Any, body: dict[str, Any]) -> Any:
        messages = body["messages"]
        task = next(each["content"] for each in messages if each["role"] == "user")
        issue = int(task.partition("Issue: #")[2].partition("\n")[0])
        turn = sum(each["role"] == "assistant" for each in messages)
        self.asked.append((body["model"], issue, turn))
        if body["model"] == "coder" and (issue, turn) == self.at and not self.reached.is_set():
            self.reached.set()
            # Whoever asked may be gone by then: nobody hears the answer.
            ending = (asyncio.ensure_future(each.wait()) for each in (self.released, server.ending))
            _, left = await asyncio.wait({*ending}, return_when=asyncio.FIRST_COMPLETED)
            for each in left:
                each.cancel()
            if request.transport is None or request.transport.is_closing():
                return web.Response(status=503)
        turns = coder(issue) if body["model"] == "coder" else reviewer(issue)
        return await Say(f"turn {turn}", [turns[min(turn, len(turns) - 1)]])(server, request, body)


def coder(issue: int) -> list[dict[str, Any]]:
    """Reads, mends, writes a test, runs it, submits."""
    path = f"sum_{issue}.py"
    return [
        call("read_file", {"path": path}),
        call("str_replace", {"path": path, "old_string": "x + x + 1", "new_string": "x + x"}),
        call("write_file", {"path": f"test_sum_{issue}.py", "content": TEST.format(n=issue)}),
        call("bash", {"command": "python3 -m unittest"}),
        call("submit_result", {"verdict": "GO", "summary": "mended", "commit_message": f"Mend the sum of {issue}"}),
    ]


def reviewer(issue: int) -> list[dict[str, Any]]:
    return [
        call("read_file", {"path": f"sum_{issue}.py"}),
        call("submit_result", {"verdict": "GO", "summary": f"issue {issue} is mended, and tested"}),
    ]


class Stage:
    """The cluster, its agents, the remote and the model; what is on it is seen as it changes."""

    def __init__(self, folder: Path, endpoint: ScriptedEndpoint, brain: Brain) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.brain = brain
        self.remote = Remote(folder / "remotes")
        self.kubeconfig = str(folder / "kubeconfig")
        # A machine has one agent of a name, whichever test started it.
        self.nodes = [f"{name}-{os.getpid()}" for name in ("mac", "gpu")]
        self.agents: dict[str, asyncio.subprocess.Process] = {}
        self.closing = AsyncExitStack()
        self.changed = asyncio.Event()
        self.cluster: KubeCluster
        self.tasks: Cache[AgenticTask]
        self.workloads: Cache[Workload]
        self.fleet: Cache[FleetNode]
        self.told: Callable[[AgenticTask], None] = lambda task: None

    async def _start(self, name: str, *words: str, **pipes: Any) -> asyncio.subprocess.Process:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "foreman.cli", *words, "--log-format", "json"]
            process = await asyncio.create_subprocess_exec(*command, **{"stdout": log, "stderr": log, **pipes})
        self.closing.push_async_callback(_ended, process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    async def open(self, runtime: AsyncioRuntime) -> None:
        """API server and operator in one process; then a client of our own."""
        words = ("dev", "--agents", "0", "--port", "0", "--kubeconfig", self.kubeconfig)
        dev = await self._start("dev", *words, stdout=asyncio.subprocess.PIPE)
        assert dev.stdout is not None
        assert (await dev.stdout.readline()).startswith(b"serving "), self.log("dev")
        connection = await Connection.open(self.kubeconfig)
        self.closing.push_async_callback(connection.close)
        self.cluster = KubeCluster(connection)
        self.tasks = Cache(self.cluster, runtime, "AgenticTask", namespace="default", retry=0.2)
        self.workloads = Cache(self.cluster, runtime, "Workload", namespace="default", retry=0.2)
        self.fleet = Cache(self.cluster, runtime, "FleetNode", retry=0.2)
        self.tasks.listen(self._seen)
        self.fleet.listen(lambda key, old, new: self.changed.set())
        self.workloads.listen(lambda key, old, new: self.changed.set())
        runtime.spawn(self.tasks.run(), "tasks")
        runtime.spawn(self.fleet.run(), "fleet")
        runtime.spawn(self.workloads.run(), "workloads")

    def _seen(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        if new is not None and (old is None or old.status.phase is not new.status.phase):
            self.told(new)
        self.changed.set()

    async def agent(self, node: str, *more: str) -> asyncio.subprocess.Process:
        """A native agent that speaks for `node`."""
        words = (
            "agent", "--agent-mode", "native", "--kubeconfig", self.kubeconfig, "--fleet-node-name", node,
            "--inference-base-url-override", self.endpoint.base_url, "--git-remote-url", self.remote.template,
            "--workspace-dir", str(self.folder / f"work-{node}"), *ENDPOINTS_OFF, *more,
        )  # fmt: skip
        self.agents[node] = await self._start(node, *words)
        return self.agents[node]

    async def kill(self, node: str) -> None:
        self.agents[node].kill()
        assert await self.agents[node].wait() == -signal.SIGKILL

    async def put(self) -> None:
        """The Agents that ship, and the Workload that is their example."""
        for name in ("coder", "gate", "reviewer"):
            await self.cluster.create(read(DEPLOY / f"agents/{name}.yaml"))
        await self.cluster.create(read(DEPLOY / "agents/example-workload.yaml"))

    def task(self, name: str) -> AgenticTask:
        return cast(AgenticTask, self.tasks.get(f"default/{name}"))

    @property
    def workload(self) -> Workload | None:
        return self.workloads.get("default/batch")

    async def until(self, holds: Any) -> None:
        """Wait for a change after which `holds()`."""
        while not holds():
            self.changed.clear()
            await self.changed.wait()

    async def over(self) -> Workload:
        await self.until(lambda: self.workload is not None and self.workload.status.phase in ENDED)
        return cast(Workload, self.workload)


def read(path: Path) -> Resource:
    return from_wire(yaml.safe_load(path.read_text(encoding="utf-8")))


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        process.send_signal(signal.SIGCONT)
    await process.wait()


@asynccontextmanager
async def staged(folder: Path, brain: Brain, runtime: AsyncioRuntime) -> AsyncIterator[Stage]:
    async with serving(brain) as endpoint:
        stage = Stage(folder, endpoint, brain)
        async with stage.closing, asyncio.timeout(PATIENCE_SECONDS):
            await stage.open(runtime)
            yield stage


def tell(task: AgenticTask) -> None:
    status = task.status
    if status.attempt and status.phase is not Phase.SCHEDULED:
        where = f"on {status.assigned_node}" if status.assigned_node else ""
        print(
            f"  {task.metadata.name:<16} attempt {status.attempt} {status.phase:<9} {status.verdict or where}",
            flush=True,
        )


async def story(stage: Stage) -> None:
    """Three issues, two agents, a kill -9."""
    stage.told = tell
    await asyncio.gather(*(stage.agent(node) for node in stage.nodes))
    await stage.put()
    await stage.brain.reached.wait()
    node = stage.task("batch-code-2").status.assigned_node
    print(
        f"kill -9 {stage.agents[node].pid}: the agent of {node}, in turn 3 of batch-code-2; and a new one", flush=True
    )
    await stage.kill(node)
    await stage.agent(node)
    workload = await stage.over()
    print(f"Workload batch: {workload.status.phase}, {workload.status.succeeded_tasks} tasks succeeded")
    for branch in sorted(stage.remote.branches()):
        print(f"{branch}: pushed {len(stage.remote.pushes(branch))} time(s)")
        print(git(stage.remote.path, "log", "--format=  %h %s", "--stat", f"main..{branch}"))


async def main(folder: Path) -> None:
    runtime = AsyncioRuntime()

    async def whole() -> None:
        async with staged(folder, Brain(2, 2), runtime) as stage:
            await story(stage)

    await runtime.run(whole())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="foreman-work-") as made:
        asyncio.run(main(Path(made)))
