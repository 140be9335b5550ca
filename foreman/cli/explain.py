"""`foreman explain`: where a task, a node or a Workload stands, why, and what would happen next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from foreman.cli import flags
from foreman.cli.live import AsJson, Namespace, on_cluster, split_key
from foreman.cli.refusal import refuse

if TYPE_CHECKING:
    from foreman.decide.account import TaskAccount
    from foreman.decide.node_account import NodeAccount
    from foreman.decide.workload_account import WorkloadAccount
    from foreman.kube.cluster import KubeCluster
    from foreman.kube.runtime import AsyncioRuntime
    from sim.replay import Look

app = typer.Typer(
    help="Say where a task, a node or a Workload stands, why, and what comes next; on a cluster, in a trace or a scenario.",
    no_args_is_help=True,
)

Trace = Annotated[
    Path | None, typer.Option("--trace", metavar="FILE", help="Look into a trace of `foreman sim run --trace`.")
]
ScenarioFile = Annotated[
    str | None, typer.Option("--scenario", metavar="FILE", help="Run this scenario (or shipped name) and look into it.")
]
At = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Virtual time to look at, e.g. 30s (default: the end).")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of the scenario.", min=0)]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a field of the scenario.")]
Policy = Annotated[
    str | None,
    typer.Option("--policy", help="Placement policy of the operator (default: first-fit, or the scenario's)."),
]


class Source(NamedTuple):
    """Where to look, when it is not a live cluster."""

    trace: Path | None
    scenario: str | None
    at: str | None
    seed: int | None
    sets: list[str] | None

    @property
    def simulated(self) -> bool:
        return self.trace is not None or self.scenario is not None


@app.command("task")
def task(
    name: Annotated[str, typer.Argument(metavar="TASK", help="NAME, or NAMESPACE/NAME.")],
    namespace: Namespace = None,
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    trace: Trace = None,
    scenario: ScenarioFile = None,
    at: At = None,
    seed: Seed = None,
    sets: Sets = None,
    policy: Policy = None,
    as_json: AsJson = False,
) -> None:
    """Why is a task where it is: nodes that do not fit, its place in line, who held it, what comes next."""
    _check_policy(policy)
    source = _source(trace, scenario, at, seed, sets)
    if source.simulated:
        found = _task_in_simulation(source, name, namespace, policy)
    else:
        wanted = split_key(name, namespace)
        found = on_cluster(
            kubeconfig, kube_context, lambda cluster, runtime: _live_task(cluster, runtime, *wanted, policy)
        )
    _show(found, as_json)


@app.command("node")
def node(
    name: Annotated[str, typer.Argument(metavar="NODE", help="Name of a FleetNode.")],
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    trace: Trace = None,
    scenario: ScenarioFile = None,
    at: At = None,
    seed: Seed = None,
    sets: Sets = None,
    policy: Policy = None,
    as_json: AsJson = False,
) -> None:
    """What a node offers, what runs on it, how long it has been silent, and which waiting tasks it could take."""
    _check_policy(policy)
    source = _source(trace, scenario, at, seed, sets)
    if source.simulated:
        found = _node_in_simulation(source, name, policy)
    else:
        found = on_cluster(
            kubeconfig, kube_context, lambda cluster, runtime: _live_node(cluster, runtime, name, policy)
        )
    _show(found, as_json)


@app.command("workload")
def workload(
    name: Annotated[str, typer.Argument(metavar="WORKLOAD", help="NAME, or NAMESPACE/NAME.")],
    namespace: Namespace = None,
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    trace: Trace = None,
    scenario: ScenarioFile = None,
    at: At = None,
    seed: Seed = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Where each step of a Workload stands, what it waits for, and what was decided about it."""
    source = _source(trace, scenario, at, seed, sets)
    wanted = split_key(name, namespace)
    if source.simulated:
        found = _workload_in_simulation(source, "/".join(wanted))
    else:
        found = on_cluster(kubeconfig, kube_context, lambda cluster, runtime: _live_workload(cluster, runtime, *wanted))
    _show(found, as_json)


def _show(account: TaskAccount | NodeAccount | WorkloadAccount, as_json: bool) -> None:
    from foreman.cli import account_text
    from foreman.decide.account import as_data

    if as_json:
        typer.echo(json.dumps(as_data(account), indent=2))
    else:
        account_text.show(account)


# a live cluster


async def _live_task(
    cluster: KubeCluster, runtime: AsyncioRuntime, namespace: str, name: str, policy: str | None
) -> TaskAccount:
    from foreman.decide.account import News, account
    from foreman.kube.snapshot import events_about, read_snapshot, recorded

    snapshot = await read_snapshot(cluster, runtime.wall())
    found = snapshot.tasks.get(f"{namespace}/{name}")
    news: Sequence[News] = ()
    if found is None:
        found = await recorded(cluster, namespace, name)
        if found is None:
            refuse(f'no task "{name}" in namespace {namespace}{_elsewhere(snapshot.tasks, name)}')
        news = (News(None, "audit record", "Deleted", "the task is gone; this is what its record keeps of it"),)
    return account(snapshot, found, policy or "first-fit", (), (*await events_about(cluster, found), *news))


