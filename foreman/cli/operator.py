"""`foreman operator`: scheduler and controllers, on Kubernetes."""

from __future__ import annotations

from typing import Annotated

import typer

from foreman.cli import flags

POLICIES = "best-fit, first-fit, least-loaded, random or spread"

Elect = Annotated[bool, typer.Option(help="Of several operators let one act. Safe without, only less orderly.")]
LeaseNamespace = Annotated[str, typer.Option(metavar="NAMESPACE", help="Where the Lease of the election is.")]
Policy = Annotated[str, typer.Option(metavar="NAME", help=f"Which fitting node is best: {POLICIES}.")]
Retention = Annotated[
    str, typer.Option(metavar="DURATION", help="How long records of finished tasks are kept; 0: for ever.")
]
CloudProviders = Annotated[bool, typer.Option(help="Whether Workloads may have reviewers whose provider is not local.")]


def operator(
    metrics_bind_address: flags.MetricsAddress = ":8081",
    health_probe_bind_address: flags.HealthAddress = ":8082",
    leader_elect: Elect = False,
    leader_elect_namespace: LeaseNamespace = "foreman-system",
    policy: Policy = "first-fit",
    audit_retention: Retention = "168h",
    allow_cloud_providers: CloudProviders = True,
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
        allow_cloud=allow_cloud_providers,
    )
    ground = flags.ground(kubeconfig, kube_context, health_probe_bind_address, metrics_bind_address)
    flags.set_up_logs(log_format, log_level)

    from foreman.kube.programs import operate

    flags.live(lambda life: operate(life, ground, options))
