"""The invariants by name, and what a broken one is reported as."""

from __future__ import annotations

from typing import NamedTuple

SAFETY = {
    "legal-transition": "a task moves only along the phase table",
    "field-owner": "a field is written only by its owner in that phase",
    "terminal-absorbs": "a finished task is never changed again",
    "one-holder": "a live claim is never overwritten by another",
    "fenced-result": "a result lands only from the attempt that holds the task",
    "single-execution": "no attempt of a task runs twice at the same time",
    "attempt-monotone": "the attempt number rises by one with each assignment and never otherwise",
    "attempts-bounded": "retries, strikes and hand-backs stay within their bounds",
    "slots": "a node never runs more tasks than it has slots",
    "capacity": "the RAM demanded by a node's tasks never exceeds what it has",
    "capability": "a task is only assigned to a node that satisfies its requirement",
    "agent-limit": "an Agent never has more tasks in flight than its maxConcurrentTasks",
    "earned-expiry": "a claim is taken back only from a node that has really been silent, or never claimed",
    "write-storm": "no object is written more often than its changes explain",
    "linearizable-claims": "what callers saw of a task's claim fits one order (checks: {linearizable: true})",
    "rendered-once": "a step of a Workload becomes one task, which its status has named before",
    "endpoint-limit": "a model endpoint never has more runs than it takes, nor leaves one less speed than was promised",
    "foreign-child": "a Workload counts, changes and deletes no task that is not its own",
}
LIVENESS = {
    "eventually-stable": "in the end every task has ended, runs within its time, or says why it waits",
    "no-leak": "in the end no node is held by a task that is not live",
    "workload-accounted": "in the end every Workload has ended as its children did, or something can still end it",
}


class Violation(NamedTuple):
    """`at` in microseconds of virtual time; `task` is the key of the object concerned."""

    invariant: str
    at: int
    task: str
    message: str
