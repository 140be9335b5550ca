"""The foreman.v1 envelope."""

import pytest
from api_strategies import models
from hypothesis import given

from foreman.api.result import BadEnvelope, Result
from foreman.api.wire import to_wire

GOOD = {"schemaVersion": "foreman.v1", "kind": "stub", "verdict": "GO", "summary": "done", "elapsedSec": 10.0}


@given(models(Result))
def test_round_trip(result):
    assert Result.parse(to_wire(result)) == result


def test_empty_extra_and_failure_reason_are_left_out_and_nothing_else():
    assert to_wire(Result(kind="stub", verdict="GO")) == {**GOOD, "summary": "", "elapsedSec": 0.0}
    assert to_wire(Result.parse(GOOD)) == GOOD


def test_a_verdict_outside_the_enum_is_the_api_servers_business():
    assert Result.parse({**GOOD, "verdict": "MAYBE"}).verdict == "MAYBE"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({**GOOD, "schemaVersion": "foreman.v2"}, "schemaVersion 'foreman.v2' is not supported; expected 'foreman.v1'"),
        ({}, "schemaVersion None is not supported"),
        ({**GOOD, "verdict": None}, "verdict: "),
        ({k: v for k, v in GOOD.items() if k != "kind"}, "kind: field required"),
        ({**GOOD, "elapsedSec": "10"}, "elapsedSec: "),
        ({**GOOD, "elapsedSec": float("nan")}, "elapsedSec: "),
        ({**GOOD, "extra": []}, "extra: "),
        ("foreman.v1", "expected an object, got str"),
    ],
)
def test_a_bad_envelope_is_refused_in_one_line(data, said):
    with pytest.raises(BadEnvelope) as caught:
        Result.parse(data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
