"""The account of a task and of a node: a snapshot in, the answer out."""

from __future__ import annotations

import json

import pytest
from support import new_agent, new_node, new_task

from foreman.api import Condition, FleetNodePhase, Phase, Verdict
from foreman.decide.account import News, Place, account, answers, as_data
from foreman.decide.node_account import node_account
from foreman.decide.snapshot import Snapshot

NOW = 1_000


def task(name="t", created=NOW - 60, agent="", **more):
    spec = {key: more.pop(key) for key in list(more) if key in ("dependsOn", "priority", "requiredCapability")}
    spec |= {key: more.pop(key) for key in list(more) if key in ("timeoutSeconds", "retryPolicy")}
    made = new_task(name, **spec, **({"agentRef": {"name": agent}} if agent else {}))
    status = made.status.evolve(**{"phase": Phase.PENDING, **more})
    return made.evolve(metadata=made.metadata.evolve(creation_timestamp=created, uid=name), status=status)


def node(name="n", phase="Ready", beat=NOW - 10, slots=1, **capability):
    made = new_node(name, capability or None, slots=slots)
    return made.evolve(
        status=made.status.evolve(phase=FleetNodePhase(phase), last_heartbeat_time=beat, instance=f"{name}/1")
    )


def told(*tasks, nodes=(), agents=(), of=0):
    return account(Snapshot(NOW, tasks, nodes, agents), tasks[of], "first-fit")


def condition(type_, status, at, reason="R", message="m"):
    return Condition(type=type_, status=status, reason=reason, message=message, last_transition_time=at)


def running(name="t", on="n", **more):
    return task(name, **{"phase": Phase.RUNNING, "assigned_node": on, "attempt": 1, "holder": f"{on}/1", **more})


ONE_AT_A_TIME = new_agent("coder", maxConcurrentTasks=1)
WANTS_CUDA = {"accelerator": "cuda"}


@pytest.mark.parametrize(
    ("tasks", "nodes", "agents", "reason", "next_"),
    [
        ([task()], [], [], "NoNodes", "stays Pending until a node fits"),
        ([task()], [node()], [], "Placeable", "goes to n in the next scheduling cycle"),
        ([task(phase=None)], [node()], [], "Placeable", "no operator has looked at it yet"),
        ([task(requiredCapability=WANTS_CUDA)], [node()], [], "Unschedulable", "stays Pending until a node fits"),
        ([task(), running("other")], [node()], [], "NodesBusy", "waits for a free slot on 1 node"),
        ([task()], [node(phase="NotReady")], [], "NodesNotReady", "waits for a node to become ready"),
        ([task(), task("first", created=NOW - 90)], [node()], [], "TasksAhead", "waits for its turn"),
        ([task(agent="coder")], [node()], [], "AgentNotFound", "about to fail it"),
        (
            [task(agent="coder"), running("other", agent="coder")],
            [node(slots=4)],
            [ONE_AT_A_TIME],
            "AgentAtLimit",
            "waits until one of the Agent's tasks ends",
        ),
        ([task(retry_after=NOW + 7)], [node()], [], "Resting", "may be placed again in 7s"),
        ([task(dependsOn=["up"]), task("up")], [node()], [], "WaitingForDependencies", "goes on when"),
        ([task(dependsOn=["gone"])], [node()], [], "DependencyAbsent", "about to note"),
        (
            [task(dependsOn=["gone"], conditions=(condition("DepWaitStarted", "True", NOW - 600),))],
            [node()],
            [],
            "WaitingForDependencies",
            "given up in 50m",
        ),
        ([task(dependsOn=["up"]), task("up", dependsOn=["t"])], [node()], [], "DependencyCycle", "make it Failed"),
        (
            [task(dependsOn=["up"]), task("up", phase=Phase.FAILED)],
            [node()],
            [],
            "UpstreamFailed",
            "make it Failed",
        ),
    ],
)
def test_why_it_is_pending_and_what_comes_next(tasks, nodes, agents, reason, next_):
    found = told(*tasks, nodes=nodes, agents=agents)
    assert found.why.reason == reason
    assert any(next_ in line for line in found.outlook), found.outlook


def test_what_is_told_is_in_order_of_time():
    waits = task(conditions=(condition("B", "True", NOW - 1), condition("A", "True", NOW - 9)))
    snapshot = Snapshot(NOW, [waits], [], [])
    found = account(snapshot, waits, "first-fit", (), (News(None, "x", "R", "m"), News(NOW - 5, "x", "R", "m")))
    assert [each.at for each in found.news] == [NOW - 9, NOW - 5, NOW - 1, None]


def test_every_node_answers_for_itself_with_numbers():
    want = {"accelerator": "cuda", "minRAMGB": 32, "roles": ["verifier"], "nodeSelector": {"pool": "fast"}}
    nodes = [
        node("big", accelerator="cuda", availableRAMGB=64, totalRAMGB=64),
        node("mac", accelerator="metal", availableRAMGB=16, totalRAMGB=16),
    ]
    found = told(task(requiredCapability=want), nodes=nodes)
    assert {each.node: each.reasons for each in found.why.nodes} == {
        "big": ("label mismatch (needs pool=fast)", "missing role (needs verifier)"),
        "mac": (
            "other accelerator (metal, not cuda)",
            "too little RAM (16 of 32 GiB)",
            "label mismatch (needs pool=fast)",
            "missing role (needs verifier)",
        ),
    }
    assert not any(each.fits for each in found.why.nodes)
    assert found.why.counts == {"label mismatch": 1, "other accelerator": 1}


