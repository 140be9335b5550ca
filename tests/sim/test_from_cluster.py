"""A live cluster as a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import new_agent, new_node, new_task, run, until, world

from foreman.api import Agent, AgenticTask, FleetNode, FleetNodePhase
from foreman.decide.snapshot import Snapshot
from sim.importers.cluster import scenario_of
from sim.load import check
from sim.result import result_of
from sim.world import World

LIVE = """
fleet:
  gpu: {count: 3, accelerator: cuda, ramGB: 48, slots: 2, labels: {zone: a}}
  mac: {count: 1, accelerator: metal, ramGB: 64, roles: [worker, verifier]}
agents:
  coder: {requires: {accelerator: cuda}, maxConcurrentTasks: 2}
workload:
  count: 30
  arrivals: {poisson: 60/m}
  shape: {chain: {length: 3}}
  mix: {any: {}, code: {agent: coder}}
executor: {duration: {uniform: [3s, 9s]}, verdicts: {GO: 9, NO-GO: 1}}
"""


def snapshot(w: World) -> Snapshot:
    tables = w.server.tables
    return Snapshot(
        w.now() // 1_000_000, *(list(tables[kind].values()) for kind in ("AgenticTask", "FleetNode", "Agent"))
    )


@pytest.fixture(scope="module")
def midway() -> Snapshot:
    w = world(LIVE)
    until(w, lambda: w.stats.settled >= 12)
    return snapshot(w)


def test_nodes_that_are_alike_are_one_group(midway: Snapshot) -> None:
    fleet = check(scenario_of(midway, "live").data).fleet
    assert {name: group.count for name, group in fleet.items()} == {"cuda": 3, "metal": 1}
    assert (fleet["cuda"].slots, fleet["cuda"].ram_gb, fleet["cuda"].labels["zone"]) == (2, 48, "a")
    assert set(fleet["metal"].roles) == {"worker", "verifier"}


def test_what_waits_or_runs_is_taken_over_and_can_be_run(midway: Snapshot) -> None:
    found = scenario_of(midway, "live")
    scenario = check(found.data)
    unfinished = {t.metadata.name for t in midway.tasks.values() if t.status.phase not in ("Succeeded", "Failed")}
    assert set(scenario.tasks) == unfinished
    assert scenario.agents["coder"].max_concurrent_tasks == 2
    w = World(scenario).run()
    assert result_of(w)["verdict"] == "ok"
    assert any("begin anew" in note for note in found.notes)
    assert any("finished tasks left out" in note for note in found.notes)


def test_durations_and_verdicts_are_those_that_were_seen(midway: Snapshot) -> None:
    executor = scenario_of(midway, "live").data["executor"]
    assert len(executor["duration"]["choices"]) >= 5
    assert set(executor["verdicts"]) <= {"GO", "NO-GO"}


def test_with_history_all_comes_again_as_it_came() -> None:
    w = run(LIVE)
    data = scenario_of(snapshot(w), "live", history=True).data
    again = World(check(data)).run()
    assert again.stats.created == 30
    assert again.stats.verdicts == w.stats.verdicts
    assert abs(again.stats.makespan() - w.stats.makespan()) < 0.2 * w.stats.makespan()


def test_prompts_do_not_travel() -> None:
    task = new_task("t", payload={"prompt": "a secret", "repo": "own/er", "agent": "coder"})
    found = scenario_of(Snapshot(0, [task], [ready()], [new_agent("coder")]), "live")
    assert "a secret" not in str(found.data)
    assert found.data["tasks"]["t"]["spec"]["payload"] == {"agent": "coder"}


def ready(name: str = "n", phase: str = "Ready") -> FleetNode:
    node = new_node(name, {"totalRAMGB": 8})
    return node.evolve(status=node.status.evolve(phase=FleetNodePhase(phase)))


def test_what_it_cannot_hold_is_said() -> None:
    same = [new_task("t"), new_task("t", namespace="other"), new_task("lost", agentRef={"name": "gone"})]
    agents = [new_agent("a"), new_agent("a", namespace="other", model="bigger")]
    found = scenario_of(Snapshot(0, same, [ready("a"), ready("b", "NotReady")], agents), "live")
    told = "\n".join(found.notes)
    assert "is called t-2" in told
    assert "not Ready and left out: b" in told
    assert "gone: named by tasks and not there" in told
    assert "differs from its namesake" in told
    assert check(found.data).allow_missing
    both = scenario_of(Snapshot(0, same, [ready("a"), ready("b", "NotReady")], agents), "live", dead=True)
    assert check(both.data).fleet["cpu"].count == 2


@pytest.mark.parametrize(
    ("tasks", "nodes", "why"),
    [
        ([new_task("t")], [], "no FleetNode"),
        ([new_task("t")], [ready("n", "NotReady")], "no node is Ready: n"),
        ([], [ready()], "no task waits or runs"),
    ],
)
def test_nothing_to_simulate(tasks: list[AgenticTask], nodes: list[FleetNode], why: str) -> None:
    agents: list[Agent] = []
    with pytest.raises(ValueError, match=why):
        scenario_of(Snapshot(0, tasks, nodes, agents), "live")


def test_the_command_reads_a_cluster(tmp_path: Path) -> None:
    from cli_kit import cli, one_line

    assert "no kubeconfig at" in one_line(
        cli("sim", "from-cluster", "--kubeconfig", str(tmp_path / "none"), "-o", "x.yaml")
    )
