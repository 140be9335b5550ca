"""Who is next: priority, then age, then name; groups sleep and wake."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support import new_task

from foreman.decide.queueing import GroupKey, Rank, Waiting, rank_of
from foreman.decide.requirement import Requirement

ANY = GroupKey(Requirement(), "")
CUDA = GroupKey(Requirement(accelerator="cuda"), "")
CODER = GroupKey(Requirement(), "default/coder")
GROUPS = [ANY, CUDA, CODER]

ranks = st.builds(
    Rank,
    st.integers(-2, 2),
    st.integers(0, 2),
    st.integers(0, 3),
    st.sampled_from([f"t{number}" for number in range(8)]),
)
steps = st.one_of(
    st.tuples(st.just("add"), ranks, st.sampled_from(GROUPS)),
    st.tuples(st.just("remove"), st.sampled_from([f"t{number}" for number in range(8)])),
)


def filled(*members):
    waiting = Waiting()
    for key, group in members:
        waiting.add(Rank(0, 2, 0, key), group)
    return waiting


def drained(waiting):
    """Every task in the order of service."""
    served = []
    while (choice := waiting.next()) is not None:
        served.append(choice[1].key)
        waiting.remove(choice[1].key)
    return served


def test_priority_comes_before_age_and_age_before_name():
    waiting = Waiting()
    for key, priority, created in [("d", 0, 5), ("c", 0, 9), ("b", 1, 9), ("a", 0, 9), ("e", -1, 0)]:
        made = new_task(key, priority=priority)
        made = made.evolve(metadata=made.metadata.evolve(creation_timestamp=created))
        waiting.add(rank_of(made), ANY)
    assert drained(waiting) == [f"default/{key}" for key in "bdace"]


def test_what_ends_a_pipeline_comes_before_the_backlog_that_begins_others():
    waiting = Waiting()
    kinds = ["issue-fix", "freeform", "verify", "review", "integrate"]
    for created, kind in enumerate(kinds):
        made = new_task(kind, kind=kind)
        made = made.evolve(metadata=made.metadata.evolve(creation_timestamp=created))
        waiting.add(rank_of(made), ANY)
    assert drained(waiting) == [
        f"default/{kind}" for kind in ("review", "verify", "issue-fix", "freeform", "integrate")
    ]


@given(history=st.lists(steps, max_size=40))
def test_the_order_holds_across_groups_whatever_came_and_went(history):
    waiting, members = Waiting(), {}
    for step in history:
        match step:
            case ("add", rank, group):
                waiting.add(rank, group)
                members[rank.key] = rank
            case ("remove", key):
                waiting.remove(key)
                members.pop(key, None)
        assert len(waiting) == len(members)
        assert all((f"t{number}" in waiting) is (f"t{number}" in members) for number in range(8))
    assert drained(waiting) == [rank.key for rank in sorted(members.values())]


def test_a_group_put_to_sleep_is_passed_over():
    waiting = filled(("a", ANY), ("b", CUDA))
    waiting.sleep(ANY)
    assert waiting.next() == (CUDA, Rank(0, 2, 0, "b"))
    waiting.sleep(CUDA)
    assert waiting.next() is None


def test_a_sleeping_group_wakes_by_its_demand_alone():
    waiting = filled(("a", ANY), ("b", CUDA), ("c", CODER))
    for group in GROUPS:
        waiting.sleep(group)
    assert waiting.wake_wanting(CUDA.want)
    assert list(waiting.awake) == [CUDA]
    assert waiting.wake_wanting(ANY.want)
    assert list(waiting.awake) == [CUDA, ANY, CODER]


def test_a_sleeping_group_wakes_by_its_agent():
    waiting = filled(("a", ANY), ("c", CODER))
    for group in GROUPS:
        waiting.sleep(group)
    assert waiting.wake_of_agent("default/coder")
    assert list(waiting.awake) == [CODER]
    assert not waiting.wake_of_agent("default/other")


def test_waking_a_group_without_members_is_no_news():
    waiting = filled(("a", CUDA))
    waiting.remove("a")
    assert not waiting.wake_wanting(CUDA.want)


def test_a_newcomer_wakes_its_group():
    waiting = filled(("b", ANY))
    waiting.sleep(ANY)
    waiting.add(Rank(0, 2, 1, "c"), ANY)
    assert waiting.next() == (ANY, Rank(0, 2, 0, "b"))


def test_a_task_waits_in_one_group_only():
    waiting = filled(("a", ANY))
    waiting.add(Rank(-1, 2, 0, "a"), CUDA)
    assert len(waiting) == 1
    assert drained(waiting) == ["a"]
    assert not waiting.groups[ANY].members


def test_members_are_told_once_and_again_when_the_reason_changes():
    waiting = filled(("b", ANY), ("a", ANY))
    group = waiting.groups[ANY]
    assert list(group.untold) == ["b", "a"]
    group.untold.clear()
    group.news("NodesBusy")
    assert (group.said, list(group.untold)) == ("NodesBusy", ["a", "b"])
    waiting.remove("a")
    assert list(group.untold) == ["b"]
    group.untold.clear()
    waiting.retell("b")
    waiting.retell("a")
    assert list(group.untold) == ["b"]
