"""The contract of a Cluster, whichever it is: deletion, finalizers, owners."""

from __future__ import annotations

from typing import Any

import pytest
from support import new_task

from foreman.api import OwnerReference, Phase
from foreman.cluster import Conflict, Invalid, NotFound

FINALIZER = "foreman.llmkube.dev/test"


def create(arm: Any, name: str, namespace: str = "", **meta: Any) -> Any:
    task = new_task(name, namespace or arm.namespace)
    return arm.run(arm.cluster.create(task.evolve(metadata=task.metadata.evolve(**meta))))


def read(arm: Any, task: Any) -> Any:
    return arm.run(arm.cluster.get("AgenticTask", task.metadata.name, task.metadata.namespace))


def exists(arm: Any, task: Any) -> bool:
    try:
        return bool(read(arm, task).metadata.uid == task.metadata.uid)
    except NotFound:
        return False


def remove(arm: Any, task: Any, **preconditions: str) -> None:
    arm.run(arm.cluster.delete(task, **preconditions))


# preconditions


def test_a_delete_for_a_stale_version_conflicts(arm: Any) -> None:
    task = create(arm, "a")
    current = arm.run(arm.cluster.patch_status(task, {"phase": Phase.PENDING}, if_version=None))
    with pytest.raises(Conflict):
        remove(arm, task, if_version=task.version)
    assert read(arm, task) == current
    remove(arm, task, if_version=current.version)
    assert not exists(arm, task)


def test_a_delete_for_another_uid_conflicts(arm: Any) -> None:
    first = create(arm, "a")
    remove(arm, first)
    second = create(arm, "a")
    with pytest.raises(Conflict):
        remove(arm, first, if_uid=first.metadata.uid)
    assert exists(arm, second)
    remove(arm, first, if_uid=second.metadata.uid)
    assert not exists(arm, second)


def test_a_delete_without_preconditions_takes_whatever_is_there(arm: Any) -> None:
    task = create(arm, "a")
    arm.run(arm.cluster.patch_status(task, {"phase": Phase.RUNNING}, if_version=None))
    remove(arm, task)
    with pytest.raises(NotFound):
        remove(arm, task)


# finalizers


def test_a_finalizer_keeps_the_object_marked_for_deletion(arm: Any) -> None:
    task = create(arm, "a", finalizers=(FINALIZER,))
    remove(arm, task)
    marked = read(arm, task)
    assert marked.metadata.deletion_timestamp is not None
    assert marked.metadata.deletion_timestamp >= task.metadata.creation_timestamp
    assert int(marked.version) > int(task.version)


def test_a_second_delete_changes_nothing(arm: Any) -> None:
    task = create(arm, "a", finalizers=(FINALIZER,))
    remove(arm, task)
    marked = read(arm, task)
    remove(arm, task)
    assert read(arm, task) == marked


def test_a_marked_object_can_still_be_written(arm: Any) -> None:
    task = create(arm, "a", finalizers=(FINALIZER,))
    remove(arm, task)
    arm.run(arm.cluster.patch_status(task, {"phase": Phase.FAILED}, if_version=None))
    assert read(arm, task).status.phase is Phase.FAILED


def test_taking_the_last_finalizer_off_removes_it(arm: Any) -> None:
    task = create(arm, "a", finalizers=(FINALIZER, f"{FINALIZER}-2"))
    remove(arm, task)
    arm.run(arm.cluster.patch(task, {"metadata": {"finalizers": (FINALIZER,)}}, if_version=None))
    assert exists(arm, task)
    arm.run(arm.cluster.patch(task, {"metadata": {"finalizers": None}}, if_version=None))
    assert not exists(arm, task)


def test_finalizers_of_an_object_that_stays_come_and_go(arm: Any) -> None:
    task = create(arm, "a")
    arm.run(arm.cluster.patch(task, {"metadata": {"finalizers": (FINALIZER,)}}, if_version=None))
    arm.run(arm.cluster.patch(task, {"metadata": {"finalizers": ()}}, if_version=None))
    assert exists(arm, task)
    assert read(arm, task).metadata.finalizers == ()


def test_a_marked_object_takes_no_new_finalizer(arm: Any) -> None:
    task = create(arm, "a", finalizers=(FINALIZER,))
    remove(arm, task)
    with pytest.raises(Invalid, match="finalizers"):
        arm.run(arm.cluster.patch(task, {"metadata": {"finalizers": (FINALIZER, "a.b/c")}}, if_version=None))


def test_the_watch_shows_the_mark_and_then_one_deletion(arm: Any) -> None:
    task = create(arm, "a", finalizers=(FINALIZER,))
    stream = aiter(arm.cluster.watch("AgenticTask", since=task.version, namespace=arm.namespace))
    remove(arm, task)
    remove(arm, task)
    arm.run(arm.cluster.patch(task, {"metadata": {"finalizers": None}}, if_version=None))
    create(arm, "b")

    async def collect() -> list[Any]:
        events = []
        while len(events) < 3:
            event = await anext(stream)
            if event.object is not None:
                events.append(event)
        return events

    marked, gone, after = arm.run(collect())
    assert [marked.type, gone.type, after.type] == ["MODIFIED", "DELETED", "ADDED"]
    assert marked.object.metadata.deletion_timestamp is not None
    assert gone.object.version == gone.version


# owners


def owner_of(task: Any, uid: str = "") -> OwnerReference:
    return OwnerReference(
        api_version=task.api_version, kind=task.kind, name=task.metadata.name, uid=uid or task.metadata.uid
    )


def collected(arm: Any, task: Any, within: int = 50) -> bool:
    """Whether the object goes within `within` looks, 0.2 s apart."""
    for _ in range(within):
        if not exists(arm, task):
            return True
        arm.run(arm.pause(0.2))
    return False


@pytest.fixture
def collecting(arm: Any) -> Any:
    if not arm.collects:
        pytest.skip("no garbage collector runs here")
    return arm


def test_what_an_owner_owned_goes_with_it(collecting: Any) -> None:
    owner, other = create(collecting, "owner"), create(collecting, "other")
    child = create(collecting, "child", owner_references=(owner_of(owner),))
    grandchild = create(collecting, "grandchild", owner_references=(owner_of(child),))
    shared = create(collecting, "shared", owner_references=(owner_of(owner), owner_of(other)))
    assert not collected(collecting, child, within=10)
    remove(collecting, owner)
    assert collected(collecting, child)
    assert collected(collecting, grandchild)
    assert not collected(collecting, shared, within=20)
    remove(collecting, other)
    assert collected(collecting, shared)


def test_an_owner_in_another_namespace_counts_as_absent(collecting: Any) -> None:
    owner = create(collecting, "owner", f"{collecting.namespace}-b")
    assert collected(collecting, create(collecting, "child", owner_references=(owner_of(owner),)))
    assert exists(collecting, owner)


def test_a_namesake_is_not_the_owner(collecting: Any) -> None:
    owner = create(collecting, "owner")
    child = create(collecting, "child", owner_references=(owner_of(owner),))
    remove(collecting, owner)
    create(collecting, "owner")
    assert collected(collecting, child)
