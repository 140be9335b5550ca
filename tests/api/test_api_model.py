"""A Model: frozen, equal by its fields, and what is unknown takes part in everything."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

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


def test_what_is_unknown_takes_part_in_everything():
    held = task().spec
    assert held.model_extra == {"novel": [1]}
    assert held.evolve(priority=1).model_extra == {"novel": [1]}
    assert held != api.TaskSpec(kind="freeform", payload={})
    assert held == api.TaskSpec(kind="freeform", payload={}, novel=[1])
    assert held.model_dump(exclude_defaults=True)["novel"] == [1]
    assert json.loads(held.model_dump_json(exclude_defaults=True))["novel"] == [1]
    assert "novel=[1]" in repr(held)


def test_an_instance_is_taken_as_it_is():
    held = task()
    assert api.AgenticTask.model_validate(held) is held
    assert api.AgenticTask(spec=held.spec).spec is held.spec


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
