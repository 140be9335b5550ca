"""The kinds: defaults, bounds, words, and the predicate that gates dependents."""

import pytest
from pydantic import ValidationError

from foreman import api


def task(**spec):
    return api.AgenticTask(spec={"kind": "freeform", "payload": {}, **spec})


def test_a_new_task_has_no_phase_and_the_defaults_of_the_crd():
    made = task(required_capability={})
    assert made.status.phase is None
    assert made.status.attempt == 0
    assert made.spec.payload.branch_strategy is api.BranchStrategy.RESET
    assert made.spec.required_capability.accelerator is api.TaskAccelerator.ANY
    assert (made.spec.retry_policy.max_attempts, made.spec.retry_policy.backoff_seconds) == (1, 10)


def test_a_node_has_one_slot_unless_it_says_otherwise():
    assert api.FleetNode(spec={"node_name": "a"}).spec.slots == 1


def test_terminal_and_in_flight_leave_out_only_pending():
    assert set(api.Phase) - api.TERMINAL - api.IN_FLIGHT == {api.Phase.PENDING}
    assert not api.TERMINAL & api.IN_FLIGHT


@pytest.mark.parametrize(
    ("phase", "verdict", "expected"),
    [
        (api.Phase.SUCCEEDED, api.Verdict.GO, True),
        (api.Phase.SUCCEEDED, api.Verdict.GATE_PASS, True),
        (api.Phase.SUCCEEDED, api.Verdict.NO_GO, False),
        (api.Phase.SUCCEEDED, api.Verdict.SKIPPED, False),
        (api.Phase.SUCCEEDED, None, False),
        (api.Phase.FAILED, api.Verdict.GO, False),
        (api.Phase.RUNNING, api.Verdict.GO, False),
        (None, None, False),
    ],
)
def test_succeeded_on_target(phase, verdict, expected):
    assert api.succeeded_on_target(api.TaskStatus(phase=phase, verdict=verdict)) is expected


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "fix"},
        {"payload": None},
        {"payload": {"issue": 0}},
        {"priority": True},
        {"priority": "5"},
        {"priority": 2**31},
        {"timeout_seconds": -1},
        {"retry_policy": {"max_attempts": 0}},
        {"required_capability": {"min_ram_gb": -1}},
        {"required_capability": {"accelerator": "none"}},
        {"verdict_policy": {"self_go": ["everything"]}},
    ],
)
def test_a_task_out_of_bounds_is_refused(spec):
    with pytest.raises(ValidationError):
        task(**spec)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (api.FleetNode, {}),
        (api.FleetNode, {"node_name": "a", "slots": 0}),
        (api.Workload, {"intent": ""}),
        (api.Workload, {"intent": "x", "pipeline": [{"name": "Not-Lower", "kind": "verify"}]}),
        (api.Workload, {"intent": "x", "max_review_iterations": -1}),
        (api.Agent, {"role": "coder", "tools": []}),
        (api.Agent, {"role": "coder", "tools": ["bash"], "max_turns": 501}),
        (api.Agent, {"role": "coder", "tools": ["bash"], "temperature": "3"}),
    ],
)
def test_other_kinds_out_of_bounds_are_refused(kind, spec):
    with pytest.raises(ValidationError):
        kind(spec=spec)


def test_the_agent_defaults_of_the_crd():
    spec = api.Agent(spec={"role": "coder", "tools": ["bash"], "execution": {}}).spec
    assert (spec.max_turns, spec.max_retries, spec.request_timeout_seconds) == (50, 3, 3600)
    assert (spec.request_turn_timeout_seconds, spec.bash_timeout_seconds) == (120, 30)
    assert (spec.provider, spec.context_strategy) == ("local", "window")
    assert (spec.execution.mode, spec.execution.active_deadline_seconds) == ("InProcess", 3600)


def test_words_hash_and_compare_as_the_strings_they_are():
    assert {api.Phase.PENDING: 1}["Pending"] == 1
    assert api.Verdict.NO_GO == "NO-GO"
    assert f"{api.Phase.PENDING}" == "Pending"


def test_every_kind_is_found_by_its_name():
    assert all(kind.model_fields["kind"].default == name for name, kind in api.KINDS.items())
    assert all(
        kind.model_fields["api_version"].default == f"{kind.GROUP}/{kind.VERSION}".lstrip("/")
        for kind in api.KINDS.values()
    )
