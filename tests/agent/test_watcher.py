"""The watcher: what it claims and in which order, what it gives back, what it cancels, how it starts, stalls and drains."""

from __future__ import annotations

import itertools

import pytest
from agent_kit import Site
from support import new_task, reason

from foreman.cluster import Unavailable
from foreman.decide.claims import claim_order
from sim.host import SECOND

# start


def left_running(site, node, phase="Running"):
    """A task that an earlier life of node's agent left behind."""
    site.put("t", node)
    return site.write(site.task("t"), phase=phase, holder=f"{node}/0", claimed_at=0, started_at=0)


def test_a_task_left_running_on_this_node_is_given_back():
    """RecoverOrphanedTasks_ResetsRunningTaskOnThisNode."""
    site = Site()
    left_running(site, "n1")
    site.agent("n1")
    site.advance(2)
    status = site.task("t").status
    assert (status.phase, status.assigned_node, status.holder) == ("Pending", "", "")
    assert (status.claimed_at, status.started_at, status.strikes) == (None, None, {})
    assert reason(site.task("t"), "Running") == "AgentRestartRecovery"
    assert site.started == []


def test_a_task_running_on_another_node_is_let_be():
    """RecoverOrphanedTasks_IgnoresOtherNode."""
    site = Site()
    before = left_running(site, "n2")
    site.agent("n1")
    site.advance(20)
    assert site.task("t") == before


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_a_task_in_another_phase_is_let_be(phase):
    """RecoverOrphanedTasks_IgnoresNonRunningPhase (Scheduled is simply claimed: see below)."""
    site = Site()
    before = left_running(site, "n1", phase)
    site.agent("n1")
    site.advance(20)
    assert site.task("t") == before


def test_a_task_only_scheduled_before_the_restart_is_claimed():
    site = Site()
    site.put("t", "n1")
    site.agent("n1")
    site.advance(15)
    assert site.phases("t") == ["None", "Pending", "Scheduled", "Running", "Succeeded"]


def test_a_crash_in_mid_run_gives_the_task_back_at_the_restart():
    site = Site()
    site.put("t", "n1")
    host = site.agent("n1")
    site.advance(5)
    host.crash()
    host.boot()
    site.advance(5)
    assert site.phase("t") == "Pending"
    site.assign("t", "n1")
    site.advance(15)
    assert site.phase("t") == "Succeeded"
    assert site.started == [("t", 1, "n1/1"), ("t", 2, "n1/2")]


def test_what_an_earlier_life_ran_is_given_back_before_anything_is_claimed():
    """Else the node has, by the API server's books, more tasks Running than it has slots."""
    site = Site()
    left_running(site, "n1")
    site.put("a", "n1")
    site.agent("n1")
    site.advance(3)
    moves = [(c.key, str(c.new.status.phase)) for c in site.writes if c.actor == "n1/1" and c.kind == "AgenticTask"]
    assert moves == [("default/t", "Pending"), ("default/a", "Running")]


class Hiccup:
    """A cluster whose first claim is applied and then answered with an error at once, as after a commit without a reply."""

    def __init__(self, inner):
        self.inner = inner
        self.hiccups = 1

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def patch_status(self, obj, changes, *, if_version):
        made = await self.inner.patch_status(obj, changes, if_version=if_version)
        if self.hiccups and changes.get("phase") == "Running":
            self.hiccups -= 1
            raise Unavailable("500 after commit")
        return made


def test_a_claim_without_an_answer_keeps_its_slot_until_its_outcome_is_known():
    """The watch lags, so the cache cannot tell; were the slot given away, two tasks would be Running in it."""
    site = Site()
    site.agent("n1")
    site.advance(1)
    watcher = site.agents["n1"].watcher
    watcher.cluster = Hiccup(watcher.cluster)
    site.put("a", "n1")
    site.put("b", "n1")
    site.advance(0.001)
    watcher.cluster.link.watch_lag = 30 * SECOND
    site.advance(3)
    assert [site.phase(name) for name in ("a", "b")] == ["Running", "Scheduled"]
    site.advance(60)
    assert site.phase("a") == "Succeeded"
    assert ("a", 1, "n1/1") in site.started
    assert site.crashes == []


def test_tasks_of_other_namespaces_are_let_be():
    site = Site()
    site.put("t", "n1", namespace="elsewhere")
    site.agent("n1")
    site.advance(20)
    assert site.task("t", "elsewhere").status.phase == "Scheduled"


