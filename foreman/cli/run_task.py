"""`foreman run-task`: one task, here and now, without a cluster."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from foreman.cli.groups import grouped
from foreman.cli.live import AsJson
from foreman.cli.refusal import refuse
from foreman.cli.shop import ShopOptions

if TYPE_CHECKING:
    from foreman.api import Agent, AgenticTask, Result
    from foreman.cli.turns import Turns
    from foreman.executors.native import Parts
    from foreman.executors.protocol import Execution
    from foreman.executors.workshop import WorkshopSettings
    from foreman.kube.runtime import AsyncioRuntime
    from foreman.runtime import Signal

ON_TARGET, NOT_ON_TARGET, UNDECIDED, BROKEN, INTERRUPTED = 0, 1, 3, 4, 130
EXIT = {"GO": ON_TARGET, "GATE-PASS": ON_TARGET, "NO-GO": NOT_ON_TARGET, "GATE-FAIL": NOT_ON_TARGET}

File = Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="The AgenticTask, YAML or JSON ('-': stdin).")]
AgentFile = Annotated[str, typer.Option("--agent", metavar="FILE", help="The Agent to run it by, YAML or JSON.")]
BaseUrl = Annotated[
    str,
    typer.Option(
        metavar="URL", help="The OpenAI-compatible endpoint, e.g. http://localhost:8080/v1 (default: the Agent's)."
    ),
]
ModelName = Annotated[str, typer.Option("--model", metavar="NAME", help="The model to ask for (default: the Agent's).")]
KeyEnv = Annotated[
    str, typer.Option(metavar="VARIABLE", help="Environment variable that holds the endpoint's key, if it wants one.")
]
Stream = Annotated[bool, typer.Option("--stream/--no-stream", help="Whether answers come piece by piece.")]
TranscriptDir = Annotated[str, typer.Option(metavar="DIR", help="Where transcripts are kept.")]
Workspaces = Annotated[str, typer.Option("--workspace-dir", metavar="DIR", help="Where workspaces are made.")]
InJob = Annotated[
    bool,
    typer.Option(
        "--job", help="Print what the agent that started this Job reads, and exit with 0 whatever the verdict."
    ),
]
Attempt = Annotated[
    int, typer.Option(metavar="N", help="Which attempt this is: it numbers transcripts, fences pushes.")
]


@grouped
def run_task(
    file: File,
    agent_file: AgentFile,
    base_url: BaseUrl = "",
    model: ModelName = "",
    api_key_env: KeyEnv = "OPENAI_API_KEY",
    stream: Stream = True,
    transcript_dir: TranscriptDir = ".foreman/transcripts",
    workspace_dir: Workspaces = ".foreman/workspaces",
    shop: ShopOptions = ShopOptions(),  # noqa: B008 - a tuple
    attempt: Attempt = 1,
    job: InJob = False,
    as_json: AsJson = False,
) -> None:
    """Run one task by an Agent, here, without a cluster; its turns are shown as they come.

    foreman run-task -f task.yaml --agent deploy/agents/coder.yaml \\
    --base-url http://localhost:8080/v1

    The Agent says which model, tools and budgets; the task says what to do and
    where: payload.repo is cloned, a coder's GO is committed and pushed to a
    branch of its own. The key of the endpoint is in OPENAI_API_KEY, the token
    of the repository in GITHUB_TOKEN; neither is shown to the model.

    Exit code: 0 GO or GATE-PASS, 1 NO-GO or GATE-FAIL, 2 bad input,
    3 INCOMPLETE or GATE-ERROR (failureReason says why), 4 the executor failed or
    its result cannot be printed, 130 interrupted. The transcript is always kept.
    """
    from foreman.cli.manifest import BadManifest, agent_in, tasks_in

    try:
        agent, tasks = agent_in(agent_file), tasks_in(file, None)
    except BadManifest as error:
        refuse(str(error))
    if len(tasks) != 1:
        refuse(
            f"{file}: holds {len(tasks)} tasks, run-task runs one: put it into a file of its own, or pipe it to -f -"
        )
    task = tasks[0]
    if task.kind != "AgenticTask":
        refuse(f"{file}: kind: is {task.kind}, run-task runs an AgenticTask")
    if attempt < 1:
        refuse(f"--attempt: {attempt} is too few, at least 1")
    task = _named(task, agent, file)
    _check_address(base_url, model, agent)
    if not job:
        _check_transcripts(transcript_dir, task, attempt)
    settings = shop.settings(os.path.abspath(workspace_dir))
    options = _Options(base_url, model, api_key_env, stream, transcript_dir, attempt, settings)
    raise typer.Exit(asyncio.run(_in_job(task, agent, options) if job else _run(task, agent, options, as_json)))


class _Options(NamedTuple):
    base_url: str
    model: str
    key_env: str
    stream: bool
    transcripts: str
    attempt: int
    shop: WorkshopSettings


def _named(task: AgenticTask, agent: Agent, file: str) -> AgenticTask:
    """The task with a name, referring to the Agent."""
    from foreman.api import LocalObjectReference

    reference = task.spec.agent_ref
    if reference is not None and reference.name and reference.name != agent.metadata.name:
        refuse(f"{file}: spec.agentRef.name: is {reference.name}, but the Agent given is {agent.metadata.name}")
    meta = task.metadata
    name = meta.name or f"{(meta.generate_name or 'task-').rstrip('-')}-{os.urandom(3).hex()}"
    spec = task.spec.evolve(agent_ref=LocalObjectReference(name=agent.metadata.name))
    return task.evolve(metadata=meta.evolve(name=name, generate_name=None), spec=spec)


def _check_address(given: str, model: str, agent: Agent) -> None:
    from foreman.executors.address import base_url, deterministic, model_named
    from foreman.executors.precondition import Precondition

    if given:
        try:
            base_url(given, "--base-url")
        except Precondition as error:
            refuse(str(error))
    elif agent.spec.provider_config is None and not deterministic(agent.spec):
        refuse(f"Agent {agent.metadata.name} does not say where its model is outside a cluster: give --base-url")
    if not deterministic(agent.spec):
        try:
            model_named(agent, model)
        except Precondition as error:
            refuse(f"{error}, or give --model")


def _check_transcripts(folder: str, task: AgenticTask, attempt: int) -> None:
    """Before the work, not after it: without a place for its transcript a run could not be told from any other."""
    from foreman.executors.transcripts import Attempt, FileTranscripts

    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        FileTranscripts(Path(folder)).put_aside(Attempt(task, attempt))
    except OSError as error:
        refuse(f"--transcript-dir: cannot write to {folder}: {error.strerror}")


async def _run(task: AgenticTask, agent: Agent, options: _Options, as_json: bool) -> int:
    from foreman.cli.turns import Turns
    from foreman.executors.native import NativeExecutor
    from foreman.executors.protocol import Cancelled, Execution
    from foreman.kube.runtime import AsyncioRuntime

    runtime = AsyncioRuntime()
    voice = Turns(sys.stderr if as_json else sys.stdout)
    execution = Execution(task, options.attempt, _cancelled_by_signals(runtime))
    overdue = _ends_at_its_timeout(runtime, execution)
    voice.begins(task, agent)
    try:
        result = await NativeExecutor(runtime, _parts(runtime, agent, options, voice)).execute(execution)
    except Cancelled as error:
        if overdue.is_set():
            _show(_out_of_time(task, str(error)), voice, as_json)
            return UNDECIDED
        print(f"foreman: {error}", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        print(f"foreman: the executor failed: {type(error).__name__}: {error}", file=sys.stderr)
        return BROKEN
    if result is None:
        print("foreman: the executor returned no result", file=sys.stderr)
        return BROKEN
    if not _show(result, voice, as_json):
        return BROKEN
    return EXIT.get(result.verdict, UNDECIDED)


async def _in_job(task: AgenticTask, agent: Agent, options: _Options) -> int:
    """What is printed is a contract, and nothing else is: what a model says could look like it."""
    from foreman.executors.jobmode.contract import ending
    from foreman.executors.jobmode.printed import PrintedTranscripts
    from foreman.executors.native import NativeExecutor
    from foreman.executors.protocol import Cancelled, Execution
    from foreman.kube.runtime import AsyncioRuntime

    def write(line: str) -> None:
        print(line, flush=True)

    runtime = AsyncioRuntime()
    execution = Execution(task, options.attempt, _cancelled_by_signals(runtime))
    parts = replace(_parts(runtime, agent, options, None), transcripts=PrintedTranscripts(write))
    try:
        result = await NativeExecutor(runtime, parts).execute(execution)
    except Cancelled as error:
        print(f"foreman: {error}", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        print(f"foreman: the executor failed: {type(error).__name__}: {error}", file=sys.stderr)
        result = None
    write(ending(result))
    return BROKEN if result is None else ON_TARGET


def _ends_at_its_timeout(runtime: AsyncioRuntime, execution: Execution) -> Signal:
    """Cancels the run at the task's own timeoutSeconds, as an agent does; set when it has."""
    overdue = runtime.event()

    def end() -> None:
        if not execution.cancelled.is_set():
            overdue.set()
            execution.cancelled.set()

    if execution.task.spec.timeout_seconds:
        runtime.call_later(execution.task.spec.timeout_seconds, end)
    return overdue


