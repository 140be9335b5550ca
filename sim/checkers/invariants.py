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
    "dependencies-met": "a task is assigned only after all it depends on has ended on target",
    "executor-slots": "no agent process executes more than its node has slots (checks: {crowding: true})",
    "overcommit": "a lone scheduler never gives a node more tasks than it has slots (checks: {crowding: true})",
    "one-leader": "who has lost the lease stops writing",
    "linearizable-claims": "what callers saw of a task's claim fits one order (checks: {linearizable: true})",
    "stolen-run": "a process loses what it executes to another of its name only when it has been silent",
    "clean-departure": "no task is struck for a node that has said it leaves (checks: {departures: true})",
    "earned-end": "a task is given up only when three of its strikes stand",
    "stranded": "no task waits for a node held by one that fitted a smaller one (checks: {stranding: 1m})",
    "urgency": "of equal demands the most urgent is placed first (checks: {urgency: true})",
    "kept-conditions": "a condition that has been told is never lost (checks: {conditions: true})",
    "rendered-once": "a step of a Workload becomes one task, which its status has named before",
    "endpoint-limit": "a model endpoint never has more runs than it takes, nor leaves one less speed than was promised",
    "retry-after": "a run that its model's endpoint has refused does not ask again before it may",
    "run-budget": "a run asks its model for no more turns, time and tokens than its Agent allows",
    "one-job": "no two Jobs of a task run side by side for long",
    "kept-job": "the Job of a live attempt is ended by nobody but who watches over it",
    "told-result": "what the Job of a live attempt has printed is what comes of the task",
    "foreign-child": "a Workload counts, changes and deletes no task that is not its own",
}
LIVENESS = {
    "eventually-stable": "in the end every task has ended, runs within its time, or says why it waits",
    "no-leak": "in the end no node is held by a task that is not live",
    "bounded-wait": "a dependency that does not exist is waited for only so long",
    "skip-passed-on": "in the end nothing has failed for want of a task that was skipped",
    "work-conserving": "no task that could run waits while a node that fits has room (checks: {idle: 1m})",
    "passed-over": "no work that ends a pipeline waits while the same node begins another (checks: {passedOver: 2m})",
    "attended": "what is Running is really being executed (checks: {attended: 3m})",
    "no-ghost-run": "nothing runs on for a task that is gone or another's (checks: {attended: 3m})",
    "recovery": "every task has ended so long after the last fault (checks: {recovery: 5m})",
    "registered": "a live agent has its FleetNode (checks: {nodes: 3m})",
    "node-leak": "a FleetNode that is Draining goes once its agent has left (checks: {nodes: 3m})",
    "current-task": "a FleetNode shows only a task that it holds (checks: {nodes: 3m})",
    "reconcile-storm": "the controllers look no oftener than the tasks explain (checks: {reconciles: 40})",
    "differential": "in the end every task is as in the run without faults (checks: {differential: true})",
    "workload-accounted": "in the end every Workload has ended as its children did, or something can still end it",
}


class Violation(NamedTuple):
    """`at` in microseconds of virtual time; `task` is the key of the object concerned."""

    invariant: str
    at: int
    task: str
    message: str
