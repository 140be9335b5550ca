"""`foreman dev`: a whole cluster in one process on loopback: API server, operator, agents, in real time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreman.cli import flags
from foreman.cli.refusal import refuse
from foreman.cli.served import Screen, first_steps, opened, tally, written

if TYPE_CHECKING:
    from foreman.agent.agent import AgentOptions
    from foreman.kube.process import Life, Program
    from foreman.kube.programs import Ground, NodeSettings
    from foreman.operator import OperatorOptions
    from foreman.runtime import Signal
    from sim.http.home import Home

PORT = 8455
GRACE_SECONDS = 2.0
"""How long tasks that run at ^C may still take; then they are handed back and run again at the next start."""
# (accelerator, RAM in GiB, context in tokens, models) of the machines of the fleet, over and over.
_MACHINES = (
    ("mac", "metal", 64, 65536, ("qwen3-coder-30b",)),
    ("gpu", "cuda", 48, 131072, ("qwen3-coder-30b", "llama-3.3-70b")),
    ("cpu", "none", 16, 8192, ()),
)

Port = Annotated[
    int, typer.Option(metavar="N", help="Where the API server listens; 0 takes a free port.", min=0, max=65535)
]
Agents = Annotated[int, typer.Option(metavar="N", help="How many agents, each a node of its own.", min=0, max=500)]
ApiOnly = Annotated[bool, typer.Option("--api-only", help="The API server alone: no operator, no agents.")]
Slots = Annotated[int, typer.Option(metavar="N", help="How many tasks each node runs at once.", min=1, max=1000)]
Data = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Keep the state in this SQLite file (default: forget it at the end)."),
]
Config = Annotated[Path, typer.Option(metavar="FILE", help="The kubeconfig to write.")]
StubSleep = Annotated[str, typer.Option(metavar="DURATION", help="How long the stub executor takes for a task.")]
Policy = Annotated[str, typer.Option(metavar="NAME", help="Which fitting node is best: see foreman operator --help.")]


def dev(
    port: Port = PORT,
    agents: Agents = 3,
    slots: Slots = 1,
    api_only: ApiOnly = False,
    data: Data = None,
    kubeconfig: Config = Path(".foreman/dev.kubeconfig"),
    stub_sleep: StubSleep = "10s",
    policy: Policy = "first-fit",
    log_format: flags.LogFormat = None,
    log_level: flags.LogLevel = "warning",
) -> None:
    """Run a cluster for yourself: an API server for kubectl, an operator, and agents with the stub executor.

    Everything listens on 127.0.0.1 only. ^C ends it in order, a second ^C at once.
    """
    from foreman.agent.agent import AgentOptions
    from foreman.decide.policies import POLICIES
    from foreman.operator import OperatorOptions

    acting = OperatorOptions(policy=flags.choice("--policy", policy, POLICIES)) if not api_only else None
    sleep = flags.seconds("--stub-sleep", stub_sleep, at_least=0.001)
    flags.set_up_logs(log_format, log_level)
    fleet = _fleet(0 if api_only else agents, slots, sleep)
    attending = AgentOptions(namespace=None, grace=GRACE_SECONDS)
    home = _home(data)
    flags.live(lambda life: _develop(life, home, port, kubeconfig, acting, fleet, attending))


def _home(data: Path | None) -> Home:
    from sim.http.archive import BadArchive
    from sim.http.home import Home

    try:
        return Home(data)
    except BadArchive as error:
        refuse(f"--data: {error}")


def _fleet(agents: int, slots: int, sleep: float) -> Sequence[NodeSettings]:
    """`agents` nodes of several kinds: mac-1, gpu-1, cpu-1, mac-2 ..."""
    from foreman.agent.capability import Declared
    from foreman.api import FleetNodeSpec
    from foreman.kube.programs import NodeSettings

    made = []
    for number in range(agents):
        kind, accelerator, ram, context, models = _MACHINES[number % len(_MACHINES)]
        name = f"{kind}-{number // len(_MACHINES) + 1}"
        spec = FleetNodeSpec(node_name=name, roles=("worker", "verifier"), slots=slots)
        made.append(NodeSettings(spec, Declared(accelerator, ram, models, context, 30), {"kind": kind}, sleep))
    return made


async def _develop(
    life: Life,
    home: Home,
    port: int,
    kubeconfig: Path,
    acting: OperatorOptions | None,
    fleet: Sequence[NodeSettings],
    attending: AgentOptions,
) -> None:
    from foreman.kube.programs import Ground

    life.closing.push_async_callback(home.close)
    await opened(home.open(port), port)
    ground = Ground(str(written(kubeconfig, home.server.url)))
    first_steps(home.server.url, kubeconfig, home.restored)
    screen = Screen(lambda: tally(home.store))
    life.runtime.spawn(screen.run(), "screen")
    await _play(life, ground, acting, fleet, attending)
    screen.close("ended")


async def _play(
    life: Life,
    ground: Ground,
    acting: OperatorOptions | None,
    fleet: Sequence[NodeSettings],
    attending: AgentOptions,
) -> None:
    """The programs, until told to end: then the agents end first, that what they run is handed back in order."""
    from foreman.kube.programs import attend, operate

    agents_gone, operator_gone = life.runtime.event(), life.runtime.event()
    living = {node.spec.node_name for node in fleet}

    async def agent(node: NodeSettings) -> None:
        await _lived(life.stop, lambda own: attend(own, ground, node, attending))
        living.remove(node.spec.node_name)
        if not living:
            agents_gone.set()

    async def operator(options: OperatorOptions) -> None:
        await _lived(agents_gone, lambda own: operate(own, ground, options))
        operator_gone.set()

    for node in fleet:
        life.runtime.spawn(agent(node), node.spec.node_name)
    if acting is not None:
        life.runtime.spawn(operator(acting), "operator")
    await life.stop.wait()
    if not living:
        agents_gone.set()
    if acting is not None:
        await operator_gone.wait()


async def _lived(stop: Signal, program: Program) -> None:
    """One program within this process, as if it had a process of its own."""
    from foreman.kube.process import Life
    from foreman.kube.runtime import AsyncioRuntime

    async with AsyncExitStack() as closing:
        runtime = AsyncioRuntime()
        await runtime.run(program(Life(runtime, stop, closing)))
