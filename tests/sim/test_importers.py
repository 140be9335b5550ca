"""Public traces as scenarios: what becomes of each field, what is said to be lost, what is refused, and that it runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_kit import cli, one_line

from sim.importers import azure, jsonl, openb, swf
from sim.importers.crowding import factor_for, packed, peaks
from sim.importers.lines import BadTrace
from sim.load import BadScenario, parse
from sim.scenario import Scenario
from sim.schedule import Drawn
from sim.workload import arrivals
from sim.world import World

NODES = """sn,cpu_milli,memory_mib,gpu,model
n-0,32000,262144,0,
n-1,64000,262144,2,P100
n-2,64000,262144,2,P100
n-3,96000,393216,8,V100M32
"""
TASKS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p-0,12000,16384,1,1000,,LS,Running,1000,1600,1010
p-1,6000,12288,1,460,V100M16|V100M32,LS,Running,1500,1800,1500
p-2,6000,10240,4,1000,P100,LS,Succeeded,1200,1230,
p-3,6000,1024,0,0,,BE,Failed,1300,1300,1300
"""
SWF = """; Version: 2.2
; MaxNodes: 4
; MaxProcs: 8
1 0 5 60 2 -1 1048577 2 100 -1 1 1 1 -1 1 -1 -1 -1
2 10 -1 -1 1 -1 -1 1 100 -1 5 1 1 -1 1 -1 -1 -1
3 20 0 30 -1 -1 -1 1 100 -1 1 1 1 -1 1 -1 -1 -1
"""
AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
"""
JSONL = """{"at": "5s", "duration": "10s", "priority": 3}
{"at": 1.5, "tokens": [100, 20], "class": "chat"}
"""


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def made(found, source: str = "trace") -> Scenario:
    return parse(found.text(source), "made.yaml")


def created(scenario: Scenario) -> list[tuple[float, float, str]]:
    """(seconds, seconds, class) of each task, in the order in which the user creates them."""
    return [
        (each.at / 1e6, each.plan.duration / 1e6, work.of)
        for each, work in zip(arrivals(scenario, 0, Drawn(0)), scenario.workload.listed, strict=True)
    ]


# openb


@pytest.fixture
def cluster(tmp_path: Path) -> tuple[Path, Path]:
    return put(tmp_path, "nodes.csv", NODES), put(tmp_path, "tasks.csv", TASKS)


def test_openb_gpus_are_slots_models_labels_and_memory_ram(cluster) -> None:
    fleet = made(openb.read(*cluster, None)).fleet
    assert [(name, each.count, each.slots, each.ram_gb, each.accelerator) for name, each in fleet.items()] == [
        ("cpu-x4-256g", 1, 4, 256, "none"),
        ("p100-x2-256g", 2, 2, 256, "cuda"),
        ("v100m32-x8-384g", 1, 8, 384, "cuda"),
    ]
    assert fleet["p100-x2-256g"].labels == {"gpu": "P100"}
    assert fleet["v100m32-x8-384g"].labels == {"gpu": "V100M32", "gpu-in.V100M16-V100M32": "yes"}


def test_openb_tasks_come_and_last_as_listed_and_gpus_become_tasks(cluster) -> None:
    scenario = made(openb.read(*cluster, None))
    assert created(scenario) == [
        (0, 590, "gpu-0"),
        *[(200, 30, "gpu-2")] * 4,
        (300, 1, "cpu-3"),
        (500, 300, "gpu-1"),
    ]
    wants = {name: each.requires for name, each in scenario.workload.mix.items()}
    assert (wants["gpu-2"].min_ram_gb, dict(wants["gpu-2"].node_selector)) == (3, {"gpu": "P100"})
    assert dict(wants["gpu-1"].node_selector) == {"gpu-in.V100M16-V100M32": "yes"}


def test_openb_says_what_it_loses_with_counts(cluster) -> None:
    told = "\n".join(openb.read(*cluster, None).told())
    for line in (
        "7 tasks in 4 classes, 4 nodes with 16 slots",
        "1 x tasks with a share of a GPU: they take all of it, 1 GPUs for 0.5 asked for",
        "1 x tasks with several GPUs, split",
        "1 x tasks that were never scheduled",
        "1 x tasks that took no time",
        "1 x nodes without GPU",
    ):
        assert line in told


def test_openb_runs(cluster) -> None:
    world = World(made(openb.read(*cluster, None))).run()
    assert world.stats.phases["Succeeded"] == 7
    assert not world.checkers.violations


@pytest.mark.skipif("FOREMAN_OPENB" not in os.environ, reason="FOREMAN_OPENB names no folder with the openb traces")
@pytest.mark.parametrize("policy", ["first-fit", "least-loaded", "best-fit", "spread", "random"])
def test_the_whole_of_openb_runs_under_each_policy(policy: str) -> None:
    folder = Path(os.environ["FOREMAN_OPENB"])
    found = openb.read(folder / "openb_node_list_all_node.csv", folder / "openb_pod_list_default.csv", None)
    scenario = parse(found.sped_up(10_000).text("openb"), "openb.yaml", [f"policy={policy}"])
    world = World(scenario).run()
    assert world.stats.phases["Succeeded"] == world.total == 8521
    assert not world.checkers.violations


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", "", "empty: expected a trace"),
        ("a,b\n1,2\n", ":1", "not a list of openb tasks: no column name, cpu_milli"),
        (TASKS + "p-4,6000,10", ":6", "3 fields: expected 11; is the file truncated?"),
        (TASKS.replace("1500,1800", "-5,1800"), ":3", "creation_time: expected seconds >= 0, not -5"),
        (
            TASKS.replace("1500,1800", "1700000000000,1800"),
            ":3",
            "creation_time: 1700000000000 looks like milliseconds",
        ),
        (TASKS.replace("1000,1600", "1000,999999999"), ":2", "is more than ten years"),
        (TASKS.replace("1500,1800", "1500,1400"), ":3", "deletion_time: before creation_time"),
        (TASKS.replace("16384,1", "16384,one"), ":2", "num_gpu: expected a whole number >= 0, not 'one'"),
        (TASKS.splitlines()[0] + "\n", "", "no task in it"),
    ],
)
def test_openb_refuses_in_one_line(tmp_path: Path, text: str, line: str, told: str) -> None:
    nodes, tasks = put(tmp_path, "nodes.csv", NODES), put(tmp_path, "tasks.csv", text)
    refused = one_line(cli("sim", "import", "openb", str(nodes), str(tasks), "-o", str(tmp_path / "out.yaml")))
    assert told in refused
    assert f"tasks.csv{line}" in refused
    assert not (tmp_path / "out.yaml").exists()


# the others


def test_swf_processors_are_slots(tmp_path: Path) -> None:
    found = swf.read(put(tmp_path, "log.swf", SWF), None)
    scenario = made(found)
    assert {name: (each.count, each.slots, each.ram_gb) for name, each in scenario.fleet.items()} == {"node": (4, 2, 4)}
    assert created(scenario) == [(0, 60, "job-0")] * 2 + [(20, 30, "job-1")]
    assert scenario.workload.mix["job-0"].requires.min_ram_gb == 2
    assert found.losses["jobs that never ran, left out"] == 1
    assert World(scenario).run().stats.phases["Succeeded"] == 3


def test_azure_requests_are_counted_in_tokens(tmp_path: Path) -> None:
    scenario = made(azure.read(put(tmp_path, "llm.csv", AZURE), None, 2))
    assert [(work.at, work.tokens) for work in scenario.workload.listed] == [(0, (4808, 10)), (52_000, (3180, 8))]
    world = World(scenario).run()
    assert world.stats.phases["Succeeded"] == 2


def test_jsonl_is_read_as_a_scenario_writes(tmp_path: Path) -> None:
    scenario = made(jsonl.read(put(tmp_path, "tasks.jsonl", JSONL), None, 2, 1))
    assert [(work.at, work.duration, work.tokens, work.of) for work in scenario.workload.listed] == [
        (0, 0, (100, 20), "chat-1"),
        (3_500_000, 10_000_000, None, "task-0"),
    ]
    assert scenario.workload.mix["task-0"].priority == 3


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (lambda path: swf.read(path, None), "1 2 3\n", "1: 3 fields: expected the 18"),
        (lambda path: swf.read(path, None), SWF.replace("; Max", "; Few"), "expected how large the machine was"),
        (lambda path: swf.read(path, None), SWF.replace("3 20 0 30", "3 20 0 -30"), "6: run: expected seconds >= 0"),
        (
            lambda path: azure.read(path, None, 1),
            AZURE.replace("2023-11-16 18:17:04", "noon"),
            "3: TIMESTAMP: expected",
        ),
        (lambda path: azure.read(path, None, 1), AZURE.replace("4808", "-3"), "2: ContextTokens: expected a whole"),
        (lambda path: azure.read(path, None, 1), NODES, "1: not a trace of LLM requests"),
        (lambda path: jsonl.read(path, None, 1, 1), JSONL[:-20], "2: not JSON"),
        (lambda path: jsonl.read(path, None, 1, 1), '{"at": 1}\n', "1: expected either duration or tokens"),
        (lambda path: jsonl.read(path, None, 1, 1), '{"durration": 1}\n', "did you mean 'duration'"),
        (lambda path: jsonl.read(path, None, 1, 1), '{"duration": -1}\n', "1: duration: a duration cannot be negative"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, read, text: str, told: str) -> None:
    with pytest.raises(BadTrace) as refused:
        read(put(tmp_path, "trace", text)).text("trace")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "trace.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in one_line(cli("sim", "import", "jsonl", str(path), "-o", str(tmp_path / "out.yaml")))


def test_limit_and_speed_up(tmp_path: Path) -> None:
    path, out = (
        put(tmp_path, "tasks.jsonl", '{"at": 10, "duration": 60}\n{"at": 40, "duration": 60}\n{"duration": 1}\n'),
        tmp_path / "s.yaml",
    )
    done = cli("sim", "import", "jsonl", str(path), "-o", str(out), "--limit", "2", "--speed-up", "10")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 x tasks left out (--limit)" in done.stdout
    assert created(parse(out.read_text(encoding="utf-8"), "s.yaml")) == [(0, 6, "task-0"), (3, 6, "task-0")]
    assert cli("sim", "run", str(out), "--quiet").returncode == 0


# the list in a scenario


LISTED = "fleet: {n: {}}\nworkload:\n  mix: {a: {}, b: {}}\n  listed: |\n    1s 2s a\n    3s 4+5 b\n"


def test_a_list_is_written_as_it_is_read() -> None:
    scenario = parse(LISTED, "x.yaml")
    assert scenario.workload.count == 2
    assert Scenario.model_validate(scenario.model_dump(mode="json", by_alias=True, exclude_defaults=True)) == scenario


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LISTED.replace("3s", "0s"), "its line 2 comes before the one above"),
        (LISTED.replace("2s a", "2s"), "its line 1 has 2 words"),
        (LISTED.replace("4+5", "4+x"), "its line 2: expected tokens read and written"),
        (LISTED.replace("5 b", "5 c"), "listed names a class 'c'"),
        (LISTED.replace("  mix", "  count: 3\n  mix"), "expected count to be at most 2"),
        (LISTED.replace("  mix", "  arrivals: batch\n  mix"), "leave arrivals out"),
        (LISTED.replace("|\n    1s 2s a\n    3s 4+5 b", "[1]"), "expected a line for each task"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadScenario) as refused:
        parse(text, "x.yaml")
    assert told in str(refused.value)


def test_a_long_list_is_read_at_once() -> None:
    lines = "".join(f"    {number}s 10s a\n" for number in range(8000))
    scenario = parse(f"fleet: {{n: {{}}}}\nworkload:\n  mix: {{a: {{}}}}\n  listed: |\n{lines}", "x.yaml")
    assert scenario.workload.listed[-1].at == 7999 * 10**6


# closer arrivals


CLOSER = (
    '{"at": 0, "duration": 60}\n{"at": 100, "duration": 60}\n{"at": 200, "duration": 60}\n{"at": 300, "duration": 60}\n'
)
"""With two slots: each task is alone as recorded, and two, three, all four overlap when they come close enough."""


def test_packed_tasks_come_sooner_and_last_as_long(tmp_path: Path) -> None:
    found = packed(jsonl.read(put(tmp_path, "t.jsonl", CLOSER), None, 2, 1), 10)
    assert created(made(found)) == [(0, 60, "task-0"), (10, 60, "task-0"), (20, 60, "task-0"), (30, 60, "task-0")]
    (told,) = [each for each in found.told() if "shorter" in each]
    assert told == (
        "4 x tasks as long as they were, but the gaps between arrivals 10 times shorter: "
        "at the busiest moment they ask for 2 of all slots (recorded: 0.5)"
    )


@pytest.mark.parametrize(("load", "least"), [(0.5, 0), (1.0, 100 / 60), (1.5, 200 / 60), (2.0, 300 / 60)])
def test_a_load_is_reached_by_the_smallest_factor_that_does(tmp_path: Path, load: float, least: float) -> None:
    found = jsonl.read(put(tmp_path, "t.jsonl", CLOSER), None, 2, 1)
    factor = factor_for(found, load)
    assert factor == pytest.approx(least, rel=2e-3, abs=1e-8)
    assert peaks(packed(found, factor * 1.001))["all"] >= load


def test_load_is_of_the_scarcest_slots(cluster) -> None:
    """Six of the seven tasks want one of twelve GPUs; all of them want one of sixteen slots."""
    found = openb.read(*cluster, None)
    assert peaks(packed(found, 1e9)) == {"all": 7 / 16, "cuda": 6 / 12}
    with pytest.raises(BadTrace, match=r"--load 0.6: expected at most 0.5, which is all 7 tasks at once"):
        factor_for(openb.read(*cluster, None), 0.6)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--load", "9"], "--load 9: expected at most 2, which is all 4 tasks at once"),
        (["--load", "0"], "'--load': Input should be greater than or equal to 0.001"),
        (["--load", "nan"], "'--load': Input should be"),
        (["--pack", "-1"], "'--pack': Input should be greater than or equal to 0.000001"),
        (["--pack", "lots"], "'--pack'"),
        (["--pack", "2", "--load", "1"], "--pack and --load both say how close tasks come"),
    ],
)
def test_what_cannot_be_packed_is_refused_in_one_line(tmp_path: Path, flags: list[str], told: str) -> None:
    path, out = put(tmp_path, "t.jsonl", CLOSER), tmp_path / "s.yaml"
    assert told in one_line(cli("sim", "import", "jsonl", str(path), "-o", str(out), "--nodes", "2", *flags))
    assert not out.exists()


def test_tokens_have_no_load(tmp_path: Path) -> None:
    path, out = put(tmp_path, "t.jsonl", JSONL), tmp_path / "s.yaml"
    told = one_line(cli("sim", "import", "jsonl", str(path), "-o", str(out), "--load", "1"))
    assert "--load: how long a run takes that is counted in tokens is not known before: expected --pack FACTOR" in told
    done = cli("sim", "import", "azure-llm", str(put(tmp_path, "llm.csv", AZURE)), "-o", str(out), "--pack", "2")
    assert [work.at for work in parse(out.read_text(encoding="utf-8"), "s.yaml").workload.listed] == [0, 26_000]
    assert "2 x tasks as long as they were, but the gaps between arrivals 2 times shorter" in done.stdout
