"""The contract of a Cluster, whichever it is: writing, versions, conflicts, merge patches, validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import new_node, new_task

from foreman.api import Condition, ConfigMap, Lease, LeaseSpec, ObjectMeta, Phase
from foreman.cluster import AlreadyExists, Conflict, Invalid, NotFound

Create = Callable[..., Any]


@pytest.fixture
def create(arm: Any) -> Create:
    """Creates a task in the arm's namespace; `meta` in python names, `spec` in wire names."""

    def make(name: str = "a", meta: dict[str, Any] | None = None, **spec: Any) -> Any:
        task = new_task(name, arm.namespace, **spec)
        return arm.run(arm.cluster.create(task.evolve(metadata=task.metadata.evolve(**(meta or {})))))

    return make


def read(arm: Any, task: Any) -> Any:
    return arm.run(arm.cluster.get("AgenticTask", task.metadata.name, task.metadata.namespace))


def patch(arm: Any, task: Any, changes: dict[str, Any], if_version: str | None = None) -> Any:
    return arm.run(arm.cluster.patch(task, changes, if_version=if_version))


def patch_status(arm: Any, task: Any, changes: dict[str, Any], if_version: str | None = None) -> Any:
    return arm.run(arm.cluster.patch_status(task, changes, if_version=if_version))


# versions


def test_a_write_answers_with_what_a_read_then_shows(arm: Any, create: Create) -> None:
    task = create()
    assert read(arm, task) == task
    task = patch_status(arm, task, {"phase": Phase.PENDING})
    assert read(arm, task) == task
    task = patch(arm, task, {"spec": {"priority": 1}})
    assert read(arm, task) == task


def test_versions_grow_over_all_objects_of_a_kind(arm: Any, create: Create) -> None:
    first, second = create("a"), create("b")
    touched = patch_status(arm, first, {"phase": Phase.PENDING})
    assert int(first.version) < int(second.version) < int(touched.version)
    assert read(arm, second).version == second.version


def test_a_list_is_at_least_as_new_as_the_writes_before_it(arm: Any, create: Create) -> None:
    task = create()
    listing = arm.run(arm.cluster.list("AgenticTask", namespace=arm.namespace))
    assert int(listing.version) >= int(task.version)


def test_a_stale_version_conflicts_and_leaves_the_object_alone(arm: Any, create: Create) -> None:
    task = create()
    current = patch_status(arm, task, {"phase": Phase.PENDING}, task.version)
    with pytest.raises(Conflict):
        patch_status(arm, task, {"phase": Phase.SCHEDULED}, task.version)
    with pytest.raises(Conflict):
        patch(arm, task, {"spec": {"priority": 3}}, task.version)
    assert read(arm, task) == current


def test_the_current_version_is_accepted_by_both_subresources(arm: Any, create: Create) -> None:
    task = create()
    task = patch(arm, task, {"spec": {"priority": 3}}, task.version)
    task = patch_status(arm, task, {"phase": Phase.PENDING}, task.version)
    assert (task.spec.priority, task.status.phase) == (3, Phase.PENDING)


def test_an_unconditional_write_lands_whatever_happened_meanwhile(arm: Any, create: Create) -> None:
    task = create()
    patch(arm, task, {"spec": {"priority": 3}})
    assert patch(arm, task, {"metadata": {"labels": {"a": "1"}}}).spec.priority == 3


def test_a_write_that_changes_nothing_leaves_the_version_alone(arm: Any, create: Create) -> None:
    task = create(priority=3)
    task = patch_status(arm, task, {"phase": Phase.PENDING, "strikes": {"n": 1}})
    assert patch_status(arm, task, {"phase": Phase.PENDING, "strikes": {"n": 1}}, task.version).version == task.version
    assert patch(arm, task, {"spec": {"priority": 3}}, task.version).version == task.version
    assert read(arm, task).version == task.version


def test_a_write_that_changes_nothing_is_still_refused_when_stale(arm: Any, create: Create) -> None:
    task = create()
    patch_status(arm, task, {"phase": Phase.PENDING})
    with pytest.raises(Conflict):
        patch_status(arm, task, {"phase": Phase.PENDING}, task.version)


# merge patches


def test_a_patch_names_only_what_it_changes(arm: Any, create: Create) -> None:
    task = create(priority=1, timeoutSeconds=60)
    task = patch(arm, task, {"spec": {"priority": 2}})
    assert (task.spec.priority, task.spec.timeout_seconds) == (2, 60)


