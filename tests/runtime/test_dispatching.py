"""Submitting once and following to the end, on a network that loses answers and an API server that goes away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab
from support import new_task

from foreman.api import Phase, Verdict
from foreman.cluster import AlreadyExists, Invalid, Unavailable
from foreman.dispatching import ANNOTATION_SUBMISSION, follow, submit

FATES = st.lists(st.sampled_from([None, "drop", "lose-reply"]), max_size=2)


def lossy(lab, verb, fates):
    """The first requests of that verb meet these fates."""
    left = list(fates)

    def intercept(request):
        return left.pop(0) if request.verb == verb and left else None

    lab.endpoint.intercept = intercept


def submitted(lab, task, word="mine"):
    process = lab.process()
    return lab.run(submit(lab.client(process), process, task, word))


@given(FATES, FATES)
def test_a_task_is_created_once_whatever_gets_lost(creates, gets):
    lab = Lab()
    process = lab.process()
    creates, gets = list(creates), list(gets)

    def intercept(request):
        fates = {"create": creates, "get": gets}.get(request.verb)
        return fates.pop(0) if fates else None

    lab.endpoint.intercept = intercept
    made = lab.run(submit(lab.client(process), process, new_task("t"), "mine"))
    stored = list(lab.server.tables["AgenticTask"].values())
    assert [task.metadata.uid for task in stored] == [made.metadata.uid]
    assert lab.server.version == 1, "nothing was written twice"


def test_a_name_that_is_taken_is_refused_even_when_our_answer_was_lost():
    lab = Lab()
    lab.server.create("somebody", new_task("t"))
    lossy(lab, "create", ["drop", "lose-reply"])
    with pytest.raises(AlreadyExists):
        submitted(lab, new_task("t"))
    assert ANNOTATION_SUBMISSION not in lab.server.get("test", "AgenticTask", "t", "default").metadata.annotations


def test_two_submissions_of_one_name_make_one_task_and_one_refusal():
    lab = Lab()
    submitted(lab, new_task("t"), "one")
    with pytest.raises(AlreadyExists):
        submitted(lab, new_task("t"), "two")


def test_it_gives_up_when_the_server_stays_away():
    lab = Lab()
    lab.endpoint.fail()
    with pytest.raises(Unavailable):
        submitted(lab, new_task("t"))


def test_what_the_server_refuses_is_not_tried_again():
    lab = Lab()
    with pytest.raises(Invalid):
        submitted(lab, new_task(""))


class Follower:
    """Follows a task on a process of its own, and keeps what it hears."""

    def __init__(self, lab, task):
        self.phases = []
        self.outages = []
        self.end = "still following"
        process = lab.process("follower")

        async def program():
            self.end = await follow(
                lab.client(process),
                process,
                task,
                lambda old, new: self.phases.append(new.status.phase),
                lambda error: self.outages.append(error is not None),
            )

        process.spawn(program(), "follow")


def write(lab, **changes):
    task = lab.server.get("test", "AgenticTask", "t", "default")
    lab.server.patch_status("test", task, changes, None)


def begun():
    lab = Lab()
    task = lab.server.create("test", new_task("t"))
    lab.server.create("test", new_task("another"))
    follower = Follower(lab, task)
    lab.advance(1)
    return lab, follower


def test_every_transition_is_heard_to_the_end():
    lab, follower = begun()
    phases = [Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.SUCCEEDED]
    for phase in phases:
        write(lab, phase=phase)
    lab.advance(1)
    assert follower.phases == phases
    assert follower.end.status.phase is Phase.SUCCEEDED


def test_an_outage_is_survived_and_said_once():
    lab, follower = begun()
    lab.endpoint.fail()
    write(lab, phase=Phase.RUNNING)
    lab.advance(40)
    assert (follower.outages, follower.phases) == ([True], [])
    lab.endpoint.recover()
    lab.advance(30)
    assert (follower.outages, follower.phases) == ([True, False], [Phase.RUNNING])
    write(lab, phase=Phase.FAILED, verdict=Verdict.INCOMPLETE)
    lab.advance(1)
    assert follower.end.status.verdict is Verdict.INCOMPLETE


def test_an_end_during_an_outage_is_learnt_after_it():
    lab, follower = begun()
    lab.endpoint.fail()
    write(lab, phase=Phase.SUCCEEDED)
    lab.advance(20)
    lab.endpoint.recover()
    lab.advance(30)
    assert follower.end.status.phase is Phase.SUCCEEDED


def test_a_server_that_forgot_its_history_is_asked_anew():
    lab, follower = begun()
    lab.endpoint.fail()
    lab.advance(1)
    write(lab, phase=Phase.RUNNING)
    lab.server.compact()
    lab.endpoint.recover()
    lab.advance(30)
    assert follower.phases == [Phase.RUNNING]


def test_a_stream_that_the_server_closes_is_resumed():
    lab, follower = begun()
    lab.advance(700)
    write(lab, phase=Phase.SUCCEEDED)
    lab.advance(1)
    assert (follower.phases, follower.outages) == ([Phase.SUCCEEDED], [])


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_task_that_is_deleted_ends_the_following(away, again):
    lab, follower = begun()
    if away:
        lab.endpoint.fail()
        lab.advance(1)
    lab.server.delete("test", lab.server.get("test", "AgenticTask", "t", "default"))
    if again:
        lab.server.create("test", new_task("t"))
    if away:
        lab.advance(5)
        lab.endpoint.recover()
    lab.advance(30)
    assert follower.end is None
