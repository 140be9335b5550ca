"""The native executor of a node's agent on Kubernetes: Agents, keys and services from the cluster, transcripts into it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from foreman.cluster import Cluster
from foreman.executors.endpoint.parts import endpoint_parts
from foreman.executors.gate.job import JobGate, JobSettings
from foreman.executors.jobmode import CoderJobSettings, JobMode
from foreman.executors.native import NativeExecutor, Parts
from foreman.executors.recipes import ClusterRecipes
from foreman.executors.transcripts import ClusterTranscripts, FileTranscripts
from foreman.executors.workshop import WorkshopSettings, deterministic_executors, workshop
from foreman.kube.connection import Connection
from foreman.kube.jobs import KubeJobs
from foreman.kube.machine import draw
from foreman.kube.preflight import Need
from foreman.kube.vault import KubeVault
from foreman.runtime import Runtime


@dataclass(frozen=True)
class NativeSettings:
    """`shop` names the folder of the runs' workspaces and of their transcripts' journals; `base_url`: the address of every
    model, whatever the Agents say, '' for theirs; `gate_namespace`: where Jobs run, '' for none;
    `host`: where inference services are reached from outside the cluster, '' for inside."""

    shop: WorkshopSettings
    base_url: str = ""
    gate_namespace: str = ""
    host: str = ""
    streaming: bool = True
    coder: CoderJobSettings = CoderJobSettings()  # noqa: RUF009 - frozen


def native_needs(namespace: str | None) -> Sequence[Need]:
    """What an agent must be allowed beyond claiming and reporting. Secrets and InferenceServices are asked for when an Agent
    names one: most fleets have none."""
    return [
        Need("Agent", ("get",), namespace=namespace),
        Need("ModelProfile", ("get",)),
        Need("ConfigMap", ("create", "patch"), namespace=namespace),
    ]


def native_executor(
    cluster: Cluster, connection: Connection, runtime: Runtime, settings: NativeSettings
) -> NativeExecutor:
    made = endpoint_parts(settings.streaming)
    files = FileTranscripts(Path(settings.shop.workspaces) / ".transcripts")
    shop = workshop(settings.shop, os.environ)
    transcripts = ClusterTranscripts(cluster, runtime, files)
    job_mode = None
    if settings.gate_namespace:
        jobs = KubeJobs(connection)
        gates = JobSettings(namespace=settings.gate_namespace)
        shop = replace(shop, gate=JobGate(jobs, runtime, shop.git.remote, gates))
        coder = replace(settings.coder, namespace=settings.gate_namespace, git_remote=settings.shop.remote)
        job_mode = JobMode(jobs, runtime, transcripts, coder)
    recipes = ClusterRecipes(cluster, runtime, KubeVault(connection), settings.base_url, settings.host)
    shop = replace(shop, secret=recipes.secret)
    parts = Parts(
        recipes=recipes,
        desk=shop.desk,
        model=made.model,
        leash=made.leash,
        close=made.close,
        transcripts=transcripts,
        draw=draw,
        deterministic=deterministic_executors(runtime, shop),
        job_mode=job_mode,
    )
    return NativeExecutor(runtime, parts)
