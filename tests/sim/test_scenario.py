"""The schema of scenarios: what the models say, and the JSON Schema that editors use."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from sim.load import BadScenario, parse, shipped
from sim.scenario import Fault, Scenario
from sim.schema import schema
from sim.source import in_file, read

TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
EXAMPLES = [
    "fleet: {cpu: {}}\nworkload: {count: 3}",
    """
story: Operators and agents contend for the same tasks.
seed: 7
policy: least-loaded
until: 90
operators: {replicas: 3, leaderElection: true, restartDelay: 5s}
agent: {heartbeat: 1m}
fleet:
  mac: {count: 3, slots: 2, accelerator: metal, ramGB: 64, contextTokens: 32000, models: [qwen], roles: [worker, reviewer]}
  gpu: {count: 2, accelerator: cuda, labels: {zone: a}, twins: 2}
agents: {coder: {requires: {accelerator: cuda, minRAMGB: 24}, maxConcurrentTasks: 2}}
workload:
  count: 50
  arrivals: {bursts: {size: 5, every: 1m}}
  shape: {random-dag: {max_parents: 2, window: 10}}
  mix:
    fix: {weight: 3, kind: issue-fix, agent: coder, retry: {maxAttempts: 3}, executor: {hangs: 0.5, duration: 1s}}
    slow: {executor: {duration: {lognormal: {median: 10s, p95: 1m}}}}
    any: {priority: -5, timeout: 5m}
executor: {duration: 10s, verdicts: {GO: 0.9, NO-GO: 0.1}, errors: 0.01}
network: {latency: {choices: {1ms: 2, 9ms: 1}}, watch: {uniform: [1ms, 9ms], max: 5ms}, loss: 0.001}
apiserver: {replicas: 2, lag: [0s, 2s], staleLists: true}
faults:
  - {at: 1m, fault: partition, host: gpu-*, direction: out, for: 2m, every: 5m, times: 3}
  - {at: 2m, fault: skew, host: mac-0, by: -2m}
  - {at: 3m, fault: api-outage, for: 10s}
mutations: [no-slot-admission]
expect: {tasks.total: 50, verdicts.GO: ">= 1", violates: slots}
""",
    """
fleet: {cpu: {count: 2}}
workload: {count: 1, arrivals: batch, shape: independent, ttl: 1h30m}
allowCycles: true
tasks:
  a: {at: 5s, spec: {kind: verify, payload: {prompt: look}, dependsOn: [b], requiredCapability: {minRAMGB: 1}}}
  b: {spec: {kind: freeform, payload: {}, dependsOn: [a], timeoutSeconds: 60}}
