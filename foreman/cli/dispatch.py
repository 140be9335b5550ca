"""`foreman dispatch`: submit tasks and Workloads and follow them; `--dry-run` asks where they would go."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from foreman.cli import flags
from foreman.cli.live import AsJson, Namespace, on_cluster, split_key
from foreman.cli.refusal import refuse
from foreman.cluster import AlreadyExists, Unavailable

if TYPE_CHECKING:
    from foreman.api import AgenticTask, Workload
    from foreman.dispatching import Order
    from foreman.kube.cluster import KubeCluster
    from foreman.kube.runtime import AsyncioRuntime

Kind = Annotated[str | None, typer.Option(help="issue-fix, verify, freeform, review, integrate or reconcile.")]
Labels = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Label the node must have. Repeatable.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Submit nothing; say where the tasks would go now.")]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file", "-f", metavar="FILE", help="Tasks and Workloads from a file, YAML or JSON ('-': stdin). Repeatable."
    ),
]


def dispatch(
    kind: Kind = None,
    prompt: Annotated[str | None, typer.Option(help="What to do.")] = None,
    repo: Annotated[str | None, typer.Option(metavar="OWNER/NAME", help="Repository.")] = None,
    issue: Annotated[int | None, typer.Option(metavar="NUMBER", help="Issue of the repository.")] = None,
    branch: Annotated[str | None, typer.Option(help="Branch to work on.")] = None,
    agent_ref: Annotated[str | None, typer.Option(metavar="NAME", help="The Agent to run it by.")] = None,
    accelerator: Annotated[str | None, typer.Option(help="metal, cuda, vulkan or any.")] = None,
    min_ram_gb: Annotated[int | None, typer.Option(metavar="GIB", help="RAM the node must have available.")] = None,
    min_context_tokens: Annotated[int | None, typer.Option(metavar="TOKENS", help="Context window it needs.")] = None,
    roles: Annotated[str | None, typer.Option(metavar="A,B", help="Roles the node must have.")] = None,
    node_selector: Labels = None,
    priority: Annotated[int | None, typer.Option(help="Higher goes first.")] = None,
    timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="How long it may run, e.g. 45m.")] = None,
    max_attempts: Annotated[int | None, typer.Option(metavar="N", help="How often it is tried.")] = None,
    depends_on: Annotated[list[str] | None, typer.Option(metavar="TASK", help="Task to wait for. Repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name (default: one is made up from the kind).")] = None,
    generate_name: Annotated[str | None, typer.Option(metavar="PREFIX", help="Make up a name that begins so.")] = None,
    files: Files = None,
    attach: Annotated[str | None, typer.Option(metavar="NS/NAME", help="Submit nothing; follow this task.")] = None,
    namespace: Namespace = None,
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the tasks to their end.")] = True,
    wait_timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="Follow no longer than this.")] = None,
    dry_run: DryRun = False,
    policy: Annotated[str, typer.Option(help="Placement policy of the operator, for --dry-run.")] = "first-fit",
    as_json: AsJson = False,
) -> None:
    """Submit a task, from flags or a file, and follow it to its end.

    Exit code: 0 every task ended on target (GO, GATE-PASS), 1 one did not, 2 bad input, 124 --wait-timeout passed,
    130 interrupted; in the last two cases the tasks go on. With --dry-run: 0 every task would be placed now, 1 not.
    """
    from foreman.cli.manifest import BadManifest, flagged

    spec = {
        "kind": kind,
        "agentRef": {"name": agent_ref} if agent_ref else None,
        "payload": {"prompt": prompt, "repo": repo, "issue": issue, "branch": branch},
        "requiredCapability": _capability(accelerator, min_ram_gb, min_context_tokens, roles, node_selector),
        "priority": priority,
        "timeoutSeconds": _timeout(timeout),
        "retryPolicy": {"maxAttempts": max_attempts},
        "dependsOn": depends_on,
    }
    if namespace:
        flags.name("--namespace", namespace)
    limit = flags.seconds("--wait-timeout", wait_timeout) if wait_timeout is not None else None
    _check(attach is not None, bool(files), flagged(spec), (name, generate_name), dry_run, policy)
    if attach is not None:
        raise typer.Exit(_attach(kubeconfig, kube_context, split_key(attach, namespace), limit, as_json))
    try:
        tasks = _tasks(files, flagged(spec), name, generate_name, namespace)
    except BadManifest as error:
        refuse(str(error))
    if dry_run:
        raise typer.Exit(_ask(kubeconfig, kube_context, tasks, policy, as_json))
    raise typer.Exit(_submit(kubeconfig, kube_context, tasks, wait, limit, as_json))


# what was asked for


def _check(
    attach: bool, files: bool, spec: dict[str, Any], names: tuple[str | None, str | None], dry_run: bool, policy: str
) -> None:
    from foreman.decide.policies import POLICIES

    described = bool(spec) or any(names)
    if attach and (files or described or dry_run):
        refuse("--attach follows a task that is there: nothing that describes one goes with it")
    if files and described:
        refuse("-f and flags that describe a task exclude each other: put it all in the file")
    if not (attach or files) and "kind" not in spec:
        refuse("nothing to submit: give --kind (and --prompt, --repo ...), or -f FILE")
    if "agentRef" in spec and "requiredCapability" in spec:
        refuse("with --agent-ref the Agent says what the node must have: such flags of the task would do nothing")
    if all(names):
        refuse("--name and --generate-name exclude each other")
    flags.choice("--policy", policy, POLICIES)


def _capability(
    accelerator: str | None, ram_gb: int | None, tokens: int | None, roles: str | None, labels: list[str] | None
) -> dict[str, Any]:
    from foreman.agent.identity import split_csv

    return {
        "accelerator": accelerator,
        "minRAMGB": ram_gb,
        "minContextTokens": tokens,
        "roles": list(split_csv(roles)) if roles else None,
        "nodeSelector": flags.labels("--node-selector", ",".join(labels)) if labels else None,
    }


def _timeout(text: str | None) -> int | None:
    """The API counts in whole seconds."""
    return round(flags.seconds("--timeout", text, at_least=1)) if text is not None else None


def _tasks(
    files: list[str] | None, spec: dict[str, Any], name: str | None, prefix: str | None, namespace: str | None
) -> list[AgenticTask | Workload]:
    """All tasks and Workloads, named, checked before the first of them is created."""
    from foreman.cli.manifest import BadManifest, from_flags, tasks_in

    tasks: list[AgenticTask | Workload] = []
    if files:
        tasks += [_named(task) for path in files for task in tasks_in(path, namespace)]
    else:
        tasks.append(_named(from_flags(spec, name, prefix, namespace or "default")))
    keys = [f"{task.key}" if task.kind == "AgenticTask" else f"Workload {task.key}" for task in tasks]
    for key in keys:
        if keys.count(key) > 1:
            raise BadManifest(f"{key}: is there {keys.count(key)} times")
    return tasks


def _named(task: Order) -> Order:
    """A name is made up here and not by the server: else one could not look whether a create went through."""
    meta = task.metadata
    if meta.name:
        return task
    name = f"{meta.generate_name}{os.urandom(3).hex()}"
    return cast("Order", task.evolve(metadata=meta.evolve(name=name, generate_name=None)))


# submit, follow, ask


def _submit(
    kubeconfig: str | None,
    context: str | None,
    tasks: Sequence[AgenticTask | Workload],
    wait: bool,
    limit: float | None,
    as_json: bool,
) -> int:
    from foreman.cli.following import Voice, follow_all
    from foreman.dispatching import submit
    from foreman.kube.snapshot import present_of

    voice = Voice(as_json)

    async def work(cluster: KubeCluster, runtime: AsyncioRuntime) -> int:
        for task in tasks:
            # Before the first is created all names must be free, and the server there.
            if await present_of(cluster, task.kind, task.metadata.namespace or "", task.metadata.name) is not None:
                refuse(_taken(task))
        submission = os.urandom(8).hex()
        created: list[AgenticTask | Workload] = []
        for task in tasks:
            try:
                created.append(await submit(cluster, runtime, task, submission))
            except AlreadyExists:
                refuse(_taken(task))
            except Unavailable as error:
                refuse(
                    f"no answer whether {task.key} was created (look: foreman explain {_word(task)} {task.key}): {error}"
                )
            voice.created(created[-1])
        return await follow_all(cluster, runtime, created, limit, voice) if wait else 0

    return voice.interrupted_or(lambda: on_cluster(kubeconfig, context, work))


def _attach(
    kubeconfig: str | None, context: str | None, wanted: tuple[str, str], limit: float | None, as_json: bool
) -> int:
    from foreman.cli.following import Voice, follow_all
    from foreman.kube.snapshot import present

    voice = Voice(as_json)

    async def work(cluster: KubeCluster, runtime: AsyncioRuntime) -> int:
        task = await present(cluster, *wanted)
        if task is None:
            refuse(f'no task "{wanted[1]}" in namespace {wanted[0]}')
        voice.created(task)
        return await follow_all(cluster, runtime, [task], limit, voice)

    return voice.interrupted_or(lambda: on_cluster(kubeconfig, context, work))


def _ask(
    kubeconfig: str | None, context: str | None, orders: Sequence[AgenticTask | Workload], policy: str, as_json: bool
) -> int:
    from foreman.cli import account_text
    from foreman.decide.account import Answer, answers, as_data
    from foreman.kube.snapshot import read_snapshot

    async def work(cluster: KubeCluster, runtime: AsyncioRuntime) -> list[Answer]:
        snapshot = await read_snapshot(cluster, runtime.wall())
        tasks = [task for order in orders for task in _first_tasks(order)]
        for task in tasks:
            if task.key in snapshot.tasks:
                refuse(_taken(task))
        return answers(snapshot, tasks, policy)

    found = on_cluster(kubeconfig, context, work)
    if as_json:
        typer.echo(json.dumps(as_data(found), indent=2))
    else:
        account_text.show_answers(found)
    return 0 if all(each.node for each in found) else 1


def _first_tasks(order: AgenticTask | Workload) -> list[AgenticTask]:
    """What would be placed first: the task itself, or those of a Workload's tasks that wait for no other."""
    from foreman.api import AgenticTask
    from foreman.decide.pipeline.batch import Unplannable, choose
    from foreman.decide.pipeline.render import render

    if isinstance(order, AgenticTask):
        return [order]
    plan = choose(order)
    if isinstance(plan, Unplannable):
        refuse(f"Workload {order.key} would fail: {plan.reason}: {plan.message}")
    return [render(order, step) for step in plan.steps if not step.depends_on]


def _word(order: AgenticTask | Workload) -> str:
    return "task" if order.kind == "AgenticTask" else "workload"


def _taken(order: AgenticTask | Workload) -> str:
    where = f"{_word(order)} {order.key} exists already"
    if order.kind == "Workload":
        return f"{where}: give another name, or look at it: foreman explain workload {order.key}"
    return f"{where}: give another --name, or follow it: foreman dispatch --attach {order.key}"
