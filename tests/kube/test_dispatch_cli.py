"""`foreman dispatch` as a user meets it: what it accepts, what it refuses, what it says, its exit codes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cli_kit import cli, command, one_line, started
from hypothesis import given
from hypothesis import strategies as st
from kube_live import Live, until
from kubeconfigs import kubeconfig
from lab import Lab
from real_server import free_port
from support import new_node, new_task

from foreman.agent.agent import Agent, AgentOptions
from foreman.agent.registrar import Identity
from foreman.api import AgenticTask, FleetNodePhase, FleetNodeSpec, NodeCapability, TaskKind, to_wire
from foreman.cli import dispatch
from foreman.cli.manifest import BadManifest, flagged, from_flags, tasks_in, unknown_fields
from foreman.cli.refusal import BadInput
from foreman.executors.stub import StubExecutor
from sim.apiserver import ApiServer
from sim.http.serve import Server

GOOD = """
apiVersion: foreman.llmkube.dev/v1alpha1
kind: AgenticTask
metadata: {name: one, resourceVersion: "7", uid: abc}
spec: {kind: freeform, payload: {prompt: hello}}
status: {phase: Succeeded}
---
---
{"apiVersion": "foreman.llmkube.dev/v1alpha1", "kind": "AgenticTask",
 "metadata": {"generateName": "two-", "namespace": "team"}, "spec": {"kind": "verify", "payload": {}}}