def test_the_place_in_line_is_by_priority_then_age():
    line = [
        task("mine", created=NOW - 60),
        task("older", created=NOW - 90),
        task("urgent", created=NOW - 1, priority=5, requiredCapability=WANTS_CUDA),
        task("younger", created=NOW - 5),
        task("waits-for-a-task", created=NOW - 500, dependsOn=["mine"]),
    ]
    assert told(*line).place == Place(position=3, of=4, ahead_alike=1)
    assert told(*line, of=4).place is None


def test_dependencies_say_their_state_and_what_is_behind_them():
    tasks = [
        task(dependsOn=["done", "middle", "gone"]),
        task("done", phase=Phase.SUCCEEDED, verdict=Verdict.GO),
        task("middle", dependsOn=["root"]),
        running("root", on="gpu-1"),
    ]
    done, middle, gone = told(*tasks).dependencies
    assert (done.state, done.blocks) == ("Succeeded GO", False)
    assert (middle.state, middle.blocks, middle.waits_for) == ("Pending", True, ("root (Running on gpu-1)",))
    assert (gone.state, gone.blocks) == ("does not exist", True)


def test_a_claim_expires_with_its_node_and_the_third_strike_ends_the_task():
    held = running(claimed_at=NOW - 30, started_at=NOW - 30, strikes={"n": 1, "m": 1}, timeoutSeconds=100)
    found = told(held, nodes=[node(beat=NOW - 80)])
    assert found.outlook == (
        "if n stays silent, the claim expires in 10s (strike 3 of 3: that ends the task)",
        "its deadline (1m40s) passes in 1m10s; the operator enforces it 60s later",
    )
    assert (found.strikes, found.strikes_left) == ({"m": 1, "n": 1}, 1)
    assert found.since == NOW - 30
    assert found.times == (30, 30)


def test_an_assignment_that_nobody_claims_expires():
    assigned = running(
        phase=Phase.SCHEDULED, holder="", conditions=(condition("Scheduled", "True", NOW - 60),), created=NOW - 70
    )
    assert "n claims it, or the assignment expires in 30s" in told(assigned, nodes=[node()]).outlook[0]


def test_a_node_that_is_gone_takes_its_claims_with_it():
    assert "FleetNode n does not exist" in told(running(claimed_at=NOW)).outlook[0]


def test_the_end_says_what_it_means_for_others():
    ended = task(phase=Phase.SUCCEEDED, verdict=Verdict.NO_GO, finished_at=NOW - 5, result={"summary": "no tests"})
    found = told(ended, task("next", dependsOn=["t"]))
    assert (found.verdict, found.summary, found.dependents) == ("NO-GO", "no tests", ("next",))
    assert "its end ends (cascade) next" in found.outlook


def test_an_account_is_json_with_times_as_the_api_writes_them():
    found = as_data(told(running(claimed_at=NOW), nodes=[node()]))
    assert json.loads(json.dumps(found)) == found
    assert found["created"] == "1970-01-01T00:15:40Z"
    assert found["attempts"][0]["claimed"] == "1970-01-01T00:16:40Z"


def test_tasks_of_one_dry_run_compete_with_each_other():
    fleet = Snapshot(NOW, [], [node("a"), node("b")], [])
    asked = [new_task(f"t{number}", priority=number) for number in range(3)]
    assert [each.node for each in answers(fleet, asked, "first-fit")] == ["", "b", "a"]
    assert answers(fleet, asked, "first-fit")[0].why.reason == "TasksAhead"


def test_the_account_of_a_node():
    gpu = node("gpu", accelerator="cuda", totalRAMGB=64, availableRAMGB=64, slots=2)
    snapshot = Snapshot(
        NOW,
        [
            running("long", on="gpu", claimed_at=NOW - 40, requiredCapability={"minRAMGB": 40}),
            task("fits"),
            task("too-big", requiredCapability={"minRAMGB": 32}),
            task("mac-only", requiredCapability={"accelerator": "metal"}),
            task("burnt", strikes={"gpu": 2}),
        ],
        [gpu, node("mac", accelerator="metal")],
        [],
    )
    found = node_account(snapshot, gpu, "first-fit")
    assert (found.instance, found.heartbeat, found.usable) == ("gpu/1", NOW - 10, True)
    assert (found.offer.slots_used, found.offer.slots, found.offer.reserved_ram_gb) == (1, 2, 40)
    assert [(each.task, each.holder, each.ram_gb) for each in found.tasks] == [("default/long", "gpu/1", 40)]
    answer = {each.task.removeprefix("default/"): each for each in found.waiting}
    assert answer["fits"].fits
    assert answer["too-big"].reasons == ("RAM taken by other tasks (24 of 32 GiB left)",)
    assert answer["mac-only"].reasons == ("other accelerator (cuda, not metal)",)
    assert answer["burnt"].strikes == 2
    assert {key: each.next_node for key, each in answer.items()} == {
        "burnt": "mac",
        "fits": "gpu",
        "mac-only": "",
        "too-big": "",
    }
