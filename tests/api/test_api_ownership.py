"""The table of writers: every row stands for something a component does, and everything else is refused."""

from itertools import product

import pytest

from foreman.api import FleetNodePhase, FleetNodeStatus, Phase, TaskStatus
from foreman.api.ownership import (
    AGENT,
    NODE_TRANSITIONS,
    NODE_WRITERS,
    OPERATOR,
    TASK_WRITERS,
    TRANSITIONS,
    USER,
    node_violation,
    task_violation,
)
from foreman.api.task import IN_FLIGHT, TERMINAL

ROLES = (OPERATOR, AGENT, USER)
PENDING, SCHEDULED, RUNNING, VERIFYING = Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.VERIFYING


@pytest.mark.parametrize(
    ("role", "old", "new", "fields"),
    [
        (OPERATOR, None, PENDING, {"phase"}),
        (OPERATOR, PENDING, PENDING, {"conditions"}),
        (OPERATOR, PENDING, SCHEDULED, {"phase", "assigned_node", "attempt", "conditions", "retry_after"}),
        (OPERATOR, PENDING, Phase.FAILED, {"phase", "verdict", "finished_at", "failure_reason", "conditions"}),
        (OPERATOR, RUNNING, PENDING, {"phase", "assigned_node", "claimed_at", "started_at", "holder", "strikes"}),
        (OPERATOR, VERIFYING, Phase.FAILED, {"phase", "verdict", "finished_at", "failure_reason", "conditions"}),
        (AGENT, SCHEDULED, RUNNING, {"phase", "claimed_at", "started_at", "holder", "conditions"}),
        (AGENT, SCHEDULED, PENDING, {"phase", "assigned_node", "handbacks", "retry_after", "conditions"}),
        (AGENT, RUNNING, RUNNING, {"job_name"}),
        (AGENT, RUNNING, VERIFYING, {"phase", "conditions"}),
        (AGENT, RUNNING, Phase.SUCCEEDED, {"phase", "verdict", "result", "finished_at", "commit_sha", "branch"}),
        (AGENT, VERIFYING, Phase.FAILED, {"phase", "verdict", "failure_reason", "transcript_ref", "job_name"}),
    ],
)
def test_what_components_do_is_allowed(role, old, new, fields):
    assert task_violation(role, old, new, fields) is None


@pytest.mark.parametrize(
    ("role", "old", "new", "fields", "said"),
    [
        (AGENT, PENDING, RUNNING, {"phase"}, "agent may not move a task from Pending to Running"),
        (AGENT, None, PENDING, {"phase"}, "agent may not move a task from new to Pending"),
        (OPERATOR, SCHEDULED, RUNNING, {"phase"}, "operator may not move a task from Scheduled to Running"),
        (OPERATOR, RUNNING, Phase.SUCCEEDED, {"phase"}, "operator may not move a task from Running to Succeeded"),
        (OPERATOR, RUNNING, RUNNING, {"conditions"}, "operator may not write conditions of a task that is Running"),
        (AGENT, SCHEDULED, RUNNING, {"phase", "attempt"}, "agent may not write attempt of a task going Scheduled to"),
        (OPERATOR, PENDING, SCHEDULED, {"result", "holder"}, "operator may not write holder, result of a task going"),
        (USER, PENDING, PENDING, {"conditions"}, "user may not write conditions of a task that is Pending"),
        (AGENT, Phase.FAILED, PENDING, {"phase"}, "agent may not move a task from Failed to Pending"),
        ("stranger", PENDING, SCHEDULED, {"phase"}, "stranger may not move a task from Pending to Scheduled"),
    ],
)
def test_what_they_must_not_do_is_said(role, old, new, fields, said):
    assert said in task_violation(role, old, new, fields)


@pytest.mark.parametrize(("role", "end"), list(product(ROLES, sorted(TERMINAL))))
def test_terminal_absorbs(role, end):
    assert all(task_violation(role, end, end, {field}) for field in TaskStatus.model_fields)
    assert all(task_violation(role, end, new, {"phase"}) for new in (None, *Phase) if new is not end)


@pytest.mark.parametrize(("role", "old"), list(product(ROLES, (None, *Phase))))
def test_a_write_without_status_is_nobodys_violation(role, old):
    assert task_violation(role, old, old, ()) is None
    assert task_violation(role, old, old, iter(())) is None


def test_the_tables_name_only_fields_and_phases_that_exist():
    assert set().union(*TASK_WRITERS.values()) == set(TaskStatus.model_fields)
    assert set().union(*NODE_WRITERS.values()) == set(FleetNodeStatus.model_fields) | {"spec", "labels"}
    assert {new for _, new in TRANSITIONS} == set(Phase)
    assert all(roles <= set(ROLES) for roles in [*TRANSITIONS.values(), *NODE_TRANSITIONS.values()])


def test_only_the_operator_raises_the_attempt_and_only_the_agent_claims():
    assert {(old, role) for (old, role), fields in TASK_WRITERS.items() if "attempt" in fields} == {(PENDING, OPERATOR)}
    assert TRANSITIONS[SCHEDULED, RUNNING] == {AGENT}
    assert all(TRANSITIONS[held, PENDING] == {AGENT, OPERATOR} for held in IN_FLIGHT)


READY, DRAINING, NOT_READY = FleetNodePhase.READY, FleetNodePhase.DRAINING, FleetNodePhase.NOT_READY


@pytest.mark.parametrize(
    ("role", "old", "new", "fields", "allowed"),
    [
        (AGENT, None, READY, {"phase", "last_heartbeat_time", "capability", "instance"}, True),
        (AGENT, DRAINING, READY, {"phase", "instance"}, True),
        (AGENT, NOT_READY, READY, {"phase"}, True),
        (AGENT, READY, READY, {"last_heartbeat_time", "current_task", "spec", "labels"}, True),
        (AGENT, READY, DRAINING, {"phase"}, True),
        (AGENT, READY, NOT_READY, {"phase"}, False),
        (AGENT, READY, READY, {"update_request"}, False),
        (OPERATOR, READY, NOT_READY, {"phase", "conditions"}, True),
        (OPERATOR, None, READY, {"phase", "conditions"}, True),
        (OPERATOR, DRAINING, READY, {"phase"}, False),
        (OPERATOR, READY, DRAINING, {"phase"}, False),
        (OPERATOR, READY, READY, {"update_request"}, True),
        (OPERATOR, READY, READY, {"current_task"}, False),
        (OPERATOR, NOT_READY, READY, {"phase", "current_task"}, False),
        (OPERATOR, READY, NOT_READY, {"phase", "conditions", "current_task"}, True),
        (OPERATOR, DRAINING, DRAINING, {"current_task"}, True),
        (USER, READY, READY, {"spec", "labels"}, True),
        (USER, READY, READY, {"phase"}, False),
    ],
)
def test_node_writers(role, old, new, fields, allowed):
    assert (node_violation(role, old, new, fields) is None) is allowed