"""
HEAD = "apiVersion: foreman.llmkube.dev/v1alpha1\nkind: AgenticTask\nmetadata: {name: x}\n"

# manifests


def written(folder: Path, text: str) -> str:
    path = folder / "tasks.yaml"
    path.write_text(text)
    return str(path)


def test_a_file_of_several_documents(tmp_path: Path):
    one, two = tasks_in(written(tmp_path, GOOD), None)
    assert (one.key, one.spec.payload.prompt) == ("default/one", "hello")
    assert (two.metadata.namespace, two.metadata.generate_name) == ("team", "two-")
    assert (one.metadata.resource_version, one.metadata.uid, one.status.phase) == ("", "", None), "the server's to say"


def test_the_items_of_a_list_are_documents(tmp_path: Path):
    items = [to_wire(new_task(name)) for name in ("a", "b")]
    path = written(tmp_path, json.dumps({"kind": "List", "apiVersion": "v1", "items": items}))
    assert [task.key for task in tasks_in(path, None)] == ["default/a", "default/b"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            HEAD + "spec: {kind: fix, payload: {}}",
            'document 1: AgenticTask "x" is invalid: spec.kind: Unsupported value',
        ),
        (HEAD + "spec: {kind: freeform}", "spec.payload: Required value"),
        (
            GOOD + "---\n" + HEAD + "spec: {kind: verify, payload: {promt: x}}",
            "document 3: spec.payload.promt: unknown",
        ),
        (
            HEAD + "spec: {kind: verify, payload: {slices: [{name: a, file: []}]}}",
            "spec.payload.slices[0].file: unknown",
        ),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}", "document 1: kind: is ConfigMap"),
        ("apiVersion: v1\nkind: Pod", 'kind: Unsupported value: "Pod"'),
        ("- 1", "expected an object"),
        ("a: [", "tasks.yaml:1: neither YAML nor JSON"),
        ("", "holds no task"),
        ("a: 2001-99-99", "tasks.yaml: neither YAML nor JSON: month must be in 1..12"),
        ("[" * 5000, "tasks.yaml: is nested too deeply"),
        (HEAD + 'spec: {kind: verify, payload: {prompt: "\\ud800"}}', "document 1: is not UTF-8 text"),
        (HEAD.replace("x}", "x, namespace: ../a}") + "spec: {kind: verify, payload: {}}", "'../a' is not a valid name"),
        (HEAD.replace("{name: x}", "{}") + "spec: {kind: verify, payload: {}}", "metadata.name: Required value"),
        (HEAD.replace("x}", "x, namespace: a}") + "spec: {kind: verify, payload: {}}", "is a, but -n says b"),
    ],
)
def test_what_is_wrong_is_named_with_file_document_and_field(tmp_path: Path, text: str, says: str):
    with pytest.raises(BadManifest) as refused:
        tasks_in(written(tmp_path, text), "b" if "-n says" in says else None)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.from_type(TaskKind), st.text(min_size=1, max_size=5), st.integers(-5, 5), st.booleans())
def test_flags_make_the_task_that_a_file_would(kind, prompt, priority, named):
    spec = flagged({"kind": kind, "payload": {"prompt": prompt, "repo": None}, "priority": priority, "retryPolicy": {}})
    made = from_flags(spec, "x" if named else None, None, "default")
    assert made.spec == new_task("x", kind=kind, payload={"prompt": prompt}, priority=priority).spec
    assert (made.metadata.name, made.metadata.generate_name) == (("x", None) if named else ("", f"{kind}-"))


def test_every_field_of_a_full_spec_is_known():
    assert list(unknown_fields(AgenticTask, to_wire(new_task("x", requiredCapability={"minRAMGB": 3})))) == []


# the command


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing to submit"),
        (["--prompt", "x"], "nothing to submit"),
        (["--kind", "fix"], "spec.kind: Unsupported value"),
        (["--kind", "verify", "--name", "a", "--generate-name", "b"], "exclude each other"),
        (["--kind", "verify", "--node-selector", "pool"], "is not a label"),
        (["--kind", "verify", "--timeout", "soon"], "--timeout: 'soon' is not a duration"),
        (["--kind", "verify", "--timeout", "500ms"], "at least 1s"),
        (["--kind", "verify", "--wait-timeout", "-1"], "--wait-timeout"),
        (["--kind", "verify", "--policy", "best", "--dry-run"], "best-fit"),
        (["--kind", "verify", "--prompt", "\udcff"], "the flags: is not UTF-8 text"),
        (["--kind", "verify", "--dry-run", "-n", "a/b"], "--namespace: 'a/b' is not a valid name"),
        (["--kind", "verify", "--issue", "0"], "spec.payload.issue"),
        (["--kind", "verify", "-f", "x.yaml"], "exclude each other"),
        (["--kind", "verify", "--agent-ref", "a", "--min-ram-gb", "1"], "would do nothing"),
        (["-f", "gone.yaml"], "cannot read gone.yaml"),
        (["--attach", "x", "--kind", "verify"], "nothing that describes one goes with it"),
        (["--attach", "x/"], "expected NAME or NAMESPACE/NAME"),
        (["--kind", "verify", "--kubeconfig", "/no/such/file"], "no kubeconfig at /no/such/file"),
    ],
)
def test_bad_input_gets_one_line(words: list[str], says: str):
    assert says in one_line(cli("dispatch", *words))


def test_stdin_is_a_file_too():
    assert "stdin: document 1: spec.kind" in one_line(cli("dispatch", "-f", "-", stdin=HEAD + "spec: {}")).replace(
        'AgenticTask "x" is invalid: ', ""
    )


def test_a_server_that_is_not_there_is_said_at_once(tmp_path: Path):
    config = kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert "does not answer" in one_line(cli("dispatch", "--kind", "verify", "--kubeconfig", config))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A simulated cluster with one ready node, which the command takes for the real one."""
    made = Lab()
    process = made.process()
    monkeypatch.setattr(
        dispatch, "on_cluster", lambda config, context, work: made.run(work(made.client(process), process))
    )
    node = made.server.create("test", new_node("gpu"))
    made.server.patch_status("test", node, {"phase": FleetNodePhase.READY}, None)
    return made


def asked(lab: Lab, capsys: pytest.CaptureFixture[str], *tasks: AgenticTask) -> tuple[int, list[dict]]:
    code = dispatch._ask(None, None, tasks, "first-fit", True)
    return code, json.loads(capsys.readouterr().out)


