"""What is foretold is what the scheduler does: an operator started on the same state puts the same tasks on the same nodes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Lab
from support import new_agent, new_node, new_task

from foreman.api import ObjectMeta
from foreman.decide.account import answers
from foreman.decide.forecast import forecast
from foreman.decide.policies import POLICIES
from foreman.decide.snapshot import Snapshot
from foreman.operator import Operator, OperatorOptions

DETERMINATE = [policy for policy in POLICIES if policy != "random"]
NODES = ["n0", "n1", "n2", "n3"]

nodes = st.lists(
    st.fixed_dictionaries(
        {
            "accelerator": st.sampled_from(["cuda", "metal"]),
            "ram": st.sampled_from([8, 16, 32]),
            "slots": st.integers(1, 3),
            "phase": st.sampled_from(["Ready", "Ready", "Ready", "NotReady", "Draining"]),
            "zone": st.sampled_from(["east", "west", ""]),
        }
    ),
    max_size=len(NODES),
)
tasks = st.lists(
    st.fixed_dictionaries(
        {
            "on": st.sampled_from(["", "", "", "", "", "", *NODES]),
            "priority": st.sampled_from([0, 0, 5]),
            "capability": st.sampled_from([{}, {"accelerator": "cuda"}, {"minRAMGB": 16}, {"accelerator": "vulkan"}]),
            "agent": st.sampled_from(["", "one-at-a-time", "one-at-a-time", "big", "nobody"]),
            "depends_on": st.sampled_from([[], [], [], [], [], ["done"], ["open"], ["no-such-task"]]),
            "strikes": st.dictionaries(st.sampled_from(NODES), st.integers(1, 2), max_size=1),
            "retry_in": st.sampled_from([None, None, 8]),
            "later": st.booleans(),
        }
    ),
    max_size=8,
)


def populate(lab, fleet, jobs):
    """Put the objects where the API server keeps them."""
    for agent in (
        new_agent("one-at-a-time", maxConcurrentTasks=1),
        new_agent("big", requiredCapability={"minRAMGB": 16}),
    ):
        lab.server.create("test", agent)
    for name, verdict in (("done", "GO"), ("open", None)):
        made = lab.server.create("test", new_task(name, requiredCapability={"accelerator": "vulkan"}))
        status = {"phase": "Succeeded", "verdict": verdict} if verdict else {"phase": "Pending"}
        lab.server.patch_status("test", made, status, None)
    for number, job in enumerate(jobs):
        lab.advance(1 if job["later"] else 0)
        spec = {"priority": job["priority"], "requiredCapability": job["capability"], "dependsOn": job["depends_on"]}
        if job["agent"]:
            spec["agentRef"] = {"name": job["agent"]}
        made = lab.server.create("test", new_task(f"t{number}", **spec))
        status = {"phase": "Pending", "strikes": job["strikes"]}
        if job["on"] and not job["depends_on"]:
            status |= {"phase": "Scheduled", "assigned_node": job["on"], "attempt": 1}
        elif job["retry_in"]:
            status |= {"retry_after": lab.server.wall() + job["retry_in"]}
        lab.server.patch_status("test", made, status, None)
    for name, node in zip(NODES, fleet, strict=False):
        labels = {"topology.kubernetes.io/zone": node["zone"]} if node["zone"] else {}
        made = lab.server.create("test", new_node(name, labels=labels, slots=node["slots"]))
        capability = {"accelerator": node["accelerator"], "totalRAMGB": node["ram"], "availableRAMGB": node["ram"]}
        beat = lab.server.wall()
        status = {"phase": node["phase"], "last_heartbeat_time": beat, "capability": as_capability(capability)}
        lab.server.patch_status("test", made, status, None)


def as_capability(data):
    return new_node("x", data).status.capability


def seen(lab):
    tables = lab.server.tables
    return Snapshot(lab.server.wall(), *(tables[kind].values() for kind in ("AgenticTask", "FleetNode", "Agent")))


def placed_by_the_operator(lab, policy):
    """Run the operator for a moment; where it has put which task."""
    placed = {}

    def committed(change):
        if change.kind == "AgenticTask" and change.new.status.attempt > (change.old or change.new).status.attempt:
            placed[change.key] = change.new.status.assigned_node

    lab.server.observers.append(committed)
    process = lab.process("operator")
    operator = Operator(lab.client(process), process, OperatorOptions(policy=policy, audit=False), lambda count: 0)
    process.spawn(operator.run(process.stop), "operator")
    lab.advance(5)
    return placed


@given(st.sampled_from(DETERMINATE), nodes, tasks)
@settings(max_examples=150)
def test_the_forecast_is_what_the_operator_does(policy, fleet, jobs):
    lab = Lab()
    populate(lab, fleet, jobs)
    foretold = forecast(seen(lab), policy).placed
    assert placed_by_the_operator(lab, policy) == foretold


@given(st.sampled_from(DETERMINATE), nodes, tasks, tasks.filter(bool))
@settings(max_examples=100)
def test_a_dry_run_says_where_the_operator_then_puts_the_tasks(policy, fleet, jobs, asked):
    lab = Lab()
    populate(lab, fleet, jobs)
    new = [
        new_task(f"new{number}", priority=job["priority"], requiredCapability=job["capability"])
        for number, job in enumerate(asked)
    ]
    foretold = {answer.task: answer.node for answer in answers(seen(lab), new, policy)}
    for task in new:
        made = lab.server.create("test", task)
        lab.server.patch_status("test", made, {"phase": "Pending"}, None)
    placed = placed_by_the_operator(lab, policy)
    assert {key: placed.get(key, "") for key in foretold} == foretold


@pytest.mark.parametrize("policy", POLICIES)
def test_a_task_goes_to_an_open_node_under_every_policy(policy):
    lab = Lab()
    populate(lab, [{"accelerator": "cuda", "ram": 8, "slots": 1, "phase": "Ready", "zone": ""}], [])
    (answer,) = answers(seen(lab), [new_task("new")], policy)
    assert (answer.node, answer.place.position) == ("n0", 1)


def test_asking_changes_nothing():
    lab = Lab()
    populate(lab, [], [])
    snapshot = seen(lab)
    before = dict(snapshot.tasks)
    answers(snapshot, [new_task("new")], "first-fit")
    assert snapshot.tasks == before
    assert ObjectMeta(name="new").name not in {key.partition("/")[2] for key in snapshot.tasks}
