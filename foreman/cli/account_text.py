"""Accounts on a terminal: the answer first, then the tables behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from foreman.api import format_time
from foreman.decide.account import Answer, News, TaskAccount
from foreman.decide.attempts import Attempt
from foreman.decide.explain import Fit
from foreman.decide.node_account import NodeAccount
from foreman.decide.outlook import roughly
from foreman.decide.workload_account import Step, WorkloadAccount

PIPE_WIDTH = 200
"""Columns of a table that no terminal limits."""
ROWS_MAX = 20
SHOWN = 3
_PHASES = {
    "Succeeded": "green",
    "Failed": "red",
    "Pending": "yellow",
    "Ready": "green",
    "NotReady": "red",
    "Completed": "green",
}


def show(account: TaskAccount | NodeAccount | WorkloadAccount, console: Console | None = None) -> None:
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    if isinstance(account, WorkloadAccount):
        parts = _workload(account)
    else:
        parts = _task(account) if isinstance(account, TaskAccount) else _node(account)
    for number, part in enumerate(parts):
        if number > 1:
            console.print()
        console.print(part)


def show_answers(answers: Sequence[Answer], console: Console | None = None) -> None:
    """Where each task would go, and for one that would go nowhere why."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    for each in answers:
        if each.node:
            console.print(Text.assemble((each.task, "bold"), " -> ", (each.node, "green"), f" ({each.policy})"))
            continue
        reason = f"{each.why.reason}: {each.why.message}" if each.why is not None else ""
        console.print(
            Text.assemble((each.task, "bold"), " -> ", ("nowhere now", "yellow"), f" ({each.policy})  {reason}")
        )
        if each.why is not None and each.why.nodes:
            console.print(_nodes(each.why.nodes))


def _task(account: TaskAccount) -> Iterable[Text | Table]:
    heading = f"  {account.kind}" + (f"  priority {account.priority}" if account.priority else "")
    yield Text.assemble((account.task, "bold"), (heading, "dim"))
    yield _facts(_task_facts(account))
    if account.attempts:
        yield _attempts(account.attempts, account.at)
    if account.why is not None and account.why.nodes:
        yield _nodes(account.why.nodes)
    if account.news:
        yield _news(account.news, account.at)


def _task_facts(account: TaskAccount) -> Iterable[tuple[str, str | Text]]:
    yield "phase", _phase(account.phase or "(none yet)", account.since, account.at, _where(account))
    if account.verdict:
        failure = f" ({account.failure})" if account.failure else ""
        yield "verdict", f"{account.verdict}{failure}"
    if account.summary:
        yield "summary", account.summary
    if account.why is not None:
        yield "why", Text.assemble((account.why.reason, "yellow"), f": {account.why.message}")
    if (place := account.place) is not None:
        alike = f"; {place.ahead_alike} of those ahead want the same" if place.ahead_alike else ""
        yield (
            "queue",
            f"{place.position} of {place.of} that wait for a node (priority, then what ends a pipeline, then age){alike}",
        )
    for line in account.outlook:
        yield "next", line
    for each in account.dependencies:
        waits = f", which waits for {', '.join(each.waits_for)}" if each.waits_for else ""
        yield "depends on", Text(f"{each.name}: {each.state}{waits}", style="yellow" if each.blocks else "")
    if account.dependents:
        yield "dependents", ", ".join(account.dependents[:ROWS_MAX])
    if (agent := account.agent) is not None:
        limit = f" of at most {agent.limit}" if agent.limit is not None else ""
        yield (
            "agent",
            f"{agent.name}: {agent.running}{limit} on nodes" if agent.exists else f"{agent.name} does not exist",
        )
    if counts := _counts(account):
        yield "so far", counts
    yield "times", _times(account)


def _where(account: TaskAccount) -> str:
    by = f" held by {account.holder}" if account.holder else ""
    return f" on {account.node}, attempt {account.attempt}{by}" if account.node else ""


