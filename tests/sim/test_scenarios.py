"""The shipped scenarios: green as they are, red without the safeguard they are about, the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sim.checkers import LIVENESS, SAFETY
from sim.load import load, shipped, zoo
from sim.mutations import MUTATIONS
from sim.result import exit_code, result_of
from sim.trace import Trace
from sim.world import World

SMALLER = {
    "million": ["workload.count=2000", "fleet.node.count=50", "workload.arrivals={poisson: 4/s}"],
    "scale": [
        "workload.count=300",
        "fleet.node.count=100",
        "workload.arrivals={poisson: 4/m}",
        "executor.duration=10m",
        "linger=0s",
    ],
    "workload-pipeline": [
        "workloads.batch.spec.issues=30",
        *(f"fleet.{group}.count={count}" for group, count in (("metal", 3), ("cuda", 2), ("cpu", 3))),
    ],
}
NAMES = sorted(shipped())


def outcome(name: str, *sets: str, seed: int | None = None) -> dict:
    return result_of(World(load(name, [*SMALLER.get(name, []), *sets]), seed).run())


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_shipped_scenario_is_green(name: str, seed: int) -> None:
    result = outcome(name, seed=seed)
    assert result["verdict"] == "ok", (result["violations"][:3], result["unmet"], result["crashes"])


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_scenario_tells_its_story(name: str) -> None:
    scenario = load(name)
    assert len(scenario.story.split()) >= 6
    assert shipped()[name].read_text().startswith("# ")
    assert scenario.expect


RED = [
    ("unconditional-writes", "claim-race", "one-holder"),
    ("unconditional-writes", "claim-race", "single-execution"),
    ("unconditional-writes", "claim-race", "legal-transition"),
    ("unconditional-writes", "claim-race", "field-owner"),
    ("no-attempt-fence", "zombie-agent", "fenced-result"),
    ("terminal-overwrite", "node-flap", "terminal-absorbs"),
    ("no-slot-admission", "claim-race", "slots"),
    ("cross-clock-heartbeats", "node-flap", "earned-expiry"),
    ("no-claim-expiry", "cascade", "eventually-stable"),
    ("silent-waits", "missing-dependency", "eventually-stable"),
    ("boundless-strikes", "three-strikes", "attempts-bounded"),
    ("same-attempt", "node-flap", "attempt-monotone"),
    ("no-filters", "heterogeneous-fleet", "capability"),
    ("no-filters", "heterogeneous-fleet", "capacity"),
    ("no-agent-limit", "heterogeneous-fleet", "agent-limit"),
    ("restamped-conditions", "missing-dependency", "write-storm"),
    ("unconditional-writes", "claim-race", "no-leak"),
    ("unconditional-writes", "lost-reply", "field-owner"),
    ("doubted-reports", "lost-reply", "differential"),
    ("no-claim-expiry", "dropped-event", "eventually-stable"),
    ("unconditional-writes", "duplicate-and-late-events", "field-owner"),
    ("unconditional-writes", "claim-race", "linearizable-claims"),
    ("no-attempt-fence", "zombie-agent", "linearizable-claims"),
    ("render-at-first-look", "workload-pipeline", "workload-accounted"),
    ("hopeful-rollup", "workload-pipeline", "workload-accounted"),
    ("forgetful-planner", "workload-pipeline", "rendered-once"),
    ("name-is-ownership", "workload-pipeline", "foreign-child"),
    ("restamped-rollup", "workload-pipeline", "write-storm"),
    ("no-endpoint-accounting", "model-endpoints", "endpoint-limit"),
    ("no-backoff", "model-budgets", "retry-after"),
    ("no-turn-budget", "model-budgets", "run-budget"),
]


@pytest.mark.parametrize(("mutation", "scenario", "invariant"), RED)
def test_a_mutation_turns_its_scenario_red(mutation: str, scenario: str, invariant: str) -> None:
    """The negative control of every invariant; three seeds, for a race need not show under each."""
    seen = set()
    for seed in range(3):
        result = outcome(scenario, f"mutations=[{mutation}]", seed=seed)
        seen |= {each["invariant"] for each in result["violations"]}
        if invariant in seen:
            assert exit_code(result) in (3, 4)
            return
    pytest.fail(f"{mutation} violated only {sorted(seen)}")


def test_every_invariant_and_every_mutation_has_a_negative_control() -> None:
    in_zoo = {
        (m, v) for name in zoo() for s in [load(name)] for m in s.mutations for v in as_list(s.expect["violates"])
    }
    red = {(mutation, invariant) for mutation, _, invariant in RED} | in_zoo
    assert {invariant for _, invariant in red} == set(SAFETY) | set(LIVENESS)
    assert {mutation for mutation, _ in red} == set(MUTATIONS)
    for mutation, invariants in MUTATIONS.items():
        assert (mutation, invariants.breaks) in red


def test_the_same_seed_gives_the_same_digest_and_another_seed_another() -> None:
    digests = [outcome("claim-race", seed=seed)["digest"] for seed in (0, 0, 1, 2)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_digest_does_not_depend_on_the_hash_seed_of_the_interpreter() -> None:
    code = (
        "from sim.load import load; from sim.world import World\n"
        "for name in ('claim-race', 'heterogeneous-fleet', 'scheduler-failover', 'review-iteration', 'model-budgets'):\n"
        "    print(World(load(name, ['policy=random', 'until=3m']), 7).run().digest.hexdigest())\n"
        "print(World(load('workload-pipeline', ['workloads.batch.spec.issues=60', 'until=4m'])).run().digest.hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }
    assert len(seen) == 1


def test_neither_tracing_nor_checking_changes_what_happens() -> None:
    plain = World(load("zombie-agent"), 3).run().digest.hexdigest()
    unchecked = World(load("zombie-agent"), 3, check=False).run().digest.hexdigest()
    traced = World(load("zombie-agent"), 3, trace=Trace()).run().digest.hexdigest()
    assert plain == unchecked == traced


def test_the_m2_demo_leaves_the_trail_and_the_envelope_of_the_original() -> None:
    w = World(load("m2-stub-task")).run()
    task = w.server.get("test", "AgenticTask", "m2-stub-demo", "default")
    status = task.status
    assert (status.phase, status.verdict, status.assigned_node) == ("Succeeded", "GO", "node-0")
    assert [(each.type, each.status, each.reason, each.message) for each in status.conditions] == [
        ("Scheduled", "True", "FleetNodeAssigned", 'scheduled to FleetNode "node-0"'),
        ("Running", "True", "Claimed", "claimed by node-0"),
        ("Completed", "True", "ExecutorSucceeded", "stub executor slept 10s on task default/m2-stub-demo"),
    ]
    assert status.result == {
        "schemaVersion": "foreman.v1",
        "kind": "stub",
        "verdict": "GO",
        "summary": "stub executor slept 10s on task default/m2-stub-demo",
        "extra": {"taskKind": "freeform", "agentName": "stub", "modelRef": ""},
        "elapsedSec": 10.0,
    }


def test_a_cascade_fails_exactly_what_depends_on_the_failure() -> None:
    w = World(load("cascade")).run()
    tasks = w.server.tables["AgenticTask"]
    for key, task in tasks.items():
        parents = [tasks[f"default/{name}"] for name in task.spec.depends_on]
        doomed = any(parent.status.verdict != "GO" for parent in parents)
        assert (task.status.phase == "Failed") == doomed, key


def test_tasks_that_fit_nowhere_say_what_would_make_them_fit() -> None:
    w = World(load("heterogeneous-fleet")).run()
    told = {
        name: next(each for each in w.server.get("t", "AgenticTask", name, "default").status.conditions)
        for name in ("too-big", "vulkan")
    }
    assert {each.reason for each in told.values()} == {"Unschedulable"}
    assert "if minRAMGB were 128 instead of 256" in told["too-big"].message
    assert "0/13 nodes fit" in told["vulkan"].message
