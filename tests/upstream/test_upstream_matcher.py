"""Counterparts of the original's capability-matcher tests at HEAD: pure."""

from __future__ import annotations

import pytest
from support import new_agent, new_node, new_task

from foreman.decide.filters import Node, Reason, mismatches, obstacle
from foreman.decide.requirement import ANYTHING, requirement_of

SMALL = {
    "accelerator": "metal",
    "availableRAMGB": 8,
    "totalRAMGB": 16,
    "installedModels": ["qwen"],
    "maxContextTokens": 8192,
}
DEMANDING = {"accelerator": "cuda", "minRAMGB": 64}


def seen(capability=SMALL, ready=True, labels=None, **spec):
    made = Node("n")
    made.learn(new_node("n", capability, labels, **spec), ready)
    return made


def want(capability, *, job=False, **agent):
    """What a task demands whose Agent has this requiredCapability."""
    mode = {"execution": {"mode": "Job"}} if job else {}
    return requirement_of(new_task("t"), new_agent("coder", requiredCapability=capability, **mode, **agent))


def test_accelerator_and_ram_gate_in_process():
    """HEAD: capability matcher gates on accelerator/RAM in InProcess mode."""
    assert mismatches(want(DEMANDING), seen()) == [Reason.ACCELERATOR, Reason.RAM]


def test_job_mode_skips_accelerator_ram_context_and_model():
    """HEAD: capability matcher skips accelerator/RAM in Job mode."""
    demand = {**DEMANDING, "minContextTokens": 99999, "requiresModelInstalled": True}
    assert mismatches(want(demand, job=True), seen()) == []


def test_job_mode_still_enforces_roles_and_selector():
    """HEAD: capability matcher still enforces roles in Job mode."""
    demand = want({**DEMANDING, "roles": ["verifier"], "nodeSelector": {"zone": "a"}}, job=True)
    assert mismatches(demand, seen()) == [Reason.SELECTOR, Reason.ROLES]
    assert mismatches(demand, seen(roles=["verifier"], labels={"zone": "a"})) == []


def test_a_node_held_to_be_silent_is_out_although_it_matches():
    """HEAD: NodeSchedulable_StaleHeartbeatExcludedDespiteReady, NeverHeartbeat (ours: `ready` is phase and liveness)."""
    assert obstacle(ANYTHING, seen(ready=False)) is Reason.NOT_READY


def test_a_fresh_ready_node_is_in():
    """HEAD: NodeSchedulable_FreshReadyNode."""
    assert obstacle(ANYTHING, seen()) is None


def test_an_installed_model_needs_no_spare_ram():
    """HEAD: RequiresModelInstalledBypassesRAMGate."""
    demand = want({"minRAMGB": 64, "requiresModelInstalled": True}, model="qwen")
    assert mismatches(demand, seen()) == []
    assert demand.min_ram_gb == 0


def test_the_model_defaults_to_the_inference_service():
    """HEAD: model identity is spec.model, else inferenceServiceRef.name."""
    demand = want({"requiresModelInstalled": True}, inferenceServiceRef={"name": "qwen"})
    assert mismatches(demand, seen()) == []


def test_a_model_that_is_absent_does_not_fit():
    """HEAD: RequiresModelInstalledButModelAbsent."""
    assert mismatches(want({"requiresModelInstalled": True}, model="llama"), seen()) == [Reason.MODEL]


def test_a_model_that_is_demanded_but_not_named_fits_nowhere():
    """HEAD: RequiresModelInstalledWithEmptyModel."""
    assert mismatches(want({"requiresModelInstalled": True}), seen()) == [Reason.MODEL]
    anonymous = new_task("t", requiredCapability={"requiresModelInstalled": True})
    assert mismatches(requirement_of(anonymous, None), seen()) == [Reason.MODEL]


def test_without_the_demand_the_ram_gate_holds():
    """HEAD: DefaultStillEnforcesRAMGate."""
    assert mismatches(want({"minRAMGB": 64}, model="qwen"), seen()) == [Reason.RAM]


@pytest.mark.parametrize(
    ("demand", "fits"),
    [
        ({}, True),
        ({"accelerator": "any"}, True),
        ({"accelerator": "metal"}, True),
        ({"accelerator": "vulkan"}, False),
        ({"minRAMGB": 8}, True),
        ({"minRAMGB": 9}, False),
        ({"minContextTokens": 8192}, True),
        ({"minContextTokens": 8193}, False),
        ({"nodeSelector": {"zone": ""}}, True),
        ({"nodeSelector": {"zone": "a"}}, False),
    ],
)
def test_the_predicate_of_m2(demand, fits):
    """M2: capability predicate: unset is unconstrained, equality and <=, a missing label reads as ''."""
    assert (mismatches(requirement_of(new_task("t", requiredCapability=demand), None), seen()) == []) is fits


@pytest.mark.parametrize("accelerator", ["none", None])
@pytest.mark.parametrize("wanted", ["metal", "cuda", "vulkan"])
def test_a_node_without_accelerator_never_matches_one(accelerator, wanted):
    """M2: `none` or "" nodes never match metal/cuda."""
    capability = {"accelerator": accelerator} if accelerator else {"availableRAMGB": 1}
    demand = requirement_of(new_task("t", requiredCapability={"accelerator": wanted}), None)
    assert mismatches(demand, seen(capability)) == [Reason.ACCELERATOR]