def _counts(account: TaskAccount) -> str:
    parts = []
    if account.strikes:
        told = ", ".join(f"{node} {count}" for node, count in account.strikes.items())
        parts.append(f"strikes: {told} ({account.strikes_left} left)")
    if account.handbacks:
        parts.append(f"handed back {account.handbacks} times")
    if account.failures or account.max_attempts > 1:
        parts.append(f"failed {account.failures} of {account.max_attempts} attempts allowed")
    return "; ".join(parts)


def _times(account: TaskAccount) -> str:
    created = f"created {_stamp(account.created, account.at)}" if account.created is not None else "creation unknown"
    waited, ran = account.times
    parts = [created]
    if waited is not None:
        parts.append(f"waited {roughly(waited)}" + (" until its last claim" if ran is not None else ""))
    if ran is not None:
        parts.append(f"ran {roughly(ran)}")
    return ", ".join(parts)


def _node(account: NodeAccount) -> Iterable[Text | Table]:
    yield Text.assemble((account.node, "bold"), (f"  {account.system}", "dim"))
    yield _facts(_node_facts(account))
    if account.tasks:
        yield _running(account)
    if account.waiting:
        yield _candidates(account)
    if account.news:
        yield _news(account.news, account.at)


def _node_facts(account: NodeAccount) -> Iterable[tuple[str, str | Text]]:
    offer = account.offer
    usable = "" if account.usable else "; takes no tasks"
    yield "phase", Text.assemble((account.phase, _PHASES.get(account.phase, "")), usable)
    version = f", version {account.agent_version}" if account.agent_version else ""
    yield "spoken for by", f"{account.instance or 'nobody yet'}{version}"
    if account.heartbeat is None:
        yield "heartbeat", "none yet"
    else:
        yield "heartbeat", f"{_stamp(account.heartbeat, account.at)} by the node's own clock"
    yield "slots", f"{offer.slots_used} of {offer.slots} in use"
    total = max(offer.total_ram_gb, offer.available_ram_gb)
    yield (
        "RAM",
        f"{offer.available_ram_gb} of {total} GiB available as measured; {offer.reserved_ram_gb} reserved by its tasks",
    )
    yield "accelerator", offer.accelerator or "unknown"
    if offer.max_context_tokens:
        yield "context", f"{offer.max_context_tokens} tokens"
    for label, words in (("models", offer.models), ("endpoints", offer.endpoints), ("roles", offer.roles)):
        if words:
            yield label, ", ".join(words)
    if offer.labels:
        yield "labels", ", ".join(f"{key}={value}" for key, value in offer.labels.items())


def _workload(account: WorkloadAccount) -> Iterable[Text | Table]:
    yield Text.assemble((account.workload, "bold"), (f"  {account.repo}", "dim"))
    yield _facts(_workload_facts(account))
    if account.steps:
        yield _steps(account.steps)
    if account.news:
        yield _news(account.news, account.at)


def _workload_facts(account: WorkloadAccount) -> Iterable[tuple[str, str | Text]]:
    yield "phase", Text(account.phase, style=_PHASES.get(account.phase, "cyan"))
    yield "intent", account.intent
    yield "steps", ", ".join(f"{count} {standing}" for standing, count in account.totals.items()) or "none yet"
    if account.iterations:
        yield "revisions", str(account.iterations)
    if account.waits_for:
        more = f" and {len(account.waits_for) - SHOWN} more" if len(account.waits_for) > SHOWN else ""
        yield "waits for", "; ".join(account.waits_for[:SHOWN]) + more


# tables


def _facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, text if isinstance(text, Text) else Text(text))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for number, name in enumerate(columns):
        last = number == len(columns) - 1
        table.add_column(name, no_wrap=not last, overflow="fold")
    return table


def _fill(table: Table, rows: Sequence[tuple[str | Text, ...]]) -> Table:
    for row in rows[:ROWS_MAX]:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    if len(rows) > ROWS_MAX:
        table.add_row(Text(f"... and {len(rows) - ROWS_MAX} more (--json has all)", style="dim"))
    return table