""",
]
BAD = [
    ("fleet: {cpu: {cuont: 1}}", "fleet.cpu.cuont"),
    ("fleet: {cpu: {count: 0}}", "fleet.cpu.count"),
    ("fleet: {cpu: {}}\npolicy: best", "policy"),
    ("workload: {count: 1}", ""),
    ("fleet: {cpu: {accelerator: cuba}}", "fleet.cpu.accelerator"),
    ("fleet: {cpu: {}}\nmutations: [x]", "mutations.0"),
    ("fleet: {cpu: {}}\nexpect: {x: 1}", "expect.x"),
    ("fleet: {cpu: {}}\nuntil: 5x", "until"),
    ("fleet: {cpu: {}}\nagents: {a: {requires: {x: 1}}}", "agents.a.requires.x"),
    ("fleet: {cpu: {}}\ntasks: {a: {spec: {kind: x, payload: {}}}}", "tasks.a.spec.kind"),
]


def resolved(rule: Any) -> Any:
    while isinstance(rule, dict) and "$ref" in rule:
        rule = SCHEMA["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    return rule


def has_type(value: Any, name: str) -> bool:
    if name in ("integer", "number"):
        return isinstance(value, int if name == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def faults(value: Any, rule: Any, path: str = "") -> list[str]:
    """Where `value` breaks `rule`: as much of JSON Schema as ours is made of."""
    rule = resolved(rule)
    if rule is True or rule is False:
        return [] if rule else [path]
    if "anyOf" in rule:
        inside = [faults(value, each, path) for each in rule["anyOf"]]
        return [] if [] in inside else inside[0]
    types = [rule["type"]] if isinstance(rule.get("type"), str) else rule.get("type", [])
    if types and not any(has_type(value, each) for each in types):
        return [path]
    if "enum" in rule and value not in rule["enum"]:
        return [path]
    if has_type(value, "number") and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
        return [path]
    if isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        return [path]
    if isinstance(value, list):
        return [bad for i, each in enumerate(value) for bad in faults(each, rule.get("items", True), f"{path}.{i}")]
    return of_mapping(value, rule, path) if isinstance(value, dict) else []


def of_mapping(value: dict[str, Any], rule: Any, path: str) -> list[str]:
    known, rest = dict(rule.get("properties", {})), rule.get("additionalProperties", True)
    for pattern, each in rule.get("patternProperties", {}).items():
        known |= {key: each for key in value if re.search(pattern, key)}
    found = [path for key in rule.get("required", ()) if key not in value]
    return found + [bad for key, each in value.items() for bad in faults(each, known.get(key, rest), f"{path}.{key}")]


SCHEMA = schema()


@pytest.mark.parametrize("text", [*EXAMPLES, *(path.read_text(encoding="utf-8") for path in shipped().values())])
def test_good_scenarios_satisfy_the_json_schema(text: str) -> None:
    assert parse(text, "x.yaml").name == "x"
    # As files are read: to YAML 1.1 the key `on` would be true.
    assert faults(read(text, in_file("x.yaml")).data, SCHEMA) == []


@pytest.mark.parametrize(("text", "where"), BAD)
def test_bad_scenarios_break_it(text: str, where: str) -> None:
    assert [each.removeprefix(".") for each in faults(yaml.safe_load(text), SCHEMA)][:1] == [where]


def test_the_json_schema_stands_by_itself() -> None:
    text = json.dumps(SCHEMA, allow_nan=False)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Foreman scenario"
    assert "whole experiment" in SCHEMA["description"]
    assert set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', text)) <= set(SCHEMA["$defs"])
    assert all(
        each.get("description") for name, each in SCHEMA["$defs"].items() if name in ("Fault", "NodeGroup", "Workload")
    )


def test_the_json_schema_shows_defaults_as_files_write_them() -> None:
    assert SCHEMA["properties"]["until"]["default"] == "1h"
    assert SCHEMA["$defs"]["Operators"]["properties"]["restartDelay"]["default"] == "10s"
    defaults = {key: each["default"] for key, each in SCHEMA["properties"].items() if each.get("default") is not None}
    written = Scenario.model_validate({"fleet": {"cpu": {}}, **defaults})
    assert written == Scenario.model_validate({"fleet": {"cpu": {}}})


def test_a_scenario_survives_a_dump() -> None:
    for text in EXAMPLES:
        scenario = parse(text, "x.yaml")
        again = yaml.safe_dump(scenario.model_dump(mode="json", by_alias=True, exclude_none=True))
        assert parse(again, "x.yaml") == scenario


@pytest.mark.parametrize(
    ("written", "us"), [("-2m", -120_000_000), ("90s", 90_000_000), (-2, -2_000_000), (-0.5, -500_000)]
)
def test_a_clock_may_be_behind(written: Any, us: int) -> None:
    assert Fault.model_validate({"at": 0, "fault": "skew", "host": "a", "by": written}).by == us


def test_finished_tasks_are_not_deleted_under_those_that_depend_on_them() -> None:
    text = "{fleet: {n: {count: 1}}, workload: {count: 9, ttl: 10s, shape: {chain: {length: 3}}}}"
    with pytest.raises(BadScenario, match="ttl would delete tasks that others depend on"):
        parse(text, "x.yaml")
