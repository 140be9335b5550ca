"""`foreman operator`: scheduler and controllers, on Kubernetes."""

from __future__ import annotations

from typing import Annotated

import typer

from foreman.cli import flags
from foreman.cli.refusal import refuse

POLICIES = "best-fit, first-fit, least-loaded, random or spread"


def operator(
    metrics_bind_address: Annotated[
        str, typer.Option(metavar="ADDR", help="Where /metrics is served; 0: nowhere.")
    ] = ":8081",
    health_probe_bind_address: Annotated[
        str, typer.Option(metavar="ADDR", help="Where /healthz and /readyz are served; 0: nowhere.")
    ] = ":8082",
    leader_elect: Annotated[
        bool, typer.Option(help="Of several operators let one act. Safe without, only less orderly.")
    ] = False,
    leader_elect_namespace: Annotated[
        str, typer.Option(metavar="NAMESPACE", help="Where the Lease is.")
    ] = "foreman-system",
    policy: Annotated[str, typer.Option(metavar="NAME", help=f"Which fitting node is best: {POLICIES}.")] = "first-fit",
    audit_retention: Annotated[
        str, typer.Option(metavar="DURATION", help="How long records of finished tasks are kept; 0: for ever.")
    ] = "168h",
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    log_format: flags.LogFormat = None,
    log_level: flags.LogLevel = "info",
) -> None:
    """Run the operator: place tasks on nodes, take back what nodes lose, keep records.

    Exit code: 0 told to end (SIGTERM, ^C), 1 to be restarted (lost leadership, no permission ...), 2 bad input,
    130 or 143 told twice.
    """
    from foreman.decide.policies import POLICIES as known
    from foreman.operator import OperatorOptions

    options = OperatorOptions(
        policy=flags.choice("--policy", policy, known),
        leader_elect=leader_elect,
        namespace=flags.name("--leader-elect-namespace", leader_elect_namespace),
        audit_retention=flags.seconds("--audit-retention", audit_retention),
    )
    flags.set_up_logs(log_format, log_level)

    from foreman.kube import process
    from foreman.kube.programs import operate

    ground = flags.ground(kubeconfig, kube_context, health_probe_bind_address, metrics_bind_address)
    try:
        code = process.run(lambda runtime, stop: operate(runtime, stop, ground, options))
    except process.Unusable as error:
        refuse(str(error))
    raise typer.Exit(code)
