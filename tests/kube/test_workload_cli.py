"""Workloads as a user meets them: dispatched from a file, followed to their end, looked at on a cluster and in a scenario."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from cli_kit import cli, command, one_line
from kube_live import Live
from support import new_agent, new_node
from test_dispatch_cli import OverHttp, OverReal, fleet

from foreman.api import FleetNodePhase, Workload, from_wire
from foreman.cli import dispatch
from foreman.cli.manifest import BadManifest, tasks_in
from foreman.cli.refusal import BadInput

HEAD = "apiVersion: foreman.llmkube.dev/v1alpha1\nkind: Workload\nmetadata: {name: batch}\n"
SPEC = "spec: {intent: mend it, issues: [1, 2, 3], coderAgentRef: {name: coder}, verifierAgentRef: {name: gate}}\n"


def written(folder: Path, text: str) -> str:
    path = folder / "workload.yaml"
    path.write_text(text)
    return str(path)


def test_a_file_may_hold_workloads(tmp_path: Path) -> None:
    (found,) = tasks_in(written(tmp_path, HEAD + SPEC), "team")
    assert isinstance(found, Workload)
    assert (found.key, found.spec.issues) == ("team/batch", (1, 2, 3))


def test_a_field_a_workload_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"spec\.isues: unknown field"):
        tasks_in(written(tmp_path, HEAD + "spec: {intent: x, isues: [1]}\n"), None)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="expected AgenticTask or Workload"):
        tasks_in(written(tmp_path, HEAD.replace("Workload", "ModelProfile")), None)


def workload(**spec: Any) -> Workload:
    said = {"intent": "x", "issues": [1, 2], "coderAgentRef": {"name": "coder"}, **spec}
    meta = {"name": "batch", "namespace": "default"}
    made = from_wire({"apiVersion": "foreman.llmkube.dev/v1alpha1", "kind": "Workload", "metadata": meta, "spec": said})
    assert isinstance(made, Workload)
    return made


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Any:
    from lab import Lab

    made = Lab()
    process = made.process()
    monkeypatch.setattr(
        dispatch, "on_cluster", lambda config, context, work: made.run(work(made.client(process), process))
    )
    node = made.server.create("test", new_node("gpu", slots=2))
    made.server.patch_status("test", node, {"phase": FleetNodePhase.READY}, None)
    made.server.create("test", new_agent("coder"))
    return made


def test_a_dry_run_says_where_its_first_tasks_would_go(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = lab.server.version
    assert dispatch._ask(None, None, [workload(verifierAgentRef={"name": "coder"})], "first-fit", True) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [(each["task"], each["node"]) for each in answers] == [
        ("default/batch-code-1", "gpu"),
        ("default/batch-code-2", "gpu"),
    ]
    assert lab.server.version == before


def test_a_dry_run_says_what_would_become_of_a_bad_plan(lab: Any) -> None:
    with pytest.raises(BadInput, match="would fail: InvalidIssues"):
        dispatch._ask(None, None, [workload(issues=[0])], "first-fit", True)


def test_a_name_that_is_taken_is_refused(lab: Any) -> None:
    lab.server.create("test", workload())
    with pytest.raises(BadInput, match="workload default/batch exists already"):
        dispatch._submit(None, None, [workload()], False, None, False)


@pytest.mark.parametrize("backend", [OverHttp, OverReal])
def test_a_workload_is_submitted_followed_and_explained(
    backend: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async def story() -> tuple[Any, Any, Any]:
        arm = backend(request)
        try:
            async with Live(await arm.start()) as live:
                await fleet(live)
                for name in ("coder", "gate"):
                    agent = new_agent(name, live.namespace, requiredCapability={"roles": [live.namespace]})
                    await live.cluster.create(agent)
                there = ("--kubeconfig", live.kubeconfig, "-n", live.namespace)
                file = written(tmp_path, HEAD + SPEC)
                done = await command("dispatch", "-f", file, *there)
                told = await command("explain", "workload", "batch", "--json", *there)
                again = await command("dispatch", "-f", file, *there)
                return done, told, again
        finally:
            await arm.stop()

    done, told, again = asyncio.run(story())
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[-1].split(": ", 1)[1] == "Completed: 6/6 child tasks on-target Succeeded"
    account = json.loads(told.stdout)
    assert (account["phase"], account["totals"]) == ("Completed", {"Succeeded": 6})
    assert {each["step"] for each in account["steps"]} == {f"{s}-{n}" for s in ("code", "verify") for n in (1, 2, 3)}
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_scenario_is_looked_into() -> None:
    done = cli("explain", "workload", "fix", "--scenario", "review-iteration", "--at", "150s", "--json")
    told = json.loads(done.stdout)
    assert (told["phase"], told["iterations"]) == ("Dispatched", 2)
    by = {each["step"]: each for each in told["steps"]}
    assert (by["review-1-0"]["counts"], by["review-1-0-r1"]["counts"]) == (False, True)
    assert any(each.startswith("verify-1-r1: ") for each in told["waits_for"])


def test_a_workload_that_is_not_there_is_said_in_one_line() -> None:
    said = one_line(cli("explain", "workload", "nope", "--scenario", "review-iteration"))
    assert "no Workload default/nope at that time: there is default/fix, default/stubborn" in said
