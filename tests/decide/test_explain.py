"""Why pending: counts per reason, and the smallest change that would help."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import new_node

from foreman.decide.explain import explain
from foreman.decide.filters import Node, Reason
from foreman.decide.requirement import ANYTHING, Requirement


def seen(name="n", used=0, taken=0, ready=True, slots=1, roles=(), labels=None, **capability):
    made = Node(name)
    made.learn(new_node(name, capability or None, labels, slots=slots, roles=list(roles)), ready)
    made.used, made.taken_ram_gb = used, taken
    return made


def test_no_nodes():
    why = explain(ANYTHING, [])
    assert (why.reason, why.nodes, why.counts) == ("NoNodes", 0, {})
    assert why.message == "no FleetNode is registered; start a foreman agent"


def test_each_node_counts_once_under_its_first_reason():
    fleet = [
        seen("a", accelerator="metal", availableRAMGB=4),
        seen("b", accelerator="cuda", availableRAMGB=4),
        seen("c", accelerator="cuda", availableRAMGB=64, used=1),
        seen("d", accelerator="cuda", availableRAMGB=64, ready=False),
    ]
    why = explain(Requirement(accelerator="cuda", min_ram_gb=32), fleet)
    assert why.counts == {Reason.ACCELERATOR: 1, Reason.RAM: 1, Reason.BUSY: 1, Reason.NOT_READY: 1}
    assert sum(why.counts.values()) == why.nodes == 4
    assert why.message == (
        "0/4 nodes fit: 1 no free slot, 1 not ready, 1 other accelerator, 1 too little RAM; waits for a free slot on 1 node"
    )


@pytest.mark.parametrize(
    ("want", "nodes", "reason", "advice"),
    [
        (ANYTHING, [seen(used=1)], "NodesBusy", "waits for a free slot on 1 node"),
        (ANYTHING, [seen("a", used=1), seen("b", used=1)], "NodesBusy", "waits for a free slot on 2 nodes"),
        (
            Requirement(min_ram_gb=8),
            [seen(availableRAMGB=8, taken=1, slots=2)],
            "NodesBusy",
            "waits for RAM that other tasks hold on 1 node",
        ),
        (ANYTHING, [seen(ready=False)], "NodesNotReady", "waits for a node to become ready on 1 node"),
        (
            Requirement(min_ram_gb=64),
            [seen(availableRAMGB=8), seen("b", availableRAMGB=8)],
            "Unschedulable",
            "would fit 2 nodes if minRAMGB were 8 instead of 64",
        ),
        (
            Requirement(accelerator="cuda"),
            [seen(accelerator="metal")],
            "Unschedulable",
            "would fit 1 node if accelerator were metal instead of cuda",
        ),
        (
            Requirement(accelerator="cuda"),
            [seen()],
            "Unschedulable",
            "would fit 1 node if accelerator were any instead of cuda",
        ),
        (
            Requirement(min_context_tokens=9000),
            [seen(maxContextTokens=8192)],
            "Unschedulable",
            "would fit 1 node if minContextTokens were 8192 instead of 9000",
        ),
        (
            Requirement(selector=(("os", "linux"), ("pool", "fast"))),
            [seen(labels={"os": "linux"})],
            "Unschedulable",
            "would fit 1 node if the node had the label pool=fast",
        ),
        (
            Requirement(roles=("verifier", "worker")),
            [seen(roles=["worker"])],
            "Unschedulable",
            "would fit 1 node if the node had the role verifier",
        ),
        (Requirement(model="qwen"), [seen()], "Unschedulable", "would fit 1 node if the model qwen were installed"),
        (
            Requirement(model=""),
            [seen()],
            "Unschedulable",
            "would fit 1 node if the model (unnamed: set spec.model of the Agent) were installed",
        ),
        (
            Requirement(accelerator="cuda"),
            [seen(ready=False)],
            "Unschedulable",
            "no ready node is near enough to advise a change",
        ),
    ],
)
def test_reason_and_advice(want, nodes, reason, advice):
    why = explain(want, nodes)
    assert (why.reason, why.advice) == (reason, advice)


def test_the_smallest_change_wins_then_the_one_that_helps_most_nodes():
    want = Requirement(accelerator="cuda", min_ram_gb=32)
    far = [seen(f"far{number}", accelerator="metal", availableRAMGB=8) for number in range(5)]
    near = [seen("near0", accelerator="cuda", availableRAMGB=16)]
    nearer = [seen(f"near{number}", accelerator="vulkan", availableRAMGB=32) for number in (1, 2)]
    assert explain(want, far).advice == (
        "would fit 5 nodes if accelerator were metal instead of cuda and minRAMGB were 8 instead of 32"
    )
    assert explain(want, far + near).advice == "would fit 1 node if minRAMGB were 16 instead of 32"
    assert explain(want, far + near + nearer).advice == "would fit 2 nodes if accelerator were vulkan instead of cuda"


@given(st.permutations(range(6)))
def test_the_order_of_nodes_does_not_matter(order):
    fleet = [
        seen(f"n{number}", accelerator=("metal", "vulkan")[number % 2], availableRAMGB=8 * number)
        for number in range(6)
    ]
    want = Requirement(accelerator="cuda", min_ram_gb=16)
    assert explain(want, [fleet[at] for at in order]).message == explain(want, fleet).message
