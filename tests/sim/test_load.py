"""Scenario files: what is wrong with one is told in a line that names the place, the path and what was expected."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sim import load as loading
from sim import memory
from sim.load import BadScenario, host_names, load, node_names, parse, shipped

SMALL = "fleet: {cpu: {}}\nworkload: {count: 3}\n"


def told(text: str, *sets: str, seed: int | None = None) -> list[str]:
    """The problems of the scenario `text`."""
    with pytest.raises(BadScenario) as caught:
        parse(text, "x.yaml", sets, seed)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def refused(name: str) -> str:
    with pytest.raises(BadScenario) as caught:
        load(name)
    return str(caught.value)


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "two-groups.yaml"
    path.write_text("# a story\n" + SMALL + "seed: 7\n", encoding="utf-8")
    scenario = load(str(path))
    assert (scenario.name, scenario.seed, scenario.fleet["cpu"].count) == ("two-groups", 7, 1)
    assert load(str(path), ["name=other"], seed=9).name == "other"
    assert load(str(path), seed=9).seed == 9


# Files


def test_missing_file_names_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"claim-race": tmp_path / "claim-race.yaml", "cascade": tmp_path / "cascade.yaml"}
    known["claim-race"].write_text(SMALL, encoding="utf-8")
    monkeypatch.setattr(loading, "shipped", lambda: known)
    expected = "no such file, and no scenario of that name: there is claim-race, cascade, did you mean 'claim-race'?"
    assert refused("scenarios/claim_race.yaml") == f"scenarios/claim_race.yaml: {expected}"
    assert refused("zzz").endswith("there is claim-race, cascade")
    assert refused("a\0b").startswith("a b: no such file")
    assert refused("x" * 5000).count("\n") == 0
    assert load("claim-race").name == "claim-race"


def test_a_file_comes_before_a_shipped_scenario_and_that_before_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shipped.yaml").write_text(SMALL, encoding="utf-8")
    monkeypatch.setattr(loading, "shipped", lambda: {"race": tmp_path / "shipped.yaml"})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "race").mkdir()
    assert load("race").name == "shipped"
    (tmp_path / "race").rmdir()
    (tmp_path / "race").write_text(SMALL + "name: mine", encoding="utf-8")
    assert load("race").name == "mine"


def test_shipped_lists_yaml_files_by_name() -> None:
    for name, path in shipped().items():
        assert path == path.parent / f"{name}.yaml"
        assert path.parent.name == "scenarios"


def test_not_a_readable_text(tmp_path: Path) -> None:
    def line(content: bytes) -> str:
        (tmp_path / "x.yaml").write_bytes(content)
        return refused(str(tmp_path / "x.yaml")).removeprefix(str(tmp_path / "x.yaml"))

    assert refused(str(tmp_path)) == f"{tmp_path}: is a directory: expected a file"
    assert line(b"") == ":1: empty: expected a scenario, a mapping with fleet and workload"
    assert line(b"fleet:\n  \xff") == ":2: not UTF-8 text: byte 0xff"
    assert line(SMALL.encode("utf-16")) == ":1: not UTF-8 text: byte 0xff"
    assert line(b"#" * (2**20 + 1)).startswith(": larger than 1 MiB")
    assert refused(str(tmp_path)).startswith(f"{tmp_path}: is a directory: expected a file: there is x.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load(str(tmp_path / "x.yaml")).name == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").touch(0o000)
    assert refused(str(tmp_path / "x.yaml")).endswith("x.yaml: cannot be read: Permission denied")


# YAML

BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{y}: &{y} [{','.join([f'*{x}'] * 10)}]\n" for x, y in pairwise("abcdefgh")
)
MERGE_BOMB = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40))
NOT_YAML = [
    ("# nothing\n", "x.yaml:1: empty: expected a scenario, a mapping with fleet and workload"),
    ("- fleet\n- 1", "x.yaml:1: expected a mapping with fleet and workload at the top, not a list"),
    ("\n\n5", "x.yaml:3: expected a mapping with fleet and workload at the top, not 5"),
    (
        "fleet: [",
        "x.yaml:1: not YAML: column 9: while parsing a flow node, expected the node content, but found '<stream end>'",
    ),
    (
        "fleet:\n\tcpu: {}",
        "x.yaml:2: not YAML: column 1: while scanning for the next token, found character '\\t' that cannot start any token; "
        "indent with spaces, not tabs",
    ),
    (
        "a: 1\n---\nb: 2",
        "x.yaml:2: not YAML: column 1: expected a single document in the stream, but found another document",
    ),
    ("a: 1\nb: *none", "x.yaml:2: not YAML: column 4: found undefined alias 'none'"),
    ("a: 1\nb: \x07", "x.yaml:2: not YAML: the character '\\x07' is not allowed"),
    ("fleet: &f {cpu: *f}", "x.yaml:1: fleet.cpu: an alias stands inside what it stands for"),
    ("fleet: &f\n  <<: *f", "x.yaml:1: fleet: expected '<<' to name another mapping, or a list of them"),
    ("seed: !!python/object:os.system {}", "x.yaml:1: seed: the tag !!python/object:os.system is not supported"),
    ("seed: !!int x", "x.yaml:1: seed: 'x' cannot be read as !!int"),
    ("story: a\n? [b]\n: 1", "x.yaml:2: expected text as a key, not a list or a mapping"),
    ("seed: " + "9" * 5000, "x.yaml:1: seed: '99999999999999999999' cannot be read as !!int"),
    ("[" * 5000, "x.yaml:1: nested too deeply"),
    (BOMB, "more than 500000 values, with its aliases expanded"),
    (MERGE_BOMB, "more than 500000 values, with its aliases expanded"),
]


@pytest.mark.parametrize(("text", "line"), NOT_YAML)
def test_not_yaml(text: str, line: str) -> None:
    (problem,) = told(text)
    assert problem == line or (problem.endswith(line) and not line.startswith("x.yaml"))


def test_what_yaml_lets_pass_is_refused() -> None:
    text = "fleet:\n  cpu: {count: 2}\n  cpu: {count: 3}\nseed: .nan\nuntil: -.inf\nexecutor: {errors: 1e999}\n"
    assert told(text) == [
        "x.yaml:3: fleet.cpu: key 'cpu' is given twice, first at x.yaml:2",
        "x.yaml:4: seed: expected a finite number, not .nan",
        "x.yaml:5: until: expected a finite number, not -.inf",
        "x.yaml:6: executor.errors: expected a finite number, not 1e999",
    ]


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = "fleet: {1: {labels: {a: no, b: 2026-01-01, c: 1:30, d: '5'}}}\nworkload: {count: 1_000}\nexecutor: {errors: 5e-1}\n"
    scenario = parse(text, "x.yaml")
    assert scenario.fleet["1"].labels == {"a": "no", "b": "2026-01-01", "c": "1:30", "d": "5"}
    assert scenario.workload is not None
    assert (scenario.workload.count, scenario.executor.errors) == (1000, 0.5)


def test_anchors_and_merges() -> None:
    text = "fleet:\n  a: &a {count: 2, slots: 3}\n  b: {<<: *a, count: 5}\n  c: *a\nworkload: {count: 1}\n"
    scenario = parse(text, "x.yaml", ["fleet.c.slots=1"])
    assert [(group.count, group.slots) for group in scenario.fleet.values()] == [(2, 3), (5, 3), (2, 1)]


# Keys and values

SLIPS = [
    ("fleet: {cpu: {slots: 2,\n  cuont: 3}}", "2: fleet.cpu.cuont: unknown key 'cuont': expected count, slots, ", "'count'?"),
    ("polcy: x\nfleet: {cpu: {}}", "1: polcy: unknown key 'polcy': expected ", ", did you mean 'policy'?"),
    ("policy: first-fitt\n" + SMALL, "1: policy: unknown policy 'first-fitt': expected best-fit, ", "mean 'first-fit'?"),
    ("fleet: {g: {accelerator: cuba}}", "1: fleet.g.accelerator: unknown accelerator 'cuba': expected ", "mean 'cuda'?"),
    ("fleet: {g: {count: -1}}", "1: fleet.g.count: expected a whole number from 1 to 1000000, not -1", ""),
    ("fleet: {g: {count: true}}", "1: fleet.g.count: expected a whole number from 1 to 1000000, not true", ""),
    ("fleet: {g: {count: '3'}}", "1: fleet.g.count: expected a whole number from 1 to 1000000, not '3'", ""),
    ("fleet: {g: {labels: {a: 1}}}", "1: fleet.g.labels.a: expected text, not 1: put it in quotes", ""),
    ("fleet: {g: {models: llama}}", "1: fleet.g.models: expected a list, not 'llama'", ""),
    ("fleet: {}", "1: fleet: expected at least one group of nodes", ""),
    ("fleet:\n", "1: fleet: expected a mapping, not nothing", ""),
    ("workload: {count: 1}", "1: key 'fleet' is missing: expected name, ", ""),
    ("fleet: {g: {}}\nworkload:\n  name: a", "2: workload: key 'count' is missing: expected count, ", ""),
    (SMALL + "faults:\n- at: 1s\n  fault: crash\n  host: cpu-0\n- fault: crash", "7: faults.1: key 'at' is missing: ", ""),
    (SMALL + "faults: [{at: 1s, fault: crush}]", "3: faults.0.fault: unknown fault 'crush': expected ", "mean 'crash'?"),
    (SMALL + "faults: [{at: 1s, fault: slow, host: cpu-0}]", "3: faults.0: fault slow does nothing without by", ""),
    (SMALL + "faults: [{at: 1s, fault: loss, host: cpu-0}]", "3: faults.0: fault loss does nothing without rate", ""),
    (SMALL + "until: 5x", "3: until: '5x' is not a duration: write ", ""),
    (SMALL + "executor: {errors: true}", "3: executor.errors: expected a number, not true", ""),
    (SMALL + "executor: {errors: '0.5'}", "3: executor.errors: expected a number, not '0.5'", ""),
    (SMALL + "executor: {errors: 1.5}", "3: executor.errors: expected at most 1.0, not 1.5", ""),
    (SMALL + "executor:\n  verdicts:\n    GOO: 1", "5: executor.verdicts.GOO: unknown verdict 'GOO': expected GO, ", "'GO'?"),
    (SMALL + "operators: {audit: yes}", "3: operators.audit: expected true or false, not 'yes'", ""),
    (SMALL + "agents:\n  a:\n    requires:\n      minRAMgb: 3", "6: agents.a.requires.minRAMgb: unknown key ", "'minRAMGB'?"),
    (SMALL + "agents: {a: {requires: {minRAMGB: -3}}}", "3: agents.a.requires.minRAMGB: expected at least 0, not -3", ""),
    (SMALL + "mutations: [no-slots]", "3: mutations: unknown mutation 'no-slots': expected ", ""),
    ("fleet: {g: {}}\nworkload: {count: 1,\n shape: {\n chian: {}}}", "4: workload.shape.chian: unknown shape ", "'chain'?"),
    ("fleet: {g: {}}\nworkload: {count: 1,\n shape: {chain: {\n len: 2}}}", "4: workload.shape.chain.len: unknown key ", ""),
    (SMALL + "network: 5", "3: network: expected latency, watch or loss in a mapping, not 5", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "start", "end"), SLIPS)
def test_a_slip_is_told_in_one_line(text: str, start: str, end: str) -> None:
    (problem,) = told(text)
    assert problem.startswith(f"x.yaml:{start}")
    assert problem.endswith(end)


def test_all_slips_are_told_in_the_order_of_the_file() -> None:
    text = "polcy: x\nworkload:\n  count: -1\n  ttl: x\n  nmae: x\nfleet:\n  cpu: {slots: 0, slot: 1}\n"
    starts = [re.match(r"x.yaml:(\d): ([a-zA-Z.]+)", each) for each in told(text)]
    assert [each.groups() for each in starts if each] == [
        ("1", "polcy"),
        ("3", "workload.count"),
        ("4", "workload.ttl"),
        ("5", "workload.nmae"),
        ("7", "fleet.cpu.slots"),
        ("7", "fleet.cpu.slot"),
    ]


# --set


def test_set_changes_makes_and_grows() -> None:
    text = SMALL + "faults:\n- {at: 1s, fault: crash, host: cpu-0}\n"
    sets = ["workload.count=50_000", "fleet.gpu.count=3", "policy=best-fit", "faults.0.at=5s", "network.loss=0.5"]
    sets += ["mutations=[no-slot-admission]", "story=a=b", "fleet.gpu.labels.kubernetes\\.io/os=linux"]
    sets += ["faults.1={at: 2s, fault: compact}"]
    scenario = parse(text, "x.yaml", sets)
    assert scenario.workload is not None
    assert (scenario.workload.count, scenario.fleet["gpu"].count, scenario.policy) == (50_000, 3, "best-fit")
    assert ([fault.at for fault in scenario.faults], scenario.network.loss) == ([5_000_000, 2_000_000], 0.5)
    assert (scenario.mutations, scenario.story) == (("no-slot-admission",), "a=b")
    assert scenario.fleet["gpu"].labels == {"kubernetes.io/os": "linux"}
    assert parse("", "x.yaml", ["fleet.cpu.count=2", "workload.count=1"]).fleet["cpu"].count == 2


BAD_SETS = [
    ("seed", "no '=': expected path.to.field=value, e.g. --set fleet.gpu.count=3"),
    ("=5", "nothing before '=': expected path.to.field=value, e.g. --set fleet.gpu.count=3"),
    ("fleet..count=5", "the path 'fleet..count' has an empty part: expected path.to.field=value, "),
    ("seed=[", "not YAML: column 2: while parsing a flow node, expected the node content, "),
    ("seed=.nan", "expected a finite number, not .nan"),
    ("seed={a: 1, a: 2}", "a: key 'a' is given twice"),
    ("seed=x", "seed: expected a whole number from 0 to 9223372036854775807, not 'x'"),
    ("seed=", "seed: expected a whole number from 0 to 9223372036854775807, not nothing"),
    ("workload.cuont=5", "workload.cuont: unknown key 'cuont': expected count, "),
    ("workload.count.x=5", "workload.count is '3', which has nothing inside: set workload.count itself"),
    ("faults.1.at=5s", "faults.1: key 'fault' is missing"),
    ("faults.2.at=5s", "faults is a list: expected a number from 0 to 1, not '2'"),
    ("faults.x=5s", "faults is a list: expected a number from 0 to 1, not 'x'"),
    ("faults.0.host=gpu-*", "faults.0.host: there is no host 'gpu-*': expected cpu-0, operator-0, user"),
    (
        "fleet.operator.count=1",
        "fleet.operator: its nodes would be named like the hosts operator-0 ...: choose another name",
    ),
]


@pytest.mark.parametrize(("item", "line"), BAD_SETS)
def test_what_is_wrong_with_a_set_names_the_set(item: str, line: str) -> None:
    (problem,) = told(SMALL + "faults:\n- {at: 1s, fault: crash, host: cpu-0}\n", item)
    assert problem.startswith(f"--set {item}: {line}")


def test_all_bad_sets_are_told_and_so_is_a_bad_seed() -> None:
    assert [each.split(": ")[0] for each in told(SMALL, "a", "=b")] == ["--set a", "--set =b"]
    assert told(SMALL, seed=-1)[0].startswith("--seed -1: seed: expected a whole number from 0")


# Sense


def explicit(tasks: str, more: str = "") -> str:
    return f"fleet: {{cpu: {{count: 12}}}}\n{more}\ntasks:\n{tasks}"


def spec(*depends_on: str, more: str = "") -> str:
    return f"{{spec: {{kind: freeform, payload: {{}}, dependsOn: [{', '.join(depends_on)}]{more}}}}}"


def test_specs_are_checked_as_an_api_server_does() -> None:
    tasks = "  a: {spec: {kind: fix,\n    payload: {issue: -1}}}\n  b: {spec: {kind: verify}}\n"
    tasks += "  c: {spec: {kind: verify, payload: {},\n    dependOn: [a], requiredCapability: {minRamGB: 1}}}\n"
    problems = told(explicit(tasks))
    starts = [
        '4: tasks.a.spec.kind: Unsupported value: "fix": supported values: "issue-fix", ',
        "5: tasks.a.spec.payload.issue: Invalid value: -1: ",
        "6: tasks.b.spec.payload: Required value",
        "8: tasks.c.spec.dependOn: unknown field 'dependOn': expected kind, ",
        "8: tasks.c.spec.requiredCapability.minRamGB: unknown field 'minRamGB': expected minRAMGB, ",
    ]
    assert len(problems) == len(starts)
    for problem, start in zip(problems, starts, strict=True):
        assert problem.startswith(f"x.yaml:{start}")


def test_cycles_are_spelled_out_unless_allowed() -> None:
    tasks = f"  z: {spec('c')}\n  c: {spec('a')}\n  b: {spec('c')}\n  a: {spec('z', 'b')}\n"
    (problem,) = told(explicit(tasks))
    assert re.fullmatch(
        r"x.yaml:7: tasks.a.spec.dependsOn: tasks wait for each other: a -> (z|b) -> c -> a; .*", problem
    )
    assert "tasks wait for each other: a -> a;" in told(explicit(f"  a: {spec('a')}\n"))[0]
    assert set(parse(explicit(tasks, "allowCycles: true"), "x.yaml").tasks) == set("abcz")


def test_what_is_referred_to_exists_unless_allowed() -> None:
    more = "workload: {count: 11, name: w, mix: {any: {agent: codr}}}\nagents: {coder: {}}"
    tasks = f"  a: {spec('w-03', 'w-3', 'w-11', more=', agentRef: {name: reviewer}')}\n"
    tasks += f"  second: {{namespace: other, {spec('a')[1:]}\n"
    allow = "; with allowMissing: true it may be missing"
    assert told(explicit(tasks, more)) == [
        f"x.yaml:2: workload.mix.any.agent: there is no agent 'codr': expected coder, did you mean 'coder'?{allow}",
        f"x.yaml:5: tasks.a.spec.dependsOn.1: there is no task 'w-3' in namespace 'default': expected a{allow}",
        f"x.yaml:5: tasks.a.spec.dependsOn.2: there is no task 'w-11' in namespace 'default': expected a{allow}",
        f"x.yaml:5: tasks.a.spec.agentRef.name: there is no agent 'reviewer': expected coder{allow}",
        f"x.yaml:6: tasks.second.spec.dependsOn.0: there is no task 'a' in namespace 'other': expected second{allow}",
    ]
    assert parse(explicit(tasks, more + "\nallowMissing: true"), "x.yaml").name == "x"


STRIKES = [
    ("crash", "cpu-3", False),
    ("crash", "cpu-03", True),
    ("crash", "cpu-*", True),
    ("crash", "cpu-12", False),
    ("crash", "twin-0.1", True),
    ("crash", "twin-0.2", False),
    ("freeze", "operator-1", True),
    ("freeze", "operator-2", False),
    ("partition", "user", True),
    ("partition", "apiserver-0", False),
    ("replica-lag, by: 1s", "apiserver-1", True),
    ("replica-lag, by: 1s", "apiserver-2", False),
    ("delete-node", "cpu-00", True),
    ("delete-node", "user", False),
    ("delete-task", "alone", True),
    ("delete-task", "w-07", True),
    ("delete-task", "w-7", False),
    ("delete-task", "w-*", True),
    ("delete-task", "*-07", True),
    ("delete-task", "x*", False),
    ("delete-task", "cpu-00", False),
]


@pytest.mark.parametrize(("fault", "host", "hits"), STRIKES)
def test_a_fault_strikes_something(fault: str, host: str, hits: bool) -> None:
    more = "workload: {count: 11, name: w}\noperators: {replicas: 2}\napiserver: {replicas: 2}\n"
    more += f"faults: [{{at: 1s, fault: {fault}, host: {host!r}}}]"
    text = explicit(f"  alone: {spec()}\n", more).replace("12}}", "12}, twin: {twins: 2}}")
    if hits:
        assert parse(text, "x.yaml").faults
    else:
        assert told(text)[0].startswith("x.yaml:5: faults.0.host: there is no ")


NONSENSE = [
    ("fleet: {cpu: {}}", "1: nothing to do: expected a workload, e.g. workload: {count: 10}, or tasks"),
    ("fleet: {Cpu: {}}\nworkload: {count: 1}", "1: fleet.Cpu: 'Cpu' is not a name: expected a-z, 0-9 and '-', "),
    (
        f"fleet: {{{'c' * 62}: {{}}}}\nworkload: {{count: 1}}",
        f"1: fleet.{'c' * 62}: the name '{'c' * 62}-0' is too long",
    ),
    ("fleet: {cpu: {}}\nworkload: {count: 1, name: a_b}", "2: workload.name: 'a_b' is not a name"),
    ("fleet: {cpu: {}}\nworkload: {count: 1, namespace: ''}", "2: workload.namespace: '' is not a name"),
    (SMALL + f"tasks: {{Task: {spec()}}}", "3: tasks.Task: 'Task' is not a name"),
    (SMALL + f"tasks: {{task-2: {spec()}}}", "3: tasks.task-2: the workload makes a task 'task-2' too"),
    (
        "fleet: {apiserver: {}}\nworkload: {count: 1}",
        "1: fleet.apiserver: its nodes would be named like the hosts apiserver-0",
    ),
    (
        SMALL + "apiserver: {replicas: 3, lag: [1s, 2s]}",
        "3: apiserver.lag: expected 1 value or 3, one for each replica, not 2",
    ),
    (SMALL + "apiserver: {lag: [1s, 2s]}", "3: apiserver.lag: expected 1 value not 2"),
    (
        SMALL + "expect:\n  tasks.suceeded: 3",
        "4: expect.tasks.suceeded: unknown result 'tasks.suceeded': expected api_calls, ",
    ),
    (
        SMALL + "expect: {conflicts: => 3}",
        "3: expect.conflicts: expected a value or a comparison such as '>= 3', not '=> 3'",
    ),
    (SMALL + "expect: {violates: one-holdr}", "3: expect.violates: unknown invariant 'one-holdr': expected "),
]


@pytest.mark.parametrize(("text", "line"), NONSENSE)
def test_nonsense_is_refused(text: str, line: str) -> None:
    (problem,) = told(text)
    assert problem.startswith(f"x.yaml:{line}")


def test_expectations_that_make_sense() -> None:
    expect = "{tasks.succeeded: 3, verdicts.GO: '>= 2', violates: [one-holder, no-leak], verdicts: {GO: 3}}"
    assert len(parse(SMALL + f"expect: {expect}", "x.yaml").expect) == 4


def test_more_than_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 20 * 2**30)
    tasks = "workload.count: 1000000000 tasks need about 5.6 TiB, this machine has 20 GiB free; lower workload.count"
    assert told(SMALL, "workload.count=1000000000") == [f"--set workload.count=1000000000: {tasks} or set workload.ttl"]
    (problem,) = told("fleet: {cpu: {}}\nworkload:\n  ttl: 1m\n  count: 1000000000\n")
    assert problem == f"x.yaml:4: {tasks}".replace("5.6 TiB", "59.6 GiB")
    (problem,) = told("fleet: {cpu: {count: 1000000}}\nworkload: {count: 10}")
    assert (
        problem == "x.yaml:1: fleet: 1000000 nodes need about 38.1 GiB, this machine has 20 GiB free; lower the counts"
    )
    assert parse(SMALL, "x.yaml", ["workload.count=1000000"]).name == "x"


def test_available_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.available() > 2**20
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: "MemTotal: 9 kB\nMemAvailable:   1024 kB\n")
    assert memory.available() == 2**20
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: "")
    assert memory.available() == 8 * 2**30


def test_names() -> None:
    assert node_names("gpu", 10)[-1] == "gpu-9"
    assert node_names("gpu", 11)[:2] == ["gpu-00", "gpu-01"]
    scenario = parse(
        "fleet: {a: {count: 2, twins: 2}, b: {}}\nworkload: {count: 1}\noperators: {replicas: 2}", "x.yaml"
    )
    assert host_names(scenario) == ["operator-0", "operator-1", "a-0", "a-0.1", "a-1", "a-1.1", "b-0", "user"]


# Whatever is in a file, it is read or refused in lines that name it

RICH: dict[str, Any] = {
    "fleet": {"cpu": {"count": 2, "labels": {"a": "b"}}, "gpu": {"accelerator": "cuda", "models": ["m"]}},
    "agents": {"coder": {"requires": {"minRAMGB": 1}}},
    "workload": {
        "count": 5,
        "arrivals": {"poisson": "5/s"},
        "shape": {"chain": {"length": 2}},
        "mix": {"x": {"weight": 2, "agent": "coder", "executor": {"duration": {"uniform": ["1s", "2s"]}}}},
    },
    "tasks": {
        "a": {"spec": {"kind": "verify", "payload": {"slices": [{"name": "s"}]}, "dependsOn": ["b"]}},
        "b": {"spec": {"kind": "verify", "payload": {}}},
    },
    "network": {"latency": {"choices": {"1ms": 2}}},
    "faults": [{"at": "1s", "fault": "crash", "host": "cpu-*", "for": "2s"}],
    "expect": {"tasks.succeeded": ">= 1"},
}  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for key, each in items for found in paths(each, (*path, key)))]


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)
    return copy


def read_or_refused(text: str) -> None:
    problems = ["x.yaml:1: never shown"]
    try:
        parse(text, "x.yaml")
    except BadScenario as error:
        problems = error.problems
    assert problems
    assert all(re.match(r"x\.yaml:\d+: [^\n]+$", each) for each in problems)


def test_the_rich_scenario_is_good() -> None:
    assert parse(yaml.safe_dump(RICH), "x.yaml").name == "x"


@given(st.sampled_from(paths(RICH)[1:]), JUNK)
def test_junk_anywhere_is_refused_in_lines(path: tuple[Any, ...], junk: Any) -> None:
    read_or_refused(yaml.safe_dump(replaced(RICH, path, junk), allow_unicode=True))


@given(st.text(alphabet="ab:-[]{}&*<!|>'\"#?, \n\t\\0.~%@`é\x00", max_size=40))
def test_any_text_is_refused_in_lines(text: str) -> None:
    read_or_refused(text)
