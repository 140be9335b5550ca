"""`foreman sim serve`: a scenario at the pace of the wall clock, with an API server in front: kubectl against a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli import flags
from foreman.cli.refusal import refuse
from foreman.cli.served import Screen, first_steps, opened, tally, written
from foreman.cli.sim import File, Seed, Sets, Until, load_scenario

if TYPE_CHECKING:
    from foreman.kube.process import Life
    from sim.scenario import Scenario

PORT = 8456
FASTEST = 100_000.0

Speed = Annotated[float, typer.Option(metavar="X", help="Virtual seconds to a second.")]
Port = Annotated[
    int, typer.Option(metavar="N", help="Where the API server listens; 0 takes a free port.", min=0, max=65535)
]
Config = Annotated[Path, typer.Option(metavar="FILE", help="The kubeconfig to write.")]
Exit = Annotated[bool, typer.Option("--exit", help="End with the scenario, with the exit code of foreman sim run.")]


def serve(
    file: File,
    speed: Speed = 10.0,
    port: Port = PORT,
    seed: Seed = None,
    sets: Sets = None,
    until: Until = None,
    kubeconfig: Config = Path(".foreman/sim.kubeconfig"),
    end: Exit = False,
) -> None:
    """Run a scenario slowly and serve its API server to kubectl: look on, and take part.

    What you create, change and delete counts as the user's doing. The clock of the API is the simulated one.
    """
    if not 0 < speed <= FASTEST:
        refuse(f"--speed: {speed:g} is out of range, more than 0 and at most {FASTEST:g}")
    scenario = load_scenario(file, sets, seed, until)
    flags.set_up_logs(None, "warning")

    from foreman.kube import process

    codes: list[int] = []
    try:
        code = process.run(lambda life: _serve(life, scenario, speed, port, kubeconfig, end, codes))
    except process.Unusable as error:
        refuse(str(error))
    raise typer.Exit(codes[0] if end and codes and not code else code)


async def _serve(
    life: Life,
    scenario: Scenario,
    speed: float,
    port: int,
    kubeconfig: Path,
    end: bool,
    codes: list[int],
) -> None:
    """Until told to end, or with `end` until the scenario has ended; its exit code goes into `codes`."""
    from sim.cascade import Cascade
    from sim.http.access import Access
    from sim.http.pace import OUTSIDER, Paced
    from sim.http.serve import Server
    from sim.result import exit_code, result_of
    from sim.world import World

    world = World(scenario)
    server = Server(world.server, access=Access(default_user=OUTSIDER))
    Cascade(world.env, world.server)
    screen = Screen(lambda: f"virtual {_clock(world.now())} at {speed:g}x   {tally(world.server)}")

    def done() -> None:
        result = result_of(world)
        codes.append(exit_code(result))
        screen.say(_verdict(result, codes[0], end))
        if end:
            life.stop.set()

    life.closing.callback(world.drop_unstarted)
    life.closing.push_async_callback(server.stop)
    await opened(server.start(port), port)
    first_steps(server.url, written(kubeconfig, server.url))
    life.runtime.spawn(Paced(world, speed, done).run(), "world")
    life.runtime.spawn(screen.run(), "screen")
    await life.stop.wait()
    screen.close("ended")


def _verdict(result: dict[str, Any], code: int, end: bool) -> str:
    tasks = result["tasks"]
    counts = f"{tasks['succeeded']} succeeded, {tasks['failed']} failed, {tasks['total']} in all"
    what = f"the scenario has ended: {result['verdict']} (exit code {code}); {counts}"
    return what if end else f"{what}. Its world goes on, and is served until ^C"


def _clock(microseconds: int) -> str:
    minutes, seconds = divmod(microseconds // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