def _attempts(attempts: Sequence[Attempt], at: float) -> Table:
    rows: list[tuple[str | Text, ...]] = []
    for each in attempts:
        waited = _between(each.assigned, each.claimed)
        ran = _between(each.claimed, each.ended if each.how else at)
        rows.append(
            (str(each.number or "?"), each.node, each.holder or "(not claimed)", waited, ran, each.how or "goes on")
        )
    return _fill(_table("attempt", "node", "held by", "claimed after", "ran", "ended"), rows)


def _steps(steps: Sequence[Step]) -> Table:
    """Those that count first, and of them those that are not over."""
    ordered = sorted(steps, key=lambda each: (not each.counts, each.standing != "InFlight"))
    rows: list[tuple[str | Text, ...]] = []
    for each in ordered:
        standing = each.standing if each.counts else f"{each.standing}, replaced by a later round"
        rows.append((each.step, each.phase or "-", each.verdict or "-", each.node or "-", standing, each.why))
    return _fill(_table("step", "phase", "verdict", "node", "counts as", "why"), rows)


def _nodes(nodes: Sequence[Fit]) -> Table:
    ordered = sorted(nodes, key=lambda each: (not each.fits, len(each.reasons), each.node))
    rows: list[tuple[str | Text, ...]] = [
        (each.node, Text("yes", style="green") if each.fits else Text("no", style="red"), "; ".join(each.reasons))
        for each in ordered
    ]
    return _fill(_table("node", "fits", "reasons"), rows)


def _running(account: NodeAccount) -> Table:
    rows: list[tuple[str | Text, ...]] = []
    for each in account.tasks:
        since = roughly(account.at - each.since) if each.since is not None else ""
        takes = " ".join(
            filter(None, ("a slot" if each.slot else "no slot", f"{each.ram_gb} GiB" if each.ram_gb else ""))
        )
        rows.append((each.task, each.phase, str(each.attempt), each.holder or "(not claimed)", since, takes))
    return _fill(_table("task", "phase", "attempt", "held by", "for", "takes"), rows)


def _candidates(account: NodeAccount) -> Table:
    rows: list[tuple[str | Text, ...]] = []
    for each in account.waiting:
        fits = Text("yes", style="green") if each.fits else Text("no", style="red")
        strikes = [f"avoided: {each.strikes} strikes here"] if each.strikes else []
        here = "here" if each.next_node == account.node else each.next_node
        goes = [f"goes {'' if here == 'here' else 'to '}{here} next"] if here else []
        rows.append((each.task, fits, "; ".join([*each.reasons, *strikes, *goes])))
    return _fill(_table("waiting task", "fits", "why not"), rows)


def _news(news: Sequence[News], at: float) -> Table:
    rows: list[tuple[str | Text, ...]] = [
        (_stamp(each.at, at) if each.at is not None else "", each.who, each.reason, each.message) for each in news
    ]
    return _fill(_table("when", "said by", "reason", "message"), rows)


# words


def _phase(phase: str, since: float | None, at: float, where: str) -> Text:
    lasting = (
        f" for {roughly(max(at - since, 0))}" if since is not None and phase not in ("Succeeded", "Failed") else ""
    )
    ended = f" {_stamp(since, at)}" if since is not None and not lasting else ""
    return Text.assemble((phase, _PHASES.get(phase, "cyan")), f"{where}{lasting}{ended}")


def _stamp(time: float | None, at: float) -> str:
    """'2026-01-01T00:00:30Z, 12s ago'."""
    if time is None:
        return "unknown"
    ago = at - time
    return f"{format_time(int(time))}, " + (
        f"{roughly(ago)} ago" if ago >= 0 else f"{roughly(-ago)} ahead of our clock"
    )


def _between(start: float | None, end: float | None) -> str:
    return roughly(max(end - start, 0)) if start is not None and end is not None else ""
