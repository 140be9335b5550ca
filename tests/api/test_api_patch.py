"""Merge patches, against a reference implementation of RFC 7386 on the JSON of the same object."""

from collections.abc import Mapping

import pytest
from api_strategies import models
from hypothesis import given, settings
from hypothesis import strategies as st

from foreman import api
from foreman.api.fields import declared
from foreman.api.patch import merge, patch_from_wire, patch_to_wire
from foreman.api.wire import parse, to_wire

KINDS = pytest.mark.parametrize("kind", api.KINDS.values(), ids=api.KINDS)


def rfc7386(target, patch):
    """The pseudocode of RFC 7386, section 2."""
    if not isinstance(patch, Mapping):
        return patch
    target = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = rfc7386(target.get(name), value)
    return target


def outcome(act):
    """The wire form of what `act` returns, or that it was refused."""
    try:
        return to_wire(act())
    except api.InvalidObject:
        return "refused"


@st.composite
def json_patches(draw, of):
    """Part of the JSON object `of`, some of it null."""
    picked = {}
    for name, value in of.items():
        choice = draw(st.sampled_from(["leave", "null", "set", "set"]))
        if choice == "null":
            picked[name] = None
        elif choice == "set":
            picked[name] = draw(json_patches(value)) if isinstance(value, Mapping) else value
    return picked


@KINDS
@settings(max_examples=20)
@given(data=st.data())
def test_merge_is_rfc_7386(kind, data):
    made = data.draw(models(kind))
    patch = data.draw(json_patches(to_wire(data.draw(models(kind)))))
    expected = outcome(lambda: parse(kind, rfc7386(to_wire(made), patch)))
    assert outcome(lambda: merge(made, patch_from_wire(kind, patch))) == expected


@KINDS
@settings(max_examples=20)
@given(data=st.data())
def test_a_patch_means_the_same_in_memory_and_on_the_wire(kind, data):
    made, other = data.draw(models(kind)), data.draw(models(kind))
    changes = {f.name: getattr(other, f.name) for f in declared(kind) if data.draw(st.booleans())}
    expected = outcome(lambda: parse(kind, rfc7386(to_wire(made), patch_to_wire(kind, changes))))
    assert outcome(lambda: merge(made, changes)) == expected


@KINDS
@settings(max_examples=10)
@given(data=st.data())
def test_a_patch_that_changes_nothing_returns_the_same_instance(kind, data):
    made = data.draw(models(kind))
    assert merge(made, {}) is made
    assert merge(made, patch_from_wire(kind, to_wire(made))) is made
    assert merge(made, dict(made)) is made


def status(**fields):
    return api.TaskStatus.model_validate(fields)


READY = api.Condition(type="Ready", status="True")


def test_none_resets_to_the_default():
    old = status(phase="Running", assigned_node="a", claimed_at=3, strikes={"a": 1})
    new = merge(old, {"phase": None, "assigned_node": None, "claimed_at": None, "strikes": None})
    assert new == status()


def test_a_map_merges_and_a_list_replaces():
    old = status(strikes={"a": 1, "b": 2}, conditions=[READY])
    new = merge(old, {"strikes": {"a": None, "c": 3}, "conditions": ()})
    assert new.strikes == {"b": 2, "c": 3}
    assert new.conditions == ()
    assert old.strikes == {"a": 1, "b": 2}


def test_a_model_that_was_absent_is_made_with_its_defaults():
    made = api.AgenticTask(spec={"kind": "verify", "payload": {}})
    new = merge(made, {"spec": {"required_capability": {"min_ram_gb": 4, "roles": None}}})
    assert new.spec.required_capability == api.RequiredCapability(min_ram_gb=4)
    assert new.status is made.status


def test_unknown_names_are_kept_merged_and_deleted():
    one = merge(status(), {"kubernetesNode": {"a": 1, "b": 2}})
    two = merge(one, {"kubernetesNode": {"a": None}})
    assert to_wire(two) == {"kubernetesNode": {"b": 2}}
    assert merge(two, {"kubernetesNode": None}) == status()


def test_a_wire_name_means_the_same_field():
    assert merge(status(), {"assignedNode": "a"}) == status(assigned_node="a")


def test_free_json_tells_one_from_true():
    old = status(result={"n": 1})
    assert merge(old, {"result": {"n": True}}).result == {"n": True}
    assert type(merge(old, {"result": {"n": True}}).result["n"]) is bool
    assert merge(old, {"result": {"n": 1}}) is old


def test_an_equal_tuple_of_equal_models_is_no_change():
    old = status(conditions=[READY])
    assert merge(old, {"conditions": (READY.evolve(),)}) is old
    assert merge(old, {"conditions": (READY.evolve(reason="x"),)}) is not old


def test_a_condition_that_differs_in_an_unknown_field_is_a_change():
    other = api.Condition.model_validate({"type": "Ready", "status": "True", "xNew": 1})
    assert merge(status(conditions=[READY]), {"conditions": (other,)}).conditions == (other,)


def test_every_bad_field_is_named():
    made = api.AgenticTask(metadata={"name": "x"}, spec={"kind": "verify", "payload": {}})
    with pytest.raises(api.InvalidObject) as caught:
        merge(
            made,
            {
                "status": {"phase": "x", "attempt": True, "conditions": [{"type": "a", "status": "b"}]},
                "spec": {
                    "required_capability": {"min_ram_gb": -1},
                    "payload": {"slices": [{"name": ""}]},
                    "kind": None,
                },
            },
        )
    assert [path for path, _ in caught.value.causes] == [
        "status.phase",
        "status.attempt",
        "status.conditions[0].status",
        "spec.requiredCapability.minRAMGB",
        "spec.payload.slices[0].name",
        "spec.kind",
    ]
    assert str(caught.value).startswith('AgenticTask "x" is invalid: status.phase: Unsupported value: "x"')


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "Done"},
        {"attempt": -1},
        {"attempt": 2**31},
        {"assigned_node": 3},
        {"claimed_at": "yesterday"},
        {"result": [1]},
        {"strikes": {"a": "1"}},
        {"conditions": "x"},
        {"conditions": ({"type": "a"},)},
    ],
)
def test_a_bad_value_is_refused(changes):
    with pytest.raises(api.InvalidObject):
        merge(status(), changes)


def test_the_patch_on_the_wire():
    changes = {
        "status": {"phase": api.Phase.PENDING, "assigned_node": "", "claimed_at": None, "retry_after": 60},
        "spec": {"required_capability": api.RequiredCapability(roles=("worker",))},
    }
    assert patch_to_wire(api.AgenticTask, changes) == {
        "status": {
            "phase": "Pending",
            "assignedNode": "",
            "claimedAt": None,
            "retryAfter": "1970-01-01T00:01:00Z",
        },
        "spec": {
            "requiredCapability": {
                "accelerator": "any",
                "roles": ["worker"],
                "minRAMGB": None,
                "minContextTokens": None,
                "nodeSelector": {},
                "requiresModelInstalled": None,
                "minTokensPerSecond": None,
            }
        },
    }
