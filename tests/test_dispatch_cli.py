"""`foreman dispatch` as a user meets it: what it accepts, what it refuses, what it says, its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cli_kit import COMMAND, cli, one_line, write_kubeconfig
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab
from real_server import RealServer, free_port
from support import new_node, new_task

from foreman.agent.agent import Agent, AgentOptions
from foreman.agent.registrar import Identity
from foreman.api import (
    AgenticTask,
    FleetNode,
    FleetNodePhase,
    FleetNodeSpec,
    NodeAccelerator,
    NodeCapability,
    ObjectMeta,
    Phase,
    TaskKind,
    to_wire,
)
from foreman.cli import dispatch
from foreman.cli.manifest import BadManifest, flagged, from_flags, tasks_in, unknown_fields
from foreman.cli.refusal import BadInput
from foreman.executors.stub import StubExecutor
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from foreman.kube.runtime import AsyncioRuntime
from foreman.operator import Operator, OperatorOptions

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
        (["--kind", "verify", "--node-selector", "pool"], "expected KEY=VALUE"),
        (["--kind", "verify", "--timeout", "soon"], "--timeout: 'soon' is not a duration"),
        (["--kind", "verify", "--timeout", "500ms"], "whole seconds"),
        (["--kind", "verify", "--wait-timeout", "-1"], "--wait-timeout"),
        (["--kind", "verify", "--policy", "best", "--dry-run"], "best-fit"),
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
    config = write_kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}")
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


# a real API server


@asynccontextmanager
async def fleet(server: RealServer, namespace: str) -> AsyncIterator[KubeCluster]:
    """An operator and an agent on the server, as long as this lasts."""
    connections = [await Connection.open(server.kubeconfig) for _ in range(2)]
    runtime = AsyncioRuntime()
    operator = Operator(KubeCluster(connections[0]), runtime, OperatorOptions(audit=False), lambda count: 0)
    node = f"node-{namespace}"
    spec = FleetNodeSpec(node_name=node, roles=("worker", namespace), slots=500)
    capability = NodeCapability(accelerator=NodeAccelerator.CUDA, total_ram_gb=64, available_ram_gb=64)
    agent = Agent(
        KubeCluster(connections[1]),
        runtime,
        Identity(node, f"{node}/1", spec, {}),
        StubExecutor(runtime, 0.2),
        lambda: capability,
        AgentOptions(namespace=namespace),
    )

    async def both() -> None:
        runtime.spawn(operator.run(), "operator")
        await agent.run(runtime.event())

    running = asyncio.create_task(runtime.run(both()))
    cluster = KubeCluster(connections[0])
    try:
        yield cluster
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await cluster.delete(FleetNode(metadata=ObjectMeta(name=node), spec=FleetNodeSpec(node_name=node)))
        for connection in connections:
            await connection.close()


@pytest.fixture
def namespace() -> str:
    return f"dispatch-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"


async def command(server: RealServer, *words: str) -> tuple[int, str, str]:
    process = await started(server, *words)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def started(server: RealServer, *words: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *COMMAND, *words, "--kubeconfig", server.kubeconfig, stdout=pipe, stderr=pipe
    )


def test_a_task_is_followed_to_its_verdict(real_server: RealServer, namespace: str):
    async def story() -> None:
        mine = ("-n", namespace, "--kind", "freeform", "--roles", namespace)
        async with fleet(real_server, namespace) as cluster:
            await _namespace(cluster, namespace)
            code, out, err = await command(real_server, "dispatch", *mine, "--name", "a", "--json")
            assert (code, err) == (0, "")
            rows = [json.loads(line) for line in out.splitlines()]
            assert [row["phase"] for row in rows[:-1]][-1] == "Succeeded"
            assert rows[-1] == {**rows[-1], "task": f"{namespace}/a", "verdict": "GO", "onTarget": True}
            assert rows[-2]["node"] == f"node-{namespace}"

            code, out, err = await command(real_server, "dispatch", *mine, "--name", "a")
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert "exists already" in err

            code, out, _ = await command(real_server, "explain", "task", f"{namespace}/a", "--json")
            told = json.loads(out)
            assert (code, told["verdict"], told["attempts"][0]["node"]) == (0, "GO", f"node-{namespace}")

    asyncio.run(story())


def test_a_task_that_waits_is_explained_left_and_found_again(real_server: RealServer, namespace: str):
    async def story() -> None:
        mine = ("-n", namespace, "--kind", "freeform", "--roles", namespace)
        async with fleet(real_server, namespace) as cluster:
            await _namespace(cluster, namespace)
            too_big = (*mine, "--name", "big", "--min-ram-gb", "128")
            code, _, err = await command(real_server, "dispatch", *too_big, "--wait-timeout", "100ms")
            assert (code, err.count("\n")) == (124, 1)
            assert f"foreman dispatch --attach {namespace}/big" in err

            code, out, _ = await command(real_server, "explain", "task", "big", "-n", namespace, "--json")
            reasons = {each["node"]: each["reasons"] for each in json.loads(out)["why"]["nodes"]}
            assert reasons[f"node-{namespace}"] == ["too little RAM (64 of 128 GiB)"]
            code, out, _ = await command(real_server, "explain", "node", f"node-{namespace}")
            assert f"{namespace}/big" in out

            code, out, _ = await command(real_server, "dispatch", *mine, "--dry-run")
            assert (code, f"-> node-{namespace} (first-fit)" in out) == (0, True)

            following = await started(real_server, "dispatch", "--attach", f"{namespace}/big")
            assert following.stdout is not None
            await following.stdout.readline()
            following.send_signal(signal.SIGINT)
            _, err_bytes = await following.communicate()
            assert following.returncode == 130
            assert "interrupted" in err_bytes.decode()
            assert "Traceback" not in err_bytes.decode()

            task = await cluster.get("AgenticTask", "big", namespace)
            assert task.status.phase in (None, Phase.PENDING), "it goes on waiting"
            following = await started(real_server, "dispatch", "--attach", f"{namespace}/big")
            assert following.stdout is not None
            await following.stdout.readline()
            await cluster.delete(task)
            out_bytes, _ = await following.communicate()
            assert (following.returncode, b"deleted before it ended" in out_bytes) == (1, True)

    asyncio.run(story())


async def _namespace(cluster: KubeCluster, name: str) -> None:
    """Where namespaces are objects it must be there first; elsewhere it is just a string."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    reply = await cluster.connection.request("POST", "/api/v1/namespaces", body=body)
    assert reply.status in (201, 404, 409), reply
