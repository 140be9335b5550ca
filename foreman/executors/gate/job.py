"""The gate as a Kubernetes Job: its manifest, pure, and watching over one to its end.

The clone is made by an init container that alone sees the token; the container that runs the checks, which are code of a model,
has no secret and no service account.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from foreman.cluster import AlreadyExists, ClusterError, Unavailable
from foreman.executors.gate.request import LOG_BYTES, GateReport, GateRequest
from foreman.executors.gate.script import NothingToRun, script, summary
from foreman.executors.gate.verdict import Seen
from foreman.executors.git import GitError, Remote
from foreman.executors.git.plan import checked_branch
from foreman.executors.jobs import NAME_MAX, Jobs, Vigil, removed, watched
from foreman.runtime import Runtime, Signal


@dataclass(frozen=True)
class JobSettings:
    """Seconds, and quantities as Kubernetes writes them. `secret`: the one whose key `token` opens the remote, '' for none;
    `cache`: a claim to be mounted at /cache, '' for none."""

    namespace: str = "foreman-system"
    deadline: int = 1800
    ttl: int = 86_400
    poll: float = 5.0
    cpu: tuple[str, str] = ("2", "4")
    memory: tuple[str, str] = ("4Gi", "8Gi")
    cache: str = ""
    secret: str = ""
    clone_image: str = ""
    image: str = "golang:1.26"


class JobGate:
    def __init__(self, jobs: Jobs, runtime: Runtime, remote: Remote, settings: JobSettings = JobSettings()) -> None:
        self.jobs = jobs
        self.runtime = runtime
        self.remote = remote
        self.settings = settings

    async def run(self, request: GateRequest, cancelled: Signal | None = None) -> GateReport:
        name = job_name(request.task, int(self.runtime.wall() * 1000 + self.runtime.now() * 1000 % 1000))
        try:
            body = manifest(name, request, self.remote.address(request.repo), self.settings)
        except (NothingToRun, GitError) as error:
            return self._report(Seen.RENDER_ERROR, f"the gate did not run: {error}", name)
        try:
            await self.jobs.create(self.settings.namespace, body)
        except AlreadyExists:
            return self._report(Seen.DUPLICATE_NAME, f"the gate did not run: there is a job {name} already", name)
        except Unavailable as error:
            # It may have been made all the same, and nobody would look at it.
            await removed(self.jobs, self.settings.namespace, name)
            return self._report(Seen.CREATE_ERROR, f"the gate did not run: create job: {error}", name)
        except ClusterError as error:
            return self._report(Seen.CREATE_ERROR, f"the gate did not run: create job: {error}", name)
        vigil = Vigil(self.settings.poll, 2 * self.settings.deadline)
        try:
            seen, said = await watched(self.jobs, self.runtime, self.settings.namespace, name, vigil, cancelled)
        except BaseException:
            await removed(self.jobs, self.settings.namespace, name)
            raise
        if seen is Seen.CANCELLED:
            said = "the gate was cancelled"
            await removed(self.jobs, self.settings.namespace, name)
        log = await self._log(name)
        if seen in (Seen.COMPLETE, Seen.FAILED):
            said = f"the gate {said}" if said else summary(log, seen is Seen.COMPLETE)
        return self._report(seen, said, name, log)

    async def _log(self, name: str) -> str:
        try:
            return await self.jobs.log_tail(self.settings.namespace, name, LOG_BYTES)
        except ClusterError as error:
            return f"[the log of job {name} cannot be read: {error}]"

    def _report(self, seen: Seen, said: str, name: str, log: str = "") -> GateReport:
        return GateReport(seen, said[:280], log, name, self.settings.namespace)


def job_name(task: str, milliseconds: int) -> str:
    """foreman-gate-<task>-<unix ms>, at most 63 characters: the task is cut, never the suffix."""
    suffix = f"-{milliseconds}"
    return f"foreman-gate-{task}"[: NAME_MAX - len(suffix)].rstrip("-.") + suffix


def manifest(name: str, request: GateRequest, address: str, settings: JobSettings) -> dict[str, Any]:
    """Raises NothingToRun, GitError."""
    image = request.profile.image or settings.image
    labels = {
        "app.kubernetes.io/name": "foreman-gate",
        "foreman.llmkube.dev/task-namespace": request.namespace[:NAME_MAX],
        "foreman.llmkube.dev/task-name": request.task[:NAME_MAX].rstrip("-."),
    }
    annotations = {
        "foreman.llmkube.dev/task": f"{request.namespace}/{request.task}",
        "foreman.llmkube.dev/task-uid": request.uid,
        "foreman.llmkube.dev/attempt": str(request.attempt),
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"fsGroup": 100, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": _volumes(settings),
        "initContainers": [_cloning(request, address, settings.clone_image or image, settings)],
        "containers": [_checking(request, image, settings)],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": settings.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": settings.deadline,
            "ttlSecondsAfterFinished": settings.ttl,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _volumes(settings: JobSettings) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "work", "emptyDir": {}}]
    if settings.cache:
        volumes.append({"name": "cache", "persistentVolumeClaim": {"claimName": settings.cache}})
    if settings.secret:
        volumes.append({"name": "token", "secret": {"secretName": settings.secret, "defaultMode": 0o440}})
    return volumes


def _cloning(request: GateRequest, address: str, image: str, settings: JobSettings) -> dict[str, Any]:
    branch = checked_branch("payload.branch", request.branch)
    base = checked_branch("payload.baseBranch", request.base)
    helper = (
        '-c credential.helper= -c "credential.helper=!f() { echo username=x-access-token; '
        'echo password=\\$(cat /token/token); }; f" '
    )
    # Only the bite check looks at history; its blobs come when they are asked for.
    depth = "--filter=blob:none --no-single-branch" if request.bite else "--depth=1"
    refs = f"--branch {shlex.quote(branch)}"
    lines = [
        "set -eu",
        "export HOME=/tmp GIT_TERMINAL_PROMPT=0",
        f"git {helper if settings.secret else ''}clone -q {depth} {refs} -- {shlex.quote(address)} /work/repo",
    ]
    if request.bite and base:
        lines.append(f"git -C /work/repo rev-parse -q --verify {shlex.quote(f'origin/{base}')} >/dev/null")
    mounts = [{"name": "work", "mountPath": "/work"}]
    if settings.secret:
        mounts.append({"name": "token", "mountPath": "/token"})
    return {
        "name": "clone",
        "image": image,
        "command": ["/bin/sh", "-c", "\n".join(lines)],
        "volumeMounts": mounts,
        "securityContext": _powerless(),
    }


def _checking(request: GateRequest, image: str, settings: JobSettings) -> dict[str, Any]:
    mounts = [{"name": "work", "mountPath": "/work"}]
    env = [{"name": "HOME", "value": "/work/home"}]
    if settings.cache:
        mounts.append({"name": "cache", "mountPath": "/cache"})
        for name in ("GOMODCACHE", "GOCACHE", "XDG_CACHE_HOME", "CARGO_HOME"):
            env.append({"name": name, "value": f"/cache/{name.lower()}"})
    return {
        "name": "gate",
        "image": image,
        "workingDir": "/work/repo",
        "command": ["/bin/sh", "-c", f"exec 2>&1\nmkdir -p /work/home\n{script(request)}"],
        "env": env,
        "resources": {
            "requests": {"cpu": settings.cpu[0], "memory": settings.memory[0]},
            "limits": {"cpu": settings.cpu[1], "memory": settings.memory[1]},
        },
        "volumeMounts": mounts,
        "securityContext": _powerless(),
    }


def _powerless() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