# claim order


def made(name, kind, created, priority=0):
    task = new_task(name, kind=kind, priority=priority)
    return task.evolve(metadata=task.metadata.evolve(creation_timestamp=created))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_what_finishes_work_soonest_comes_first(order):
    """SortTasksDepthFirst_KindOrder: review, verify, issue-fix, the rest, whatever the order they came in."""
    tasks = [made("r", "review", 4), made("v", "verify", 3), made("i", "issue-fix", 2), made("f", "freeform", 1)]
    ordered = sorted((tasks[i] for i in order), key=claim_order)
    assert [task.metadata.name for task in ordered] == ["r", "v", "i", "f"]


def test_the_oldest_of_a_kind_comes_first_and_names_break_ties():
    """SortTasksDepthFirst_OldestFirstWithinKind."""
    tasks = [made("a", "verify", 30), made("c", "verify", 10), made("b", "verify", 10)]
    assert [task.metadata.name for task in sorted(tasks, key=claim_order)] == ["b", "c", "a"]


def test_priority_goes_before_depth():
    """Ours: upstream ignores priority."""
    tasks = [made("review", "review", 1), made("urgent", "freeform", 9, priority=5)]
    assert [task.metadata.name for task in sorted(tasks, key=claim_order)] == ["urgent", "review"]


def test_a_review_is_claimed_before_an_older_issue_fix():
    """PollOnce_ClaimsReviewBeforeOlderIssueFix."""
    site = Site()
    site.put("fix", "n1", kind="issue-fix")
    site.advance(5)
    site.put("review", "n1", kind="review")
    site.agent("n1")
    site.advance(5)
    assert [name for name, _, _ in site.started] == ["review"]


# slots


def test_a_node_runs_as_many_tasks_as_it_has_slots():
    site = Site()
    site.seconds = 100
    for number in range(4):
        site.put(f"t{number}", "n1")
    site.agent("n1", slots=3)
    site.advance(3)
    assert [site.phase(f"t{number}") for number in range(4)] == ["Running", "Running", "Running", "Scheduled"]


def test_a_task_for_which_no_slot_comes_free_is_handed_back():
    site = Site()
    site.seconds = 100
    site.put("first", "n1")
    site.agent("n1")
    site.advance(3)
    site.put("second", "n1")
    site.advance(4)
    assert site.phase("second") == "Scheduled"
    site.advance(2)
    status = site.task("second").status
    assert (status.phase, status.assigned_node, status.handbacks, status.strikes) == ("Pending", "", 1, {})
    assert reason(site.task("second"), "Scheduled") == "NoFreeSlot"
    assert site.phase("first") == "Running"


def test_a_task_that_gets_a_slot_in_time_is_not_handed_back():
    site = Site()
    site.seconds = 6
    site.put("first", "n1")
    site.put("second", "n1")
    site.agent("n1")
    site.advance(2)
    site.server.delete("user", site.task("first"))
    site.advance(12)
    assert site.phases("second") == ["None", "Pending", "Scheduled", "Running", "Succeeded"]


def test_a_new_attempt_waits_until_the_one_before_has_let_go():
    """Two runs of one task on one node: the executor of the first takes its time to stop."""
    site = Site()
    site.seconds, site.dies_hard = 60, 3
    site.put("t", "n1")
    site.agent("n1", slots=2)
    site.advance(5)
    site.expire("t")
    site.assign("t", "n1")
    site.advance(2)
    assert (site.phase("t"), len(site.started)) == ("Scheduled", 1)
    site.advance(2)
    assert (site.phase("t"), len(site.started)) == ("Running", 2)
    site.advance(65)
    assert (site.phase("t"), site.task("t").status.attempt, site.crashes) == ("Succeeded", 2, [])


def test_a_change_to_a_task_whose_claim_is_under_way_does_not_claim_it_twice():
    site = Site()
    site.agent("n1", slots=2)
    site.advance(2)
    with site.hold(verb="patch_status", kind="AgenticTask", limit=1) as claim:
        site.put("t", "n1")
        site.until(lambda: bool(claim.held), within=5)
        site.write(site.task("t"), job_name="touched")
        site.advance(3)
        assert site.phase("t") == "Scheduled"
    site.advance(20)
    assert site.crashes == []
    assert site.phase("t") == "Succeeded"
    assert site.started == [("t", 1, "n1/1")]


# cancel


