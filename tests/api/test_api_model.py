"""A Model is a plain frozen object in memory and a pydantic model at the border."""

from __future__ import annotations

import copy
import json

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from foreman import api

TASK = {"metadata": {"name": "a"}, "spec": {"kind": "freeform", "payload": {}, "novel": [1]}}


def task() -> api.AgenticTask:
    return api.AgenticTask.model_validate(TASK)


def test_it_is_frozen():
    held = task()
    for change in (lambda: setattr(held, "kind", "x"), lambda: delattr(held, "kind")):
        with pytest.raises(ValidationError, match="frozen"):
            change()
    assert held == task()


def test_every_part_is_of_its_own_class_and_no_pydantic_model():
    held = task()
    assert [type(each) for each in (held, held.metadata, held.spec, held.spec.payload, held.status)] == [
        api.AgenticTask,
        api.ObjectMeta,
        api.TaskSpec,
        api.Payload,
        api.TaskStatus,
    ]
    assert not isinstance(held, BaseModel)


def test_what_is_unknown_takes_part_in_everything():
    held = task().spec
    assert held.model_extra == {"novel": [1]}
    assert held.evolve(priority=1).model_extra == {"novel": [1]}
    assert held != api.TaskSpec(kind="freeform", payload={})
    assert held == api.TaskSpec(kind="freeform", payload={}, novel=[1])
    assert held.model_dump(exclude_defaults=True)["novel"] == [1]
    assert json.loads(held.model_dump_json(exclude_defaults=True))["novel"] == [1]
    assert "novel=[1]" in repr(held)


def test_an_instance_is_taken_as_it_is_and_shared_by_a_copy():
    held = task()
    assert api.AgenticTask.model_validate(held) is held
    assert api.AgenticTask(spec=held.spec).spec is held.spec
    assert copy.deepcopy(held) is held


def test_evolving_leaves_the_original_alone():
    held = task()
    other = held.evolve(status=held.status.evolve(phase=api.Phase.PENDING))
    assert (held.status.phase, other.status.phase) == (None, api.Phase.PENDING)
    assert other.spec is held.spec


def test_equal_means_of_one_class_and_with_equal_fields():
    assert api.LocalObjectReference(name="a") == api.LocalObjectReference(name="a")
    assert api.LocalObjectReference(name="a") != api.LocalObjectReference(name="b")
    assert api.LocalObjectReference(name="a") != api.GateAdvisory(check="a")
    assert hash(api.LocalObjectReference(name="a")) == hash(api.LocalObjectReference(name="a"))


def test_pydantic_knows_it_as_a_field_of_its_own_models():
    class Holder(BaseModel):
        want: api.RequiredCapability | None = None

    assert type(Holder(want={"minRAMGB": 8}).want) is api.RequiredCapability
    assert Holder.model_validate_json('{"want": {"minRAMGB": 8}}').want.min_ram_gb == 8
    assert Holder(want={"minRAMGB": 8}).model_dump(exclude_defaults=True) == {"want": {"minRAMGB": 8}}
    with pytest.raises(ValidationError, match=r"want\.minRAMGB"):
        Holder(want={"minRAMGB": -1})
    assert "minRAMGB" in TypeAdapter(Holder).json_schema()["$defs"]["RequiredCapability"]["properties"]
