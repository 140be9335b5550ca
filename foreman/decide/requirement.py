"""What a task demands of a node, reduced to what placement compares: tasks of equal demand wait in one class."""

from __future__ import annotations

from typing import NamedTuple

from foreman.api import Agent, AgenticTask, ExecutionMode, Provider, RequiredCapability, TaskAccelerator


class Requirement(NamedTuple):
    """A demand. Zero and empty mean 'none'.

    `model`: the model that must be installed (None: no such demand; '': one is demanded but not named, so nothing fits).
    `endpoint`: the model it runs by, wherever a node serves that as an endpoint; '' for a run without a model of the fleet.
    `slot`: whether the task occupies a slot; a task that only supervises a Kubernetes Job does not (upstream #1558).
    """

    accelerator: str = ""
    min_ram_gb: int = 0
    min_context_tokens: int = 0
    selector: tuple[tuple[str, str], ...] = ()
    roles: tuple[str, ...] = ()
    model: str | None = None
    slot: bool = True
    endpoint: str = ""
    min_tokens_per_second: int = 0


ANYTHING = Requirement()


def agent_key(task: AgenticTask) -> str:
    """'namespace/name' of the Agent the task refers to, or ''."""
    ref = task.spec.agent_ref
    return f"{task.metadata.namespace}/{ref.name}" if ref is not None and ref.name else ""


def requirement_of(task: AgenticTask, agent: Agent | None) -> Requirement:
    """The demand of `task`; with an Agent, the Agent's capability counts and the task's own does not."""
    if agent is None:
        # A task's own modelRef names no installed model (the original ignores it), but it may name an endpoint.
        return _from_capability(task.spec.required_capability, "", False, task.spec.model_ref)
    spec = agent.spec
    model = spec.model or (spec.inference_service_ref.name if spec.inference_service_ref else "")
    job_mode = spec.execution is not None and spec.execution.mode is ExecutionMode.JOB
    # What runs elsewhere, in a Job or in a cloud, uses no endpoint of the node.
    endpoint = model if spec.provider is Provider.LOCAL and not job_mode else ""
    return _from_capability(spec.required_capability, model, job_mode, endpoint)


def _from_capability(wanted: RequiredCapability | None, model: str, job_mode: bool, endpoint: str) -> Requirement:
    if wanted is None:
        return Requirement(slot=not job_mode, endpoint=endpoint) if job_mode or endpoint else ANYTHING
    selector = tuple(sorted(wanted.node_selector.items()))
    roles = tuple(sorted(wanted.roles))
    if job_mode:
        return Requirement(selector=selector, roles=roles, slot=False)
    installed = wanted.requires_model_installed
    return Requirement(
        accelerator="" if wanted.accelerator is TaskAccelerator.ANY else str(wanted.accelerator),
        # A model that is already loaded has its RAM: what is left over says nothing about the task (upstream #578).
        min_ram_gb=0 if installed else wanted.min_ram_gb,
        min_context_tokens=wanted.min_context_tokens,
        selector=selector,
        roles=roles,
        model=model if installed else None,
        endpoint=endpoint,
        min_tokens_per_second=wanted.min_tokens_per_second,
    )
