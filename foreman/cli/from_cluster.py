"""`foreman sim from-cluster`: a live cluster as a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foreman.cli import flags
from foreman.cli.refusal import refuse


def from_cluster(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.yaml", help="Where the scenario goes.")] = Path(
        "cluster.yaml"
    ),
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    dead: Annotated[bool, typer.Option("--dead", help="Also nodes that are not Ready, as if they were.")] = False,
    history: Annotated[
        bool,
        typer.Option(
            "--history", help="All tasks, also finished ones, at the times they came and as long as they took."
        ),
    ] = False,
) -> None:
    """Write what a cluster is like now as a scenario: nodes, tasks that wait or run, Agents, how long tasks have taken.

    Then "what if" is one command:

    foreman sim run cluster.yaml --set fleet.cuda.count=8

    foreman sim plan cluster.yaml --group cuda --slo 'wait p95 < 10m'

    Only reads. What the scenario cannot hold is said.
    """
    import yaml

    from foreman.cli.live import on_cluster
    from foreman.kube.snapshot import read_snapshot
    from sim.importers.cluster import scenario_of
    from sim.load import BadScenario, check

    async def read(cluster: Any, runtime: Any) -> Any:
        return await read_snapshot(cluster, runtime.wall())

    snapshot = on_cluster(kubeconfig, kube_context, read)
    try:
        found = scenario_of(snapshot, out.stem, dead, history)
        check(found.data, str(out))
        out.write_text(yaml.safe_dump(found.data, sort_keys=False, width=120), encoding="utf-8")
    except (ValueError, BadScenario) as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"cannot write {out}: {error.strerror}")
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    nodes = sum(group["count"] for group in found.data["fleet"].values())
    typer.echo(f"{len(found.data.get('tasks', {})):,} tasks, {nodes:,} nodes: foreman sim run {out}")