def test_lists_are_replaced_whole(arm: Any, create: Create) -> None:
    task = create(dependsOn=["x", "y"])
    assert patch(arm, task, {"spec": {"depends_on": ("z",)}}).spec.depends_on == ("z",)
    here, there = Condition(type="Here", status="True"), Condition(type="There", status="False")
    patch_status(arm, task, {"conditions": (here,)})
    assert [each.type for each in patch_status(arm, task, {"conditions": (there,)}).status.conditions] == ["There"]


def test_none_takes_a_field_away(arm: Any, create: Create) -> None:
    task = create(timeoutSeconds=60)
    task = patch_status(arm, task, {"phase": Phase.PENDING, "holder": "me", "claimed_at": 5})
    task = patch_status(arm, task, {"holder": None, "claimed_at": None})
    assert (task.status.phase, task.status.holder, task.status.claimed_at) == (Phase.PENDING, "", None)
    assert patch(arm, task, {"spec": {"timeout_seconds": None}}).spec.timeout_seconds == 0


def test_maps_merge_key_by_key(arm: Any, create: Create) -> None:
    task = create(meta={"labels": {"a": "1", "b": "2"}})
    task = patch(arm, task, {"metadata": {"labels": {"b": None, "c": "3"}}})
    assert task.metadata.labels == {"a": "1", "c": "3"}
    patch_status(arm, task, {"strikes": {"n1": 1, "n2": 2}})
    assert patch_status(arm, task, {"strikes": {"n1": None, "n2": 3}}).status.strikes == {"n2": 3}


def test_nested_objects_merge(arm: Any, create: Create) -> None:
    task = create(payload={"repo": "o/r", "prompt": "x"}, requiredCapability={"minRAMGB": 8})
    task = patch(arm, task, {"spec": {"payload": {"prompt": "y"}, "required_capability": {"roles": ("gpu",)}}})
    assert (task.spec.payload.repo, task.spec.payload.prompt) == ("o/r", "y")
    assert (task.spec.required_capability.min_ram_gb, task.spec.required_capability.roles) == (8, ("gpu",))


def test_free_json_is_kept_as_it_is(arm: Any, create: Create) -> None:
    task = create()
    patch_status(arm, task, {"result": {"extra": {"unheard": [1, {"of": True}], "n": 1.5}}})
    assert read(arm, task).status.result == {"extra": {"unheard": [1, {"of": True}], "n": 1.5}}


def test_data_of_a_kind_without_spec_merges_too(arm: Any) -> None:
    record = ConfigMap(metadata=ObjectMeta(name="m", namespace=arm.namespace), data={"a": "1", "b": "2"})
    try:
        record = arm.run(arm.cluster.create(record))
    except NotFound:
        pytest.skip("this server has no ConfigMaps")
    assert patch(arm, record, {"data": {"a": None, "c": "3"}}).data == {"b": "2", "c": "3"}


def test_times_have_a_resolution_of_one_second_and_leases_of_a_microsecond(arm: Any, create: Create) -> None:
    task = create()
    assert patch_status(arm, task, {"claimed_at": 1_767_225_601}).status.claimed_at == 1_767_225_601
    assert isinstance(task.metadata.creation_timestamp, int)
    lease = Lease(metadata=ObjectMeta(name="l", namespace=arm.namespace), spec=LeaseSpec(holder_identity="me"))
    lease = arm.run(arm.cluster.create(lease))
    assert (
        patch(arm, lease, {"spec": {"renew_time": 1_767_225_601.25}}, lease.version).spec.renew_time == 1_767_225_601.25
    )


# who owns what


def test_a_patch_does_not_reach_the_status(arm: Any, create: Create) -> None:
    task = patch_status(arm, create(), {"phase": Phase.PENDING})
    task = patch(arm, task, {"spec": {"priority": 1}, "status": {"phase": Phase.RUNNING}})
    assert (task.spec.priority, task.status.phase) == (1, Phase.PENDING)
    assert patch(arm, task, {"status": {"phase": Phase.RUNNING}}).version == task.version


def test_a_status_patch_does_not_reach_metadata_or_spec(arm: Any, create: Create) -> None:
    task = create(priority=1)
    mine = task.evolve(metadata=task.metadata.evolve(labels={"sneaked": "in"}), spec=task.spec.evolve(priority=9))
    after = patch_status(arm, mine, {"phase": Phase.PENDING})
    assert (after.spec, after.metadata.labels) == (task.spec, {})
    assert read(arm, task) == after


