"""Filters: one dimension a row."""

from __future__ import annotations

import pytest
from support import new_node

from foreman.decide.filters import Node, Reason, mismatches, obstacle
from foreman.decide.requirement import ANYTHING, Requirement

HAS = {
    "accelerator": "cuda",
    "totalRAMGB": 64,
    "availableRAMGB": 48,
    "maxContextTokens": 32768,
    "installedModels": ["qwen", "llama"],
}


def seen(capability=HAS, ready=True, **spec):
    made = Node("n")
    made.learn(new_node("n", capability, {"pool": "fast", "os": "linux"}, roles=["worker", "verifier"], **spec), ready)
    return made


@pytest.mark.parametrize(
    ("want", "wrong"),
    [
        (ANYTHING, None),
        (Requirement(accelerator="cuda"), None),
        (Requirement(accelerator="metal"), Reason.ACCELERATOR),
        (Requirement(min_ram_gb=48), None),
        (Requirement(min_ram_gb=49), Reason.RAM),
        (Requirement(min_context_tokens=32768), None),
        (Requirement(min_context_tokens=32769), Reason.CONTEXT),
        (Requirement(selector=(("os", "linux"), ("pool", "fast"))), None),
        (Requirement(selector=(("os", "linux"), ("pool", "slow"))), Reason.SELECTOR),
        (Requirement(selector=(("rack", ""),)), None),
        (Requirement(selector=(("rack", "1"),)), Reason.SELECTOR),
        (Requirement(roles=("verifier", "worker")), None),
        (Requirement(roles=("planner", "worker")), Reason.ROLES),
        (Requirement(model="llama"), None),
        (Requirement(model="gemma"), Reason.MODEL),
        (Requirement(model=""), Reason.MODEL),
    ],
    ids=str,
)
def test_one_dimension_at_a_time(want, wrong):
    assert mismatches(want, seen()) == ([wrong] if wrong else [])


def test_everything_wrong_is_listed_in_a_fixed_order():
    want = Requirement("metal", 99, 99999, (("pool", "slow"),), ("planner",), "gemma")
    assert mismatches(want, seen()) == [
        Reason.ACCELERATOR,
        Reason.RAM,
        Reason.CONTEXT,
        Reason.SELECTOR,
        Reason.ROLES,
        Reason.MODEL,
    ]


@pytest.mark.parametrize(
    ("used", "taken", "want", "hurdle"),
    [
        (0, 0, ANYTHING, None),
        (1, 0, ANYTHING, None),
        (2, 0, ANYTHING, Reason.BUSY),
        (3, 0, ANYTHING, Reason.BUSY),
        (2, 0, Requirement(slot=False), None),
        (1, 16, Requirement(min_ram_gb=48), None),
        (1, 17, Requirement(min_ram_gb=48), Reason.RAM_TAKEN),
        (1, 64, ANYTHING, None),
        (2, 64, Requirement(min_ram_gb=48), Reason.BUSY),
    ],
)
def test_what_is_taken_is_in_the_way(used, taken, want, hurdle):
    node = seen(slots=2)
    node.used, node.taken_ram_gb = used, taken
    assert obstacle(want, node) is hurdle


@pytest.mark.parametrize("want", [ANYTHING, Requirement(slot=False)])
def test_a_node_that_is_not_ready_takes_nothing(want):
    assert obstacle(want, seen(ready=False)) is Reason.NOT_READY


def test_a_node_that_does_not_know_its_total_is_taken_at_what_is_available():
    node = seen({"availableRAMGB": 16})
    node.taken_ram_gb = 8
    assert obstacle(Requirement(min_ram_gb=8), node) is None
    assert obstacle(Requirement(min_ram_gb=9), node) is Reason.RAM_TAKEN


def test_a_forgotten_node_keeps_what_is_taken_of_it():
    node = seen(slots=2)
    node.used, node.taken_ram_gb = 1, 8
    node.forget()
    assert (node.used, node.taken_ram_gb, node.ready, node.slots) == (1, 8, False, 0)
    assert obstacle(ANYTHING, node) is Reason.NOT_READY
