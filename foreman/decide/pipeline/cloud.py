"""Whether reviewers may run on a provider that is not local: both the operator and the Workload can forbid it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from foreman.api import PipelineStep, Provider, TaskKind, Workload
from foreman.decide.pipeline.book import View


class Admitted(NamedTuple):
    """`suppressed`: what was left out, as 'agent (why)'; `unknown`: an Agent that would have had to be judged."""

    steps: Sequence[PipelineStep]
    suppressed: Sequence[str] = ()
    unknown: str = ""


def gated(workload: Workload, allow_cloud: bool) -> bool:
    """Whether Agents have to be looked at, at all."""
    return not allow_cloud or workload.spec.allow_cloud_reviewers is False


def admitted(view: View, steps: Iterable[PipelineStep]) -> Admitted:
    """`steps` without the reviews of cloud Agents, where those are forbidden."""
    if not gated(view.workload, view.allow_cloud):
        return Admitted(tuple(steps))
    gate = "spec.allowCloudReviewers=false" if view.allow_cloud else "operator --no-allow-cloud-providers"
    kept, out, unknown = [], [], ""
    for step in steps:
        name = step.agent_ref.name
        agent = view.agent(name) if step.kind is TaskKind.REVIEW else None
        if step.kind is not TaskKind.REVIEW or (agent is not None and agent.spec.provider is Provider.LOCAL):
            kept.append(step)
        elif agent is None:
            unknown = unknown or name
            out.append(f"{name} (no such Agent)")
        else:
            out.append(f"{name} (provider={agent.spec.provider}; {gate})")
    return Admitted(tuple(kept), tuple(out), unknown)