async def _live_node(cluster: KubeCluster, runtime: AsyncioRuntime, name: str, policy: str | None) -> NodeAccount:
    from foreman.decide.node_account import node_account
    from foreman.kube.snapshot import events_about, read_snapshot

    snapshot = await read_snapshot(cluster, runtime.wall())
    found = snapshot.nodes.get(name)
    if found is None:
        refuse(f'no FleetNode "{name}"{_choice(snapshot.nodes)}')
    return node_account(snapshot, found, policy or "first-fit", await events_about(cluster, found))


async def _live_workload(cluster: KubeCluster, runtime: AsyncioRuntime, namespace: str, name: str) -> WorkloadAccount:
    from foreman.api import Workload
    from foreman.decide.workload_account import workload_account
    from foreman.kube.snapshot import events_about, present_of, read_snapshot

    found = await present_of(cluster, "Workload", namespace, name)
    if not isinstance(found, Workload):
        refuse(f'no Workload "{name}" in namespace {namespace}')
    snapshot = await read_snapshot(cluster, runtime.wall())
    return workload_account(snapshot, found, await events_about(cluster, found))


# a simulation


def _task_in_simulation(source: Source, name: str, namespace: str | None, policy: str | None) -> TaskAccount:
    from foreman.decide.account import account

    key = "/".join(split_key(name, namespace or _usual_namespace(source, name)))
    seen = _look(source, key)
    found = seen.snapshot.tasks.get(key) or (seen.history[-1].task if seen.history else None)
    if found is None:
        refuse(f"no task {key} at that time{_elsewhere(seen.snapshot.tasks, key.partition('/')[2])}")
    return account(seen.snapshot, found, policy or seen.policy, seen.history)


def _node_in_simulation(source: Source, name: str, policy: str | None) -> NodeAccount:
    from foreman.decide.node_account import node_account

    seen = _look(source, "")
    found = seen.snapshot.nodes.get(name)
    if found is None:
        refuse(f'no FleetNode "{name}" at that time{_choice(seen.snapshot.nodes)}')
    return node_account(seen.snapshot, found, policy or seen.policy)


def _workload_in_simulation(source: Source, key: str) -> WorkloadAccount:
    from foreman.decide.workload_account import workload_account

    seen = _look(source, "")
    found = seen.snapshot.workloads.get(key)
    if found is None:
        refuse(f"no Workload {key} at that time{_elsewhere(seen.snapshot.workloads, key.partition('/')[2])}")
    return workload_account(seen.snapshot, found)


def _usual_namespace(source: Source, name: str) -> str | None:
    from sim.story import namespace_of

    return None if "/" in name else namespace_of(_scenario(source), name)


def _scenario(source: Source) -> Any:
    from sim.load import BadScenario, load
    from sim.replay import scenario_of

    try:
        if source.trace is not None:
            return scenario_of(source.trace)
        return load(source.scenario or "", source.sets or [], source.seed)
    except OSError as error:
        refuse(f"cannot read {source.trace}: {error.strerror}")
    except (BadScenario, ValueError) as error:
        refuse(str(error))


def _look(source: Source, key: str) -> Look:
    from foreman.durations import duration
    from sim.replay import look, look_at_trace

    try:
        at = duration(source.at) if source.at is not None else None
        if source.trace is None:
            return look(_scenario(source), key, at)
        return look_at_trace(source.trace, key, at)
    except OSError as error:
        refuse(f"cannot read {source.trace}: {error.strerror}")
    except ValueError as error:
        refuse(str(error))


# what was asked for


def _source(
    trace: Path | None, scenario: str | None, at: str | None, seed: int | None, sets: list[str] | None
) -> Source:
    if trace is not None and scenario is not None:
        refuse("--trace and --scenario exclude each other: a trace names its scenario itself")
    if trace is not None and (seed is not None or sets):
        refuse("--seed and --set go with --scenario: a trace is of one run")
    if at is not None and trace is None and scenario is None:
        refuse("--at goes with --trace or --scenario: a live cluster is looked at as it is now")
    return Source(trace, scenario, at, seed, sets)


def _check_policy(policy: str | None) -> None:
    from foreman.decide.policies import POLICIES

    if policy is not None:
        flags.choice("--policy", policy, POLICIES)


def _elsewhere(keys: Any, name: str) -> str:
    """', but one in ...' for a task of that name in another namespace; what there is otherwise."""
    others = sorted(key.partition("/")[0] for key in keys if key.endswith(f"/{name}"))
    return f"; there is one in {', '.join(others[:5])}" if others else _choice(keys)


def _choice(keys: Any) -> str:
    names = sorted(keys)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f": there is {', '.join(names[:5])}{more}" if names else ": there is none at all"