def test_a_run_is_cancelled_when_its_task_is_deleted():
    """WatchTaskLiveness_CancelsOnDelete, LaunchExecutor_AbortsInflightRunOnDelete: and the slot is free again."""
    site = Site()
    site.seconds = 100
    site.put("t", "n1")
    site.agent("n1")
    site.advance(3)
    site.server.delete("user", site.task("t"))
    site.advance(0.1)
    assert site.cancelled == ["t"]
    site.put("next", "n1")
    site.advance(1)
    assert site.phase("next") == "Running"


def test_a_run_is_cancelled_when_its_task_is_being_deleted():
    """WatchTaskLiveness_CancelsOnDeletionTimestamp: a finalizer keeps the object, not the run."""
    site = Site()
    site.seconds = 100
    task = new_task("t")
    site.server.create("user", task.evolve(metadata=task.metadata.evolve(finalizers=("test/keep",))))
    site.write(site.task("t"), phase="Pending")
    site.assign("t", "n1")
    site.agent("n1")
    site.advance(3)
    site.server.delete("user", site.task("t"))
    site.advance(1)
    assert site.task("t").metadata.deletion_timestamp is not None
    assert site.cancelled == ["t"]
    assert site.phase("t") == "Running"


def test_a_task_being_deleted_is_not_claimed():
    site = Site()
    task = new_task("t")
    site.server.create("user", task.evolve(metadata=task.metadata.evolve(finalizers=("test/keep",))))
    site.write(site.task("t"), phase="Pending")
    site.assign("t", "n1")
    site.server.delete("user", site.task("t"))
    site.agent("n1")
    site.advance(30)
    assert site.started == []


def test_a_run_goes_on_when_the_api_fails_it():
    """WatchTaskLiveness_FailsOpenOnTransientErrors: no answer is no proof that the task is gone."""
    site = Site()
    site.seconds = 200
    site.put("t", "n1")
    host = site.agent("n1")
    site.advance(3)
    site.endpoint.fail()
    site.advance(100)
    assert (site.cancelled, host.boots) == ([], 1)
    site.endpoint.recover()
    site.advance(150)
    assert site.phase("t") == "Succeeded"
    assert host.boots == 1


def test_a_run_is_cancelled_when_its_claim_is_taken_back():
    site = Site()
    site.seconds = 100
    site.put("t", "n1")
    site.agent("n1")
    site.advance(3)
    site.expire("t")
    site.advance(0.1)
    assert site.cancelled == ["t"]
    site.advance(10)
    assert site.phase("t") == "Pending"


def test_a_loss_that_happened_while_the_watch_was_broken_is_noticed_after_it():
    site = Site()
    site.seconds = 300
    site.put("t", "n1")
    site.agent("n1")
    site.advance(3)
    site.endpoint.fail()
    site.advance(20)
    site.expire("t")
    site.endpoint.recover()
    site.advance(20)
    assert site.cancelled == ["t"]


# the API is away


def test_three_failed_lists_with_nothing_in_hand_end_the_process_and_it_comes_back():
    site = Site()
    host = site.agent("n1")
    site.advance(3)
    site.endpoint.fail()
    site.advance(9)
    assert host.exits == []
    site.advance(10)
    assert [type(error).__name__ for _, _, error in host.exits] == ["Stalled"]
    site.put("t", "n1")
    site.advance(60)
    site.endpoint.recover()
    site.advance(60)
    assert site.phase("t") == "Succeeded"
    assert host.boots == 2
    assert site.crashes == []


def test_with_a_run_in_hand_the_process_outlives_an_outage_and_then_ends_if_it_lasts():
    site = Site()
    site.seconds = 100
    site.put("t", "n1")
    host = site.agent("n1")
    site.advance(3)
    site.endpoint.fail()
    site.advance(3600)
    assert (host.boots, site.cancelled) == (1, [])
    site.endpoint.recover()
    site.advance(60)
    assert site.phases("t")[-2:] == ["Running", "Succeeded"]


# drain


def test_a_run_that_ends_within_the_grace_is_reported_before_the_end():
    site = Site()
    site.put("t", "n1")
    host = site.agent("n1", grace=25)
    site.advance(3)
    host.terminate()
    site.advance(5)
    assert host.up
    site.advance(4)
    assert not host.up
    assert site.phase("t") == "Succeeded"
    assert site.node("n1").status.phase == "Draining"