def _out_of_time(task: AgenticTask, said: str) -> Result:
    from foreman.api import FailureReason, Result
    from foreman.executors.outcome import KIND

    summary = f"spec.timeoutSeconds: {task.spec.timeout_seconds}s are over: {said}"
    return Result(kind=KIND, verdict="INCOMPLETE", summary=summary, failure_reason=FailureReason.TIMEOUT.value)


def _show(result: Result, voice: Turns, as_json: bool) -> bool:
    """Whether it could be said to who asked for JSON; the turns may go unheard."""
    from foreman.api import to_wire

    voice.ends(result)
    if as_json:
        try:
            typer.echo(json.dumps(to_wire(result), indent=2))
        except OSError as error:
            print(f"foreman: the result cannot be printed: {error.strerror}", file=sys.stderr)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return False
    return True


def _parts(runtime: AsyncioRuntime, agent: Agent, options: _Options, voice: Turns | None) -> Parts:
    from foreman.executors.endpoint.parts import endpoint_parts
    from foreman.executors.native import Parts
    from foreman.executors.recipes import GivenRecipes
    from foreman.executors.sandbox import seal
    from foreman.executors.transcripts import FileTranscripts
    from foreman.executors.workshop import deterministic_executors, workshop
    from foreman.kube.machine import draw

    shop = workshop(options.shop, os.environ)
    key = os.environ.get(options.key_env, "").strip()
    if key:
        seal()
    recipes = GivenRecipes(agent, options.base_url, options.model, key, f"${options.key_env}")
    made = endpoint_parts(options.stream)
    return Parts(
        recipes=recipes,
        desk=shop.desk,
        model=made.model,
        leash=made.leash,
        close=made.close,
        transcripts=FileTranscripts(Path(options.transcripts)),
        draw=draw,
        listener=voice,
        deterministic=deterministic_executors(runtime, shop),
    )


def _cancelled_by_signals(runtime: AsyncioRuntime) -> Signal:
    """Set by the first ^C or SIGTERM, or when the terminal is closed; the second ends the process as usual."""
    cancelled = runtime.event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        cancelled.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    return cancelled
