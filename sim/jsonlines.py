"""A trace as JSON lines: an object for each row, in the order in which they happened."""

from __future__ import annotations

from json.encoder import encode_basestring as quoted
from typing import IO

from pydantic_core import to_json

from sim.recording import Batch, Log
from sim.states import Move, Offer, row_of_offer
from sim.trace import MOVED, Row

Line = tuple[int, str]
"""What a row is, after its place in the log."""


class JsonLines:
    """Writes to `raw`, a batch at a time. Keys are in one order, so equal runs give the same bytes."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw = raw

    def put(self, row: Row) -> None:
        self.raw.write(to_json(row) + b"\n")

    def take(self, batch: Batch) -> None:
        lines = _calls(batch.calls) + _deliveries(batch.deliveries) + _executions(batch.executions)
        lines += map(_change, batch.changes)
        lines += [(seq, to_json(row).decode()) for seq, row in batch.notes]
        lines.sort()
        text = "\n".join([line for _, line in lines])
        self.raw.write(text.encode(errors="backslashreplace") + b"\n")


def _calls(log: Log) -> list[Line]:
    lines = []
    for seq, t, actor, verb, kind, key, read, version, outcome, detail, saw in zip(*log, strict=True):
        told = f',"key":{quoted(key)}' if key is not None else ""
        if read:
            told += f',"read":{quoted(read)}'
        if version:
            told += f',"version":"{version}"'
        more = f',"detail":{quoted(detail)}' if detail else ""
        if saw:
            more += f',"saw":{saw}'
        line = f'{{"t":{t},"actor":{quoted(actor)},"what":"{verb}","kind":"{kind}"{told},"outcome":"{outcome}"{more}}}'
        lines.append((seq, line))
    return lines


def _deliveries(log: Log) -> list[Line]:
    return [
        (
            seq,
            f'{{"t":{t},"actor":{quoted(actor)},"what":"event","kind":"{kind}","key":{quoted(key)},"version":"{version}",'
            f'"detail":"{event}"}}',
        )
        for seq, t, actor, event, kind, key, version in zip(*log, strict=True)
    ]


def _executions(log: Log) -> list[Line]:
    lines = []
    for seq, t, actor, task, attempt, event in zip(*log, strict=True):
        what, how = ("execute", "") if event == "started" else ("executed", f" {event}")
        about = f'"what":"{what}","key":{quoted(task)},"detail":"attempt {attempt}{how}"'
        lines.append((seq, f'{{"t":{t},"actor":{quoted(actor)},{about}}}'))
    return lines


def _change(change: Move | Offer) -> Line:
    if isinstance(change, Offer):
        return change.seq, to_json(row_of_offer(change)).decode()
    seq, t, task, actor, was, phase, attempt, node, holder, verdict, reason, version, facts = change
    told = f',"was":"{was}"' if was else ""
    if attempt and node is not None and holder is not None:
        told += f',"attempt":{attempt},"node":{quoted(node)},"holder":{quoted(holder)}'
    if verdict:
        told += f',"verdict":"{verdict}"'
    if reason:
        told += f',"reason":{quoted(reason)}'
    if facts:
        told += _facts(*facts)
    about = f'"what":"{MOVED}","key":{quoted(task)},"version":"{version}","phase":"{phase}"'
    return seq, f'{{"t":{t},"actor":{quoted(actor)},{about}{told}}}'


def _facts(
    name: str, workload: str | None, priority: int, accelerator: str, ram_gb: int, depends_on: str | None
) -> str:
    told = f',"class":{quoted(name)}'
    if workload:
        told += f',"workload":{quoted(workload)}'
    told += f',"priority":{priority},"accelerator":{quoted(accelerator)},"ram_gb":{ram_gb}'
    return f'{told},"depends_on":{quoted(depends_on)}' if depends_on else told