def test_a_dry_run_names_the_node_and_writes_nothing(lab: Lab, capsys: pytest.CaptureFixture[str]):
    before = lab.server.version
    code, (answer,) = asked(lab, capsys, new_task("t"))
    assert (code, answer["node"], lab.server.version) == (0, "gpu", before)


def test_a_dry_run_says_why_not_and_what_would_help(lab: Lab, capsys: pytest.CaptureFixture[str]):
    code, answers = asked(lab, capsys, new_task("a"), new_task("b", requiredCapability={"minRAMGB": 8}))
    assert (code, [each["node"] for each in answers]) == (1, ["gpu", ""])
    assert answers[1]["why"]["advice"] == "would fit 1 node if minRAMGB were 0 instead of 8"
    assert dispatch._ask(None, None, [new_task("b", requiredCapability={"minRAMGB": 8})], "first-fit", False) == 1
    assert "default/b -> nowhere now (first-fit)  Unschedulable: 0/1 nodes fit" in capsys.readouterr().out


def test_no_wait_creates_and_goes(lab: Lab, capsys: pytest.CaptureFixture[str]):
    assert dispatch._submit(None, None, [new_task("a"), new_task("b")], False, None, False) == 0
    assert set(lab.server.tables["AgenticTask"]) == {"default/a", "default/b"}
    assert [line.split()[1:] for line in capsys.readouterr().out.splitlines()] == [
        ["default/a", "created", "-"],
        ["default/b", "created", "-"],
    ]


def test_when_one_name_is_taken_nothing_is_created(lab: Lab):
    lab.server.create("test", new_task("b"))
    with pytest.raises(BadInput, match="task default/b exists already"):
        dispatch._submit(None, None, [new_task("a"), new_task("b")], False, None, False)
    assert set(lab.server.tables["AgenticTask"]) == {"default/b"}


# a whole fleet, over HTTP


async def _run(words: tuple[str, ...], live: Live) -> subprocess.CompletedProcess[str]:
    return await command(*words, "--kubeconfig", live.kubeconfig)


async def fleet(live: Live) -> tuple[str, tuple[str, ...]]:
    """An operator and an agent; the node's name, and flags of a task that only this node can take."""
    await live.operator()
    name = f"{live.namespace}-node"
    runtime = live.runtime
    agent = Agent(
        await live.connect(),
        runtime,
        Identity(name, f"{name}/1", FleetNodeSpec(node_name=name, roles=(live.namespace,), slots=500)),
        StubExecutor(runtime, 0.2),
        lambda: NodeCapability(total_ram_gb=64, available_ram_gb=64),
        AgentOptions(namespace=live.namespace),
    )
    runtime.spawn(agent.run(live.stop), name)

    async def ready() -> bool:
        nodes = (await live.cluster.list("FleetNode")).items
        return any(each.metadata.name == name and each.status.phase is FleetNodePhase.READY for each in nodes)

    await until(ready)
    return name, ("-n", live.namespace, "--kind", "freeform", "--roles", live.namespace)


class OverHttp:
    """The simulator's API server, and the fleet on it."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._folder = request.getfixturevalue("tmp_path")
        self._server = Server(ApiServer(lambda: int(time.time())))

    async def start(self) -> str:
        await self._server.start()
        return kubeconfig(self._folder, self._server.url)

    async def stop(self) -> None:
        await self._server.stop()


class OverReal:
    """The same on a real one."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._kubeconfig = request.getfixturevalue("real_server").kubeconfig

    async def start(self) -> str:
        return self._kubeconfig

    async def stop(self) -> None:
        return None


@pytest.fixture(params=[OverHttp, OverReal], ids=lambda arm: arm.__name__)
def told_on(request: pytest.FixtureRequest) -> Callable[[Callable[[Live], Awaitable[None]]], None]:
    """Runs a story on a server."""
    arm = request.param(request)

    async def begin(story: Callable[[Live], Awaitable[None]]) -> None:
        try:
            async with Live(await arm.start()) as live:
                body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": live.namespace}}
                await live.cluster.connection.request("POST", "/api/v1/namespaces", body=body)
                await story(live)
        finally:
            await arm.stop()

    return lambda story: asyncio.run(begin(story))


