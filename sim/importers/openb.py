"""openb, the traces of Alibaba's GPU cluster ("Beware of Fragmentation", USENIX ATC'23): CSVs of nodes and of tasks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sim.importers.imported import Imported
from sim.importers.lines import Line, rows
from sim.listed import Work

NODES = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
TASKS = (
    *("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"),
    *("creation_time", "deletion_time", "scheduled_time"),
)
CORES_A_SLOT = 8
SLOTS_MAX = 100
GPU_MILLI = 1000
MIB_A_GIB = 1024


def read(nodes: Path, tasks: Path, limit: int | None) -> Imported:
    """A GPU is a slot; its model a label; memory is RAM. Raises BadTrace."""
    found = Imported(_word(tasks.stem), "A production GPU cluster as published (openb), task by task.")
    specs: set[str] = set()
    shares: list[int] = []
    for number, line in enumerate(rows(tasks, TASKS, "a list of openb tasks")):
        if limit is not None and number >= limit:
            found.losses["tasks left out (--limit)"] += 1
            continue
        _task(found, line, specs, shares)
    if shares:
        told = f"they take all of it, {len(shares):,} GPUs for {sum(shares) / GPU_MILLI:,.1f} asked for"
        found.losses[f"tasks with a share of a GPU: {told}"] = len(shares)
    several = sorted(spec for spec in specs if "|" in spec)
    for line in rows(nodes, NODES, "a list of openb nodes"):
        _node(found, line, several)
    return found


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[-40:].strip("-") or "trace"


def _node(found: Imported, line: Line, several: list[str]) -> None:
    gpus, ram = line.whole("gpu"), line.whole("memory_mib") // MIB_A_GIB
    model = line.fields["model"].strip()
    cores = line.whole("cpu_milli") // 1000
    slots = gpus or max(cores // CORES_A_SLOT, 1)
    if slots > SLOTS_MAX:
        raise line.bad(f"{slots} slots: expected at most {SLOTS_MAX}")
    name = f"{_word(model or 'gpu')}-x{gpus}-{ram}g" if gpus else f"cpu-x{slots}-{ram}g"
    group = found.fleet.get(name)
    if group is None:
        group = found.fleet[name] = _group(gpus, slots, ram, model, several)
    group["count"] += 1
    if not gpus:
        found.losses[f"nodes without GPU: one slot for every {CORES_A_SLOT} cores"] += 1
    found.losses["nodes whose cores are not counted: slots and RAM alone bound what runs there"] += 1


def _group(gpus: int, slots: int, ram: int, model: str, several: list[str]) -> dict[str, Any]:
    group: dict[str, Any] = {"count": 0, "slots": slots, "ramGB": ram, "accelerator": "cuda" if gpus else "none"}
    labels = {"gpu": model} if model else {}
    # A selector cannot say "one of": a node says itself to which of the choices that occur it belongs.
    labels |= {_choice(spec): "yes" for spec in several if model in spec.split("|")}
    return {**group, "labels": labels} if labels else group


def _choice(spec: str) -> str:
    return "gpu-in." + spec.replace("|", "-")


def _task(found: Imported, line: Line, specs: set[str], shares: list[int]) -> None:
    created = line.seconds("creation_time")
    gpus, ram = line.whole("num_gpu"), -(-line.whole("memory_mib") // MIB_A_GIB)
    spec = line.fields["gpu_spec"].strip()
    parts = max(gpus, 1)
    requires: dict[str, Any] = {"minRAMGB": -(-ram // parts)}
    if gpus:
        requires["accelerator"] = "cuda"
    if spec:
        specs.add(spec)
        requires["nodeSelector"] = {_choice(spec): "yes"} if "|" in spec else {"gpu": spec}
    of = found.classify("gpu" if gpus else "cpu", {"requires": requires})
    found.work += [Work(created, _duration(found, line, created), of)] * parts
    if gpus == 1 and (share := line.whole("gpu_milli", GPU_MILLI)) < GPU_MILLI:
        shares.append(share)
    _losses(found, gpus, ram)


def _duration(found: Imported, line: Line, created: int) -> int:
    begun = created
    if line.fields["scheduled_time"].strip():
        begun = max(line.seconds("scheduled_time"), created)
    else:
        found.losses["tasks that were never scheduled there: they take from creation to deletion"] += 1
    ended = line.seconds("deletion_time")
    if ended < created:
        raise line.bad("deletion_time: before creation_time")
    if ended <= begun:
        found.losses["tasks that took no time: they take 1 s"] += 1
    return line.span(max(ended - begun, 10**6), "deletion_time")


def _losses(found: Imported, gpus: int, ram: int) -> None:
    if gpus > 1:
        found.losses["tasks with several GPUs, split: a task for each, which may run on different nodes"] += 1
    elif not gpus:
        found.losses["tasks without GPU: each takes a slot, of whatever node fits"] += 1
    if gpus > 1 and ram % gpus:
        found.losses["split tasks whose RAM is rounded up for each part"] += 1
