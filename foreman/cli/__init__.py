"""The command line, and the composition root of every process.

Errors a user can cause are one line on stderr and exit code 2. Nothing is imported before it is needed: neither the simulator
by a deployed agent, nor the Kubernetes client by a simulation.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import foreman
from foreman.cli import (
    agent,
    cause,
    crds,
    dev,
    diff,
    dispatch,
    explain,
    from_cluster,
    get,
    hunt,
    import_,
    operator,
    plan,
    plot,
    report,
    run_task,
    serve,
    sim,
    sweep,
    validate,
    zoo,
)

app = typer.Typer(
    name="foreman",
    help="Dispatch agentic tasks over a fleet of unlike machines; simulate the fleet before you trust it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(sim.app, name="sim")
sim.app.command("serve")(serve.serve)
sim.app.command("hunt")(hunt.hunt)
sim.app.command("replay")(hunt.replay)
sim.app.command("sweep")(sweep.sweep)
sim.app.command("plan")(plan.plan)
sim.app.command("from-cluster")(from_cluster.from_cluster)
sim.app.command("cause")(cause.cause)
sim.app.command("zoo")(zoo.zoo)
sim.app.add_typer(import_.app, name="import")
sim.app.command("validate")(validate.validate)
sim.app.command("get")(get.get)
sim.app.command("diff")(diff.diff)
sim.app.command("plot")(plot.plot)
sim.app.command("report")(report.report)
sim.app.command("tables")(plot.tables)
app.add_typer(explain.app, name="explain")
app.command("operator")(operator.operator)
app.command("agent")(agent.agent)
app.command("dev")(dev.dev)
app.command("crds")(crds.crds)
app.command("dispatch")(dispatch.dispatch)
app.command("run-task")(run_task.run_task)


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        typer.echo(f"foreman {foreman.__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `foreman` command."""
    command = typer.main.get_command(app)
    try:
        code = command(prog_name="foreman", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        for line in error.format_message().splitlines():
            print(f"foreman: {line}{hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
