"""`foreman agent`: the agent of one machine, on Kubernetes."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from foreman.cli import flags
from foreman.cli.groups import grouped
from foreman.cli.native import NativeOptions
from foreman.cli.refusal import refuse
from foreman.cli.shop import ShopOptions

if TYPE_CHECKING:
    from foreman.agent.agent import AgentOptions
    from foreman.agent.capability import Declared
    from foreman.api import FleetNodeSpec, ModelEndpoint

LONGEST_HEARTBEAT = 45
"""Seconds. A node is taken for lost after 90 s of silence: one heartbeat may go missing."""
EVERYWHERE = ("", "*")
MODES = ("stub", "native")

Name = Annotated[
    str | None,
    typer.Option(envvar="FLEET_NODE_NAME", metavar="NAME", help="The FleetNode (default: made of the hostname)."),
]
Namespace = Annotated[
    str, typer.Option(metavar="NAMESPACE", help='Where tasks are taken from; "" or "*": from all namespaces.')
]
Machine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        envvar="FOREMAN_MACHINE",
        help="What makes a restarted agent known as the same machine's; in a pod, the cluster node's name "
        "(default: made of hostname and machine id).",
    ),
]
Roles = Annotated[str, typer.Option(metavar="A,B", help="Roles of this node.")]
Slots = Annotated[int, typer.Option(metavar="N", help="How many tasks run at once.")]
Accelerator = Annotated[
    str, typer.Option(metavar="KIND", help="metal, cuda, vulkan or none (default: metal on a Mac, else unsaid).")
]
Models = Annotated[str, typer.Option(metavar="A,B", help="Models that are installed here.")]
Context = Annotated[int, typer.Option(metavar="N", help="The context window it can serve.")]
Speed = Annotated[int, typer.Option(metavar="N", help="Its speed.")]
Served = Annotated[
    list[str] | None,
    typer.Option(
        "--model-endpoint",
        metavar="MODEL=RUNS@TOKENS/S",
        help="A model that is served here: how many runs it takes at once, and the tokens/s they share. Repeatable.",
    ),
]
Ram = Annotated[int, typer.Option(metavar="GIB", help="RAM to declare; 0, and always on a Mac: measured.")]
Labels = Annotated[str, typer.Option(metavar="K=V,...", help="Labels to put on the FleetNode.")]
Tailscale = Annotated[str, typer.Option(metavar="ADDR", help="Address of this machine in the tailnet.")]
Mode = Annotated[
    str, typer.Option(metavar="MODE", help="How tasks are run: stub (sleeps, says GO) or native (Agents and models).")
]
Sleep = Annotated[str, typer.Option(metavar="DURATION", help="How long the stub works on a task.")]
Heartbeat = Annotated[str, typer.Option(metavar="DURATION", help=f"Between heartbeats, at most {LONGEST_HEARTBEAT}s.")]
Poll = Annotated[str, typer.Option(metavar="DURATION", help="Between two tries when the watch is broken.")]
Grace = Annotated[str, typer.Option(metavar="DURATION", help="How long running tasks may go on after SIGTERM.")]
TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over", help="Take the node's name from a living agent that has it, instead of standing by. For once."
    ),
]


@grouped
def agent(
    fleet_node_name: Name = None,
    task_namespace: Namespace = "default",
    roles: Roles = "worker",
    slots: Slots = 1,
    accelerator: Accelerator = "",
    installed_models: Models = "",
    max_context_tokens: Context = 0,
    tokens_per_second: Speed = 0,
    model_endpoint: Served = None,
    total_ram_gb: Ram = 0,
    node_labels: Labels = "",
    tailscale_addr: Tailscale = "",
    agent_mode: Mode = "stub",
    stub_sleep: Sleep = "10s",
    native: NativeOptions = NativeOptions(),  # noqa: B008 - a tuple
    shop: ShopOptions = ShopOptions(),  # noqa: B008 - a tuple
    heartbeat_interval: Heartbeat = "30s",
    task_poll_interval: Poll = "5s",
    grace: Grace = "25s",
    take_over: TakeOver = False,
    machine: Machine = None,
    metrics_bind_address: flags.MetricsAddress = ":8083",
    health_probe_bind_address: flags.HealthAddress = ":8084",
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    log_format: flags.LogFormat = None,
    log_level: flags.LogLevel = "info",
) -> None:
    """Run the agent of this machine: register it, claim the tasks assigned to it, run them, report.

    Exit code: 0 told to end (SIGTERM, ^C) and drained, 1 to be restarted (watch stalled, name taken over, no
    permission ...), 2 bad input, 130 or 143 told twice.
    """
    flags.choice("--agent-mode", agent_mode, MODES)
    spec = _spec(fleet_node_name, tailscale_addr, roles, slots)
    declared = replace(
        _declared(accelerator, total_ram_gb, installed_models, max_context_tokens, tokens_per_second),
        endpoints=tuple(map(_endpoint, model_endpoint or ())),
    )
    options = _options(heartbeat_interval, task_poll_interval, task_namespace, grace, take_over)
    sleep = flags.seconds("--stub-sleep", stub_sleep)
    labels = flags.labels("--node-labels", node_labels)
    ground = flags.ground(kubeconfig, kube_context, health_probe_bind_address, metrics_bind_address)
    flags.set_up_logs(log_format, log_level)

    from foreman.kube.programs import NodeSettings, attend

    known_as = flags.node_name("--machine", machine) if machine else ""
    work = native.settings(shop) if agent_mode == "native" else None
    node = NodeSettings(spec, declared, labels, sleep, known_as, work)
    flags.live(lambda life: attend(life, ground, node, options))


def _spec(name: str | None, tailscale_addr: str, roles: str, slots: int) -> FleetNodeSpec:
    from foreman.agent.capability import clamp_int32
    from foreman.agent.identity import sanitize_name, split_csv
    from foreman.api import FleetNodeSpec

    if slots < 1:
        refuse(f"--slots: {slots} is too few, at least 1")
    return FleetNodeSpec(
        node_name=flags.node_name("--fleet-node-name", name) if name else sanitize_name(socket.gethostname()),
        tailscale_addr=tailscale_addr,
        roles=split_csv(roles),
        slots=clamp_int32(slots),
    )


def _declared(accelerator: str, ram: int, models: str, context: int, speed: int) -> Declared:
    from foreman.agent.capability import Declared, clamp_int32
    from foreman.agent.identity import split_csv
    from foreman.api import NodeAccelerator

    if accelerator:
        flags.choice("--accelerator", accelerator, tuple(each.value for each in NodeAccelerator))
    return Declared(accelerator, clamp_int32(ram), split_csv(models), clamp_int32(context), clamp_int32(speed))


def _endpoint(text: str) -> ModelEndpoint:
    from foreman.agent.capability import clamp_int32
    from foreman.api import ModelEndpoint

    model, _, limits = text.rpartition("=")
    runs, _, speed = limits.partition("@")
    if not model or not runs.isdecimal() or not speed.isdecimal():
        refuse(f"--model-endpoint: {text!r} is not MODEL=RUNS@TOKENS/S, e.g. qwen3-coder=2@60")
    return ModelEndpoint(model=model, max_concurrent=clamp_int32(int(runs)), tokens_per_second=clamp_int32(int(speed)))


def _options(heartbeat: str, poll: str, namespace: str, grace: str, take_over: bool) -> AgentOptions:
    from foreman.agent.agent import AgentOptions

    between = flags.seconds("--heartbeat-interval", heartbeat, at_least=0.1)
    if between > LONGEST_HEARTBEAT:
        refuse(f"--heartbeat-interval: {heartbeat} is too long, at most {LONGEST_HEARTBEAT}s")
    return AgentOptions(
        heartbeat=between,
        poll=flags.seconds("--task-poll-interval", poll, at_least=0.1),
        namespace=None if namespace in EVERYWHERE else flags.name("--task-namespace", namespace),
        grace=flags.seconds("--grace", grace),
        take_over=take_over,
    )