def test_create_drops_the_status_and_what_the_server_owns(arm: Any) -> None:
    task = new_task("a", arm.namespace)
    forged = {"uid": "mine", "generation": 7, "creation_timestamp": 1, "deletion_timestamp": 2}
    claimed = task.evolve(
        metadata=task.metadata.evolve(**forged), status=task.status.evolve(phase=Phase.RUNNING, holder="me")
    )
    made = arm.run(arm.cluster.create(claimed))
    meta = made.metadata
    assert (made.status.phase, made.status.holder) == (None, "")
    assert (meta.generation, meta.deletion_timestamp) == (1, None)
    assert meta.uid not in ("", "mine")
    assert meta.creation_timestamp > 1_000_000_000


def test_the_generation_rises_with_the_spec_and_only_with_it(arm: Any, create: Create) -> None:
    task = create()
    assert task.metadata.generation == 1
    task = patch_status(arm, task, {"phase": Phase.PENDING})
    task = patch(arm, task, {"metadata": {"labels": {"a": "1"}, "annotations": {"b": "2"}}})
    assert task.metadata.generation == 1
    task = patch(arm, task, {"spec": {"priority": 2}})
    assert task.metadata.generation == 2
    assert patch(arm, task, {"spec": {"priority": 2}}).metadata.generation == 2


def test_a_patch_cannot_rename_or_move(arm: Any, create: Create) -> None:
    task = create()
    for change in ({"name": "b"}, {"namespace": f"{arm.namespace}-b"}):
        with pytest.raises(Invalid):
            patch(arm, task, {"metadata": change})
    assert read(arm, task) == task


# names


def test_a_name_is_taken_once_per_namespace(arm: Any, create: Create) -> None:
    task = create("a")
    with pytest.raises(AlreadyExists):
        create("a", priority=5)
    assert read(arm, task) == task
    elsewhere = arm.run(arm.cluster.create(new_task("a", f"{arm.namespace}-b")))
    assert elsewhere.metadata.uid != task.metadata.uid


def test_recreating_gives_a_fresh_uid(arm: Any, create: Create) -> None:
    task = create("a")
    arm.run(arm.cluster.delete(task))
    again = create("a")
    assert again.metadata.uid != task.metadata.uid
    assert int(again.version) > int(task.version)
    assert again.metadata.generation == 1


def test_what_does_not_exist_is_not_found_by_any_verb(arm: Any, create: Create) -> None:
    gone = new_task("gone", arm.namespace)
    with pytest.raises(NotFound):
        read(arm, gone)
    with pytest.raises(NotFound):
        patch(arm, gone, {"spec": {"priority": 1}}, "1")
    with pytest.raises(NotFound):
        patch_status(arm, gone, {"phase": Phase.PENDING})
    with pytest.raises(NotFound):
        arm.run(arm.cluster.delete(gone))
    create("there")
    with pytest.raises(NotFound):
        arm.run(arm.cluster.get("AgenticTask", "there", f"{arm.namespace}-b"))


def test_a_kind_without_namespaces_is_addressed_by_name_alone(arm: Any) -> None:
    name = f"{arm.namespace}-n1"
    made = arm.run(arm.cluster.create(new_node(name, slots=2)))
    assert (made.key, made.metadata.namespace) == (name, None)
    assert arm.run(arm.cluster.get("FleetNode", name)).spec.slots == 2


# validation


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"verdict": "MAYBE"}, "status.verdict"),
        ({"phase": "Paused"}, "status.phase"),
        ({"attempt": -1}, "status.attempt"),
        ({"conditions": [{"type": "A", "status": "Perhaps"}]}, "status.conditions[0].status"),
    ],
)
def test_a_bad_status_is_invalid_and_names_the_field(
    arm: Any, create: Create, changes: dict[str, Any], path: str
) -> None:
    task = create()
    with pytest.raises(Invalid) as refusal:
        patch_status(arm, task, changes)
    assert path in str(refusal.value)
    assert read(arm, task) == task


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"timeout_seconds": -5}, "spec.timeoutSeconds"),
        ({"required_capability": {"min_ram_gb": -1}}, "spec.requiredCapability.minRAMGB"),
        ({"retry_policy": {"max_attempts": 0}}, "spec.retryPolicy.maxAttempts"),
        ({"kind": "fix-it"}, "spec.kind"),
        ({"payload": None}, "spec.payload"),
        ({"priority": "high"}, "spec.priority"),
    ],
)
def test_a_bad_spec_is_invalid_and_names_the_field(
    arm: Any, create: Create, changes: dict[str, Any], path: str
) -> None:
    task = create()
    with pytest.raises(Invalid) as refusal:
        patch(arm, task, {"spec": changes})
    assert path in str(refusal.value)
    assert read(arm, task) == task
