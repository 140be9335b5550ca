"""`foreman agent`: the agent of one machine, on Kubernetes."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from foreman.cli import flags
from foreman.cli.refusal import refuse

LONGEST_HEARTBEAT = 45
"""Seconds. A node is taken for lost after 90 s of silence: one heartbeat may go missing."""


def agent(
    fleet_node_name: Annotated[
        str | None,
        typer.Option(envvar="FLEET_NODE_NAME", metavar="NAME", help="The FleetNode (default: made of the hostname)."),
    ] = None,
    task_namespace: Annotated[
        str, typer.Option(metavar="NAMESPACE", help='Where tasks are taken from; "" or "*": from all namespaces.')
    ] = "default",
    roles: Annotated[str, typer.Option(metavar="A,B", help="Roles of this node.")] = "worker",
    slots: Annotated[int, typer.Option(help="How many tasks run at once.")] = 1,
    accelerator: Annotated[
        str, typer.Option(metavar="KIND", help="metal, cuda, vulkan or none (default: metal on a Mac, else unsaid).")
    ] = "",
    installed_models: Annotated[str, typer.Option(metavar="A,B", help="Models that are here.")] = "",
    max_context_tokens: Annotated[int, typer.Option(metavar="N", help="Context window it can serve.")] = 0,
    tokens_per_second: Annotated[int, typer.Option(metavar="N", help="Speed.")] = 0,
    total_ram_gb: Annotated[int, typer.Option(metavar="GIB", help="RAM to declare (default 0: measured).")] = 0,
    node_labels: Annotated[str, typer.Option(metavar="K=V,...", help="Labels to put on the FleetNode.")] = "",
    tailscale_addr: Annotated[str, typer.Option(metavar="ADDR", help="Address of this machine in the tailnet.")] = "",
    agent_mode: Annotated[
        str, typer.Option(metavar="MODE", help="How tasks are run. This version has: stub.")
    ] = "stub",
    stub_sleep: Annotated[str, typer.Option(metavar="DURATION", help="How long the stub works on a task.")] = "10s",
    heartbeat_interval: Annotated[str, typer.Option(metavar="DURATION", help="Between two heartbeats.")] = "30s",
    task_poll_interval: Annotated[
        str, typer.Option(metavar="DURATION", help="Between two tries when the watch is broken.")
    ] = "5s",
    grace: Annotated[
        str, typer.Option(metavar="DURATION", help="How long running tasks may go on after SIGTERM.")
    ] = "25s",
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Take the node's name from a living agent that has it, instead of standing by."
        ),
    ] = False,
    metrics_bind_address: Annotated[
        str, typer.Option(metavar="ADDR", help="Where /metrics is served; 0: nowhere.")
    ] = ":8083",
    health_probe_bind_address: Annotated[
        str, typer.Option(metavar="ADDR", help="Where /healthz and /readyz are served; 0: nowhere.")
    ] = ":8084",
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    log_format: flags.LogFormat = None,
    log_level: flags.LogLevel = "info",
) -> None:
    """Run the agent of this machine: register it, claim the tasks assigned to it, run them, report.

    Exit code: 0 told to end (SIGTERM, ^C) and drained, 1 to be restarted (watch stalled, name taken over, no
    permission ...), 2 bad input, 130 or 143 told twice.
    """
    from foreman.agent.agent import AgentOptions
    from foreman.agent.capability import Declared, clamp_int32
    from foreman.agent.identity import sanitize_name, split_csv
    from foreman.api import FleetNodeSpec, NodeAccelerator

    if agent_mode != "stub":
        refuse(f"--agent-mode: {agent_mode!r} is not part of this version, only stub is")
    if accelerator:
        flags.choice("--accelerator", accelerator, tuple(each.value for each in NodeAccelerator))
    if slots < 1:
        refuse(f"--slots: {slots} is too few, at least 1")
    named = fleet_node_name or sanitize_name(socket.gethostname())
    spec = FleetNodeSpec(
        node_name=flags.name("--fleet-node-name", named),
        tailscale_addr=tailscale_addr,
        roles=split_csv(roles),
        slots=clamp_int32(slots),
    )
    declared = Declared(
        accelerator=accelerator,
        total_ram_gb=clamp_int32(total_ram_gb),
        installed_models=split_csv(installed_models),
        max_context_tokens=clamp_int32(max_context_tokens),
        tokens_per_second=clamp_int32(tokens_per_second),
    )
    heartbeat = flags.seconds("--heartbeat-interval", heartbeat_interval, at_least=0.1)
    if heartbeat > LONGEST_HEARTBEAT:
        refuse(f"--heartbeat-interval: {heartbeat_interval} is too long, at most {LONGEST_HEARTBEAT}s")
    options = AgentOptions(
        heartbeat=heartbeat,
        poll=flags.seconds("--task-poll-interval", task_poll_interval, at_least=0.1),
        namespace=None if task_namespace in ("", "*") else flags.name("--task-namespace", task_namespace),
        grace=flags.seconds("--grace", grace),
        take_over=take_over,
    )
    sleep = flags.seconds("--stub-sleep", stub_sleep)
    given_labels = flags.labels("--node-labels", node_labels)
    flags.set_up_logs(log_format, log_level)

    from foreman.kube import process
    from foreman.kube.programs import NodeSettings, attend

    ground = flags.ground(kubeconfig, kube_context, health_probe_bind_address, metrics_bind_address)
    node = NodeSettings(spec, declared, given_labels, sleep)
    try:
        code = process.run(lambda runtime, stop: attend(runtime, stop, ground, node, options))
    except process.Unusable as error:
        refuse(str(error))
    raise typer.Exit(code)