def test_a_task_is_followed_to_its_verdict(told_on: Any):
    async def story(live: Live) -> None:
        node, mine = await fleet(live)
        done = await _run(("dispatch", *mine, "--name", "a", "--json"), live)
        assert (done.returncode, done.stderr) == (0, "")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert (rows[-2]["phase"], rows[-2]["node"]) == ("Succeeded", node)
        assert rows[-1] == {**rows[-1], "task": f"{live.namespace}/a", "verdict": "GO", "on_target": True}

        assert "exists already" in one_line(await _run(("dispatch", *mine, "--name", "a"), live))

        done = await _run(("explain", "task", f"{live.namespace}/a", "--json"), live)
        told = json.loads(done.stdout)
        assert (done.returncode, told["verdict"], told["attempts"][0]["node"]) == (0, "GO", node)

    told_on(story)


def test_tasks_of_a_file_are_followed_together(told_on: Any, tmp_path: Path):
    async def story(live: Live) -> None:
        _, _ = await fleet(live)
        needs = {"roles": [live.namespace]}
        first = to_wire(new_task("first", live.namespace, requiredCapability=needs))
        second = to_wire(new_task("second", live.namespace, requiredCapability=needs, dependsOn=["first"]))
        path = written(tmp_path, json.dumps(second) + "\n---\n" + json.dumps(first))
        done = await _run(("dispatch", "-f", path), live)
        assert done.returncode == 0, done
        ends = [line for line in done.stdout.splitlines() if ": GO" in line]
        assert [end.split(":")[0] for end in ends] == [f"{live.namespace}/first", f"{live.namespace}/second"]

    told_on(story)


def test_a_task_that_waits_is_explained_and_left(told_on: Any):
    async def story(live: Live) -> None:
        node, mine = await fleet(live)
        big = f"{live.namespace}/big"
        done = await _run(("dispatch", *mine, "--name", "big", "--min-ram-gb", "128", "--wait-timeout", "100ms"), live)
        assert (done.returncode, done.stderr.count("\n")) == (124, 1), done
        assert f"foreman dispatch --attach {big}" in done.stderr

        done = await _run(("explain", "task", "big", "-n", live.namespace, "--json"), live)
        reasons = {each["node"]: each["reasons"] for each in json.loads(done.stdout)["why"]["nodes"]}
        assert reasons[node] == ["too little RAM (64 of 128 GiB)"]
        assert big in (await _run(("explain", "node", node), live)).stdout

        done = await _run(("dispatch", *mine, "--dry-run"), live)
        assert (done.returncode, f"-> {node} (first-fit)" in done.stdout) == (0, True)

    told_on(story)


def test_interrupted_the_task_goes_on_and_is_found_again(told_on: Any):
    async def story(live: Live) -> None:
        await live.put("t")
        attach = ("dispatch", "--attach", f"{live.namespace}/t", "--kubeconfig", live.kubeconfig)
        following = await _following(attach)
        following.send_signal(signal.SIGINT)
        _, err = await following.communicate()
        assert following.returncode == 130
        assert err.decode().startswith(f"foreman: interrupted: {live.namespace}/t goes on")
        assert err.count(b"\n") == 1
        assert (await live.task("t")).status.phase is None

        following = await _following(attach)
        await live.cluster.delete(await live.task("t"))
        out, _ = await following.communicate()
        assert (following.returncode, b"deleted before it ended" in out) == (1, True)

    told_on(story)


async def _following(words: tuple[str, ...]) -> asyncio.subprocess.Process:
    """A command that follows, once it has said so."""
    process = await started(*words)
    assert process.stdout is not None
    assert await process.stdout.readline()
    return process
