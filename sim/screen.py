"""What a person sees of a run: a live progress line on a terminal, and the closing screen."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from foreman.durations import show
from sim.checkers import LIVENESS, SAFETY
from sim.heartbeats.fit import SAID

if TYPE_CHECKING:
    from sim.world import World

REFRESH_SECONDS = 0.1
SHOWN = 5
_MARKS = {
    "ok": ("green", "✓ ok"),
    "crash": ("bold red", "✗ crashed"),
    "safety": ("bold red", "✗ SAFETY VIOLATED"),
    "liveness": ("bold red", "✗ LIVENESS VIOLATED"),
    "expectation": ("bold yellow", "✗ not as expected"),
    "interrupted": ("bold yellow", "… interrupted"),
}


class _Rate(ProgressColumn):
    """Tasks finished per second of real time."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} tasks/s", style="cyan")


class Live:
    """A progress bar over finished tasks: virtual time, tasks done, rate. Use as a context manager; call it now and then."""

    def __init__(self, console: Console, world: World) -> None:
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} tasks"),
            _Rate(),
            TextColumn("virtual {task.fields[virtual]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._bar = self.progress.add_task(world.scenario.name, total=world.total, virtual="0s")
        self._next = 0.0

    def __enter__(self) -> Live:
        self.progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.progress.stop()

    def __call__(self, world: World) -> None:
        if time.perf_counter() >= self._next:
            self._next = time.perf_counter() + REFRESH_SECONDS
            virtual = show(world.now() // 1_000_000 * 1_000_000)
            self.progress.update(self._bar, completed=world.stats.settled, virtual=virtual)


def closing(console: Console, result: Mapping[str, Any], replay: str) -> None:
    """Print the summary of a finished run; `replay` is the command that runs it again."""
    style, mark = _MARKS[result["verdict"]]
    heading = Text.assemble(
        (f"{result['scenario']}: ", "bold"), f"seed {result['seed']}  policy {result['policy']}: ", (mark, style)
    )
    console.print(heading)
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in (*in_words(result), ("time", _time(result)), ("digest", result["digest"])):
        table.add_row(label, text)
    console.print(table)
    console.print(Text.assemble(("replay     ", "dim"), (replay, "cyan")), soft_wrap=True)
    _complaints(console, result, replay)


def in_words(result: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """The result in words, but for how long it took: labels and texts."""
    wait, runs = result["wait_seconds"], result["executions"]
    workloads = [("workloads", _workloads(result["workloads"]))] if result["workloads"]["total"] else []
    models = [("models", _models(result["model"]))] if result["model"]["requests"] else []
    return [
        ("tasks", _tasks(result)),
        *workloads,
        *models,
        ("waits", f"median {_s(wait['p50'])}, 95% {_s(wait['p95'])}, longest {_s(wait['max'])} (creation to claim)"),
        ("fleet", f"makespan {_s(result['makespan_seconds'])}, {100 * result['utilisation']:.1f}% of slot time in use"),
        ("attempts", f"{result['attempts']:,} assignments; executions: {_counts(runs)}"),
        ("conflicts", _conflicts(result)),
        ("api", _api(result)),
        ("faults", _faults(result)),
        ("checks", _checks(result["invariants"])),
    ]


def _api(result: Mapping[str, Any]) -> str:
    told = f"{result['api_calls']:,} calls, {result['writes']:,} writes, {result['reconciles']:,} reconciles"
    elided, why = result["heartbeats"]["elided"], result["heartbeats"]["exact_because"]
    if elided:
        return f"{told} (of the writes {elided:,} heartbeats were elided)"
    return told if why in ("", SAID) else f"{told} (no heartbeat was elided: {why})"


def _faults(result: Mapping[str, Any]) -> str:
    faults = result["faults"]
    told = f"{sum(each['fired'] for each in faults):,} injected"
    by = ", ".join(f"{each['fault']} {each['fired']:,}" for each in faults if each["fired"])
    told += f" ({by})" if by else ""
    idle = ", ".join(each["fault"] for each in faults if not each["fired"])
    told += f"; never fired: {idle}" if idle else ""
    return f"{told}; {result['restarts']} processes restarted themselves"


def _tasks(result: Mapping[str, Any]) -> str:
    tasks = dict(result["tasks"])
    total = tasks.pop("total")
    phases = ", ".join(f"{count:,} {phase}" for phase, count in tasks.items() if count or phase == "succeeded")
    verdicts = ", ".join(f"{verdict or '(none)'} {count:,}" for verdict, count in result["verdicts"].items())
    return f"{phases} of {total:,}" + (f"; verdicts: {verdicts}" if verdicts else "")


def _workloads(told: Mapping[str, int]) -> str:
    ended = f"{told['completed']} completed, {told['failed']} failed of {told['total']}"
    return f"{ended}; {told['children']:,} tasks made of them, {told['iterations']} revisions"


def _models(told: Mapping[str, Any]) -> str:
    tokens = f"{told['prompt_tokens']:,} tokens read, {told['output_tokens']:,} written"
    failed = f"{told['refusals']:,} refused, {told['transients']:,} failed, {told['retries']:,} retries"
    return f"{told['runs']:,} runs, {told['turns']:,} turns, {told['requests']:,} requests ({failed}); {tokens}; {_ends(told)}"


def _ends(told: Mapping[str, Any]) -> str:
    return ", ".join(f"{end} {count:,}" for end, count in told["ends"].items())


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _conflicts(result: Mapping[str, Any]) -> str:
    by = ", ".join(f"{where} {count:,}" for where, count in result["conflicts_by"].items())
    return f"{result['conflicts']:,} writes refused as stale" + (f" ({by})" if by else "")


def _checks(checks: Mapping[str, int]) -> str:
    if not checks:
        return "off (--no-check)"
    told = ", ".join(f"{name} {count:,}" for name, count in checks.items() if count)
    idle = [name for name in (*SAFETY, *LIVENESS) if not checks.get(name)]
    return told + (f"; not put to the test here: {', '.join(idle)}" if idle else "")


def _time(result: Mapping[str, Any]) -> str:
    virtual, wall = result["virtual_seconds"], max(result["wall_seconds"], 0.001)
    return (
        f"{_s(virtual)} simulated in {wall:.2f}s, {virtual / wall:,.0f}:1; "
        f"{result['events'] / wall:,.0f} events/s, {result['tasks_per_second']:,.0f} tasks/s"
    )


def _complaints(console: Console, result: Mapping[str, Any], replay: str) -> None:
    for crash in result["crashes"][:SHOWN]:
        console.print(Text(f"crashed: {crash}", style="red"))
    violations = result["violations"]
    for each in violations[:SHOWN]:
        text = f"violated: {each['invariant']} at {_s(each['at'])}: {each['task']}: {each['message']}"
        console.print(Text(text, style="red" if result["verdict"] != "ok" else "yellow"))
    if len(violations) > SHOWN:
        console.print(Text(f"... and {len(violations) - SHOWN:,} more violations (--json lists all)", style="red"))
    for line in result["unmet"]:
        console.print(Text(line, style="yellow"))
    if violations and "/" in violations[0]["task"]:
        story = replay.replace("foreman sim run", "foreman sim story", 1) + " " + shlex.quote(violations[0]["task"])
        console.print(Text.assemble(("why        ", "dim"), (story, "cyan")), soft_wrap=True)


def _s(seconds: float) -> str:
    return show(round(seconds * 1000) * 1000)


def replay_command(file: str, seed: int, sets: Sequence[str], until: str | None) -> str:
    """The command that runs exactly this again."""
    words = ["foreman", "sim", "run", file, "--seed", str(seed)]
    for each in sets:
        words += ["--set", each]
    if until:
        words += ["--until", until]
    return shlex.join(words)
