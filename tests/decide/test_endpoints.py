"""Model endpoints in placement: how many runs they take, and what speed is left for each."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support import new_agent, new_node, new_task

from foreman.decide.explain import explain, fit
from foreman.decide.filters import Node, Reason, mismatches, obstacle
from foreman.decide.fleet import Fleet
from foreman.decide.requirement import Requirement, requirement_of

QWEN = {"model": "qwen", "maxConcurrent": 2, "tokensPerSecond": 60}


def served(*endpoints: dict[str, Any], slots: int = 8, **capability: Any) -> Any:
    return new_node("n", {"endpoints": list(endpoints), **capability}, slots=slots)


def node(*endpoints: dict[str, Any], **more: Any) -> Node:
    made = Node("n")
    made.learn(served(*endpoints, **more), ready=True)
    return made


def run(floor: int = 0, model: str = "qwen") -> Requirement:
    return Requirement(endpoint=model, min_tokens_per_second=floor)


def test_whose_model_a_run_uses() -> None:
    task = new_task("t", agentRef={"name": "a"})
    assert requirement_of(task, new_agent("a", model="qwen")).endpoint == "qwen"
    assert requirement_of(task, new_agent("a", inferenceServiceRef={"name": "svc"})).endpoint == "svc"
    assert requirement_of(task, new_agent("a")).endpoint == ""
    assert requirement_of(new_task("t", modelRef="qwen"), None).endpoint == "qwen"
    cloud = new_agent("a", model="qwen", provider="cloud-proxy", providerConfig={"baseURL": "u", "model": "m"})
    assert requirement_of(task, cloud).endpoint == ""
    job = new_agent("a", model="qwen", execution={"mode": "Job"})
    assert requirement_of(task, job).endpoint == ""


def test_an_endpoint_takes_so_many_runs_and_no_more() -> None:
    n = node(QWEN)
    assert obstacle(run(), n) is None
    n.serve("qwen", 0, 1)
    assert obstacle(run(), n) is None
    n.serve("qwen", 0, 1)
    assert obstacle(run(), n) is Reason.ENDPOINT
    assert obstacle(run(model="other"), n) is None
    assert obstacle(Requirement(), n) is None
    n.serve("qwen", 0, -1)
    assert obstacle(run(), n) is None


def test_what_was_promised_is_kept() -> None:
    n = node({**QWEN, "maxConcurrent": 0})
    assert obstacle(run(60), n) is None
    n.serve("qwen", 30, 1)
    assert obstacle(run(), n) is None, "two runs at 30 tokens/s each"
    assert obstacle(run(31), n) is Reason.ENDPOINT
    n.serve("qwen", 0, 1)
    assert obstacle(run(), n) is Reason.ENDPOINT, "a third would leave 20 to the one that was promised 30"


def test_a_model_that_is_too_slow_even_alone_never_fits() -> None:
    assert mismatches(run(61), node(QWEN)) == [Reason.SPEED]
    assert mismatches(run(60), node(QWEN)) == []
    assert mismatches(run(10), node(tokensPerSecond=9)) == [Reason.SPEED]
    assert mismatches(run(10), node(tokensPerSecond=10)) == []


def test_what_is_served_is_installed() -> None:
    assert mismatches(Requirement(model="qwen"), node(QWEN)) == []
    assert mismatches(Requirement(model="llama"), node(QWEN)) == [Reason.MODEL]


def test_it_says_why() -> None:
    n = node(QWEN)
    for _ in range(2):
        n.serve("qwen", 0, 1)
    told = explain(run(), [n])
    assert told.reason == "NodesBusy"
    assert "1 model endpoint at its limit; waits for its model to have room" in told.message
    assert fit(run(), n).reasons == ("model endpoint at its limit (2 runs of 2 by qwen)",)
    assert "minTokensPerSecond were 60 instead of 90" in explain(run(90), [node(QWEN)]).message


STEPS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 5, 20, 30])), max_size=60)


@given(STEPS, st.integers(0, 4), st.integers(20, 80))
def test_the_account_never_lets_an_endpoint_run_over(steps: list[tuple[int, int]], limit: int, speed: int) -> None:
    """A task comes, or goes if it is there: at no time are there more runs than allowed, nor less speed than promised."""
    fleet = Fleet("first-fit", lambda n: 0, lambda want: None)
    fleet.learn(served({"model": "qwen", "maxConcurrent": limit, "tokensPerSecond": speed}, slots=20), ready=True)
    held: dict[int, int] = {}
    for task, floor in steps:
        if task in held:
            fleet.vacate(str(task))
            del held[task]
        elif (name := fleet.choose(run(floor))) is not None:
            fleet.occupy(str(task), name, run(floor))
            held[task] = floor
        runs = fleet.node("n").runs_of("qwen")
        assert runs == len(held)
        assert not limit or runs <= limit
        assert all(promised <= speed // runs for promised in held.values())
    for task in list(held):
        fleet.vacate(str(task))
    assert fleet.node("n").promised == {}


def test_a_run_that_ends_opens_the_endpoint_for_who_waits() -> None:
    opened: list[Requirement] = []
    fleet = Fleet("first-fit", lambda n: 0, opened.append)
    fleet.learn(served({**QWEN, "maxConcurrent": 1}), ready=True)
    fleet.pool(run())
    fleet.occupy("a", "n", run())
    assert fleet.choose(run()) is None
    opened.clear()
    fleet.vacate("a")
    assert opened == [run()]