def test_a_run_that_outlasts_the_grace_is_handed_back_without_a_strike():
    site = Site()
    site.seconds = 100
    site.put("t", "n1")
    host = site.agent("n1", grace=25)
    site.advance(3)
    host.terminate()
    site.advance(24)
    assert (host.up, site.phase("t")) == (True, "Running")
    site.advance(2)
    assert not host.up
    status = site.task("t").status
    assert (status.phase, status.assigned_node, status.handbacks, status.strikes) == ("Pending", "", 1, {})
    assert reason(site.task("t"), "Running") == "AgentDraining"
    assert site.node("n1").status.phase == "Draining"


def test_what_is_only_assigned_is_handed_back_at_once():
    site = Site()
    site.seconds = 10
    site.put("t", "n1")
    host = site.agent("n1")
    site.advance(3)
    site.put("waiting", "n1")
    site.advance(1)
    host.terminate()
    site.advance(1)
    assert (site.phase("waiting"), site.phase("t"), host.up) == ("Pending", "Running", True)
    assert reason(site.task("waiting"), "Scheduled") == "AgentDraining"


def test_what_is_assigned_while_it_drains_is_handed_back():
    site = Site()
    site.put("t", "n1")
    host = site.agent("n1", slots=2)
    site.advance(3)
    host.terminate()
    site.advance(1)
    site.put("late", "n1")
    site.advance(1)
    assert (site.phase("late"), site.task("late").status.handbacks) == ("Pending", 1)
    assert [name for name, _, _ in site.started] == ["t"]


def test_a_claim_on_its_way_when_the_drain_begins_is_not_left_behind():
    """Its answer would find nobody: the task would be Running with no run behind it until its node counts as lost."""
    site = Site()
    host = site.agent("n1", grace=25)
    site.advance(3)
    with site.hold(verb="patch_status", kind="AgenticTask", limit=1) as claim:
        site.put("t", "n1")
        site.until(lambda: bool(claim.held), within=5)
        host.terminate()
        site.advance(2)
        assert host.up
    site.advance(15)
    assert site.phase("t") == "Succeeded"
    assert not host.up


def test_an_executor_that_does_not_stop_holds_the_end_up_for_five_seconds_at_most():
    site = Site()
    site.seconds, site.dies_hard = 1000, 1000
    site.put("t", "n1")
    host = site.agent("n1", grace=10)
    site.advance(3)
    host.terminate()
    site.advance(14)
    assert host.up
    site.advance(2)
    assert not host.up


# two processes, one name


def test_the_standby_runs_nothing_until_the_first_has_died_and_then_takes_over():
    """L3/#1558: an identity clash never leads to a double execution."""
    site = Site()
    site.seconds = 30
    first = site.agent("n1", "one")
    site.advance(2)
    site.agent("n1", "two")
    site.put("t", "n1")
    site.advance(10)
    first.crash()
    site.advance(200)
    assert site.task("t").status.phase == "Pending"
    site.assign("t", "n1")
    site.advance(40)
    assert site.phase("t") == "Succeeded"
    assert site.started == [("t", 1, "one/1"), ("t", 2, "two/1")]


def test_who_has_lost_its_name_does_not_contend_for_its_tasks():
    """Cut off, taken over, and back: it must learn of it with its first lost run, not at its next heartbeat."""
    site = Site()
    site.seconds = 400
    site.put("t", "n1")
    first = site.agent("n1", "one", heartbeat=300)
    site.advance(2)
    site.agent("n1", "two")
    first.freeze()
    site.advance(150)
    assert site.phase("t") == "Pending"
    first.thaw()
    site.advance(1)
    site.assign("t", "n1")
    assert [type(error).__name__ for _, _, error in first.exits] == ["ProcessExit"]
    site.advance(420)
    assert site.phases("t")[-3:] == ["Scheduled", "Running", "Succeeded"]
    assert site.task("t").status.holder == "two/1"


def test_who_has_lost_its_name_takes_nothing_from_the_new_holder():
    """Frozen, superseded and thawed: it finds the new holder's task Running on 'its' node and lets it be."""
    site = Site()
    site.seconds = 400
    first = site.agent("n1", "one", heartbeat=300)
    site.advance(2)
    site.agent("n1", "two")
    first.freeze()
    site.advance(150)
    site.put("t", "n1")
    site.advance(5)
    assert site.task("t").status.holder == "two/1"
    first.thaw()
    site.advance(420)
    assert site.phases("t") == ["None", "Pending", "Scheduled", "Running", "Succeeded"]
    assert site.started == [("t", 1, "two/1")]
