"""The Job of an Agent in Job mode. Pure.

Its name is made of the task's uid and the attempt, nothing else: whoever tries to start an attempt a second time, after a lost
answer or a restart, finds it started (#1535). The pod has no access to the API: task and Agent come with it, as annotations
that it sees as files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from foreman.api import Agent, AgenticTask, FailureReason, to_wire
from foreman.api import Execution as HowToRun
from foreman.executors.address import Address, key_of
from foreman.executors.jobs import NAME_MAX
from foreman.executors.precondition import Precondition

ANNOTATIONS_MAX = 200 * 1024
"""Bytes; the API server takes 256 KiB of all annotations together."""
UID, ATTEMPT = "foreman.llmkube.dev/task-uid", "foreman.llmkube.dev/attempt"
TASK_NAME, TASK_NAMESPACE = "foreman.llmkube.dev/task-name", "foreman.llmkube.dev/task-namespace"
TASK_FILE, AGENT_FILE = "foreman.llmkube.dev/task.json", "foreman.llmkube.dev/agent.json"
KEY = "FOREMAN_MODEL_KEY"


@dataclass(frozen=True)
class CoderJobSettings:
    """`image`: of Jobs whose Agent names none; `git_secret` and `git_key`: the token that opens the remote, if it is there."""

    namespace: str = "foreman-system"
    image: str = ""
    git_secret: str = "foreman-git-credentials"
    git_key: str = "token"
    git_remote: str = ""
    ttl: int = 86_400
    poll: float = 5.0


def name_of(task: AgenticTask, attempt: int) -> str:
    """foreman-coder-<task>-<digest>-<attempt>, at most 63 characters: the task is cut, never what tells attempts apart."""
    digest = hashlib.blake2b((task.metadata.uid or task.key).encode(), digest_size=5).hexdigest()
    suffix = f"-{digest}-{attempt}"
    return f"foreman-coder-{task.metadata.name}"[: NAME_MAX - len(suffix)].rstrip("-.") + suffix


def labels_of(task: AgenticTask) -> dict[str, str]:
    """By the uid: a namesake in another namespace, or of another time, has Jobs of its own."""
    return {"app.kubernetes.io/name": "foreman-coder", UID: task.metadata.uid or ""}


def attempt_of(job: dict[str, Any]) -> int:
    """0 when it does not say."""
    said = str((job.get("metadata", {}).get("annotations") or {}).get(ATTEMPT, ""))
    return int(said) if said.isdecimal() else 0


def belongs(job: dict[str, Any], task: AgenticTask, attempt: int) -> bool:
    labels = job.get("metadata", {}).get("labels") or {}
    return labels.get(UID) == (task.metadata.uid or "") and attempt_of(job) == attempt


def manifest(
    task: AgenticTask, attempt: int, agent: Agent, address: Address, settings: CoderJobSettings
) -> dict[str, Any]:
    """Raises Precondition: there is no image, or task and Agent are too long."""
    execution = agent.spec.execution or HowToRun()
    image = execution.image or settings.image
    if not image:
        said = f"Agent {agent.key}: spec.execution.image is empty, and this agent was given no --coder-image"
        raise Precondition(FailureReason.INFRASTRUCTURE_ERROR, said)
    brought = {TASK_FILE: _brought(task), AGENT_FILE: _brought(agent)}
    if sum(len(text.encode()) for text in brought.values()) > ANNOTATIONS_MAX:
        said = f"task and Agent together are longer than {ANNOTATIONS_MAX // 1024} KiB: too long for a Job"
        raise Precondition(FailureReason.CONSTRAINT_VIOLATED, said)
    about = {
        "name": name_of(task, attempt),
        "namespace": settings.namespace,
        "labels": labels_of(task),
        "annotations": {
            TASK_NAMESPACE: task.metadata.namespace or "default",
            TASK_NAME: task.metadata.name,
            ATTEMPT: str(attempt),
        },
        **_owned(task, settings.namespace),
    }
    pod = {
        "metadata": {"labels": labels_of(task), "annotations": brought},
        "spec": _pod(task, attempt, agent, execution, image, address, settings),
    }
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": execution.active_deadline_seconds,
        "ttlSecondsAfterFinished": settings.ttl,
        "template": pod,
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": spec}


def _brought(resource: AgenticTask | Agent) -> str:
    """What `foreman run-task` reads: no status, and of the metadata what says which it is."""
    data = to_wire(resource)
    kept = ("name", "namespace", "uid", "labels")
    meta = {name: value for name, value in data["metadata"].items() if name in kept}
    about = {"apiVersion": data["apiVersion"], "kind": data["kind"]}
    return json.dumps({**about, "metadata": meta, "spec": data["spec"]}, ensure_ascii=False)


def _owned(task: AgenticTask, namespace: str) -> dict[str, Any]:
    """An owner in another namespace is none: the garbage collector would take the Job for an orphan, and remove it."""
    if (task.metadata.namespace or "default") != namespace or not task.metadata.uid:
        return {}
    owner = {"apiVersion": task.api_version, "kind": task.kind, "name": task.metadata.name, "uid": task.metadata.uid}
    return {"ownerReferences": [owner]}


def _pod(
    task: AgenticTask,
    attempt: int,
    agent: Agent,
    execution: HowToRun,
    image: str,
    address: Address,
    settings: CoderJobSettings,
) -> dict[str, Any]:
    files = [("task.json", TASK_FILE), ("agent.json", AGENT_FILE)]
    items = [
        {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}} for path, annotation in files
    ]
    words = ["foreman", "run-task", "-f", "/foreman/task.json", "--agent", "/foreman/agent.json", "--job"]
    words += ["--attempt", str(attempt), "--workspace-dir", "/workspace", "--base-url", address.base_url]
    words += ["--model", address.model] if address.model else []
    words += ["--git-remote-url", settings.git_remote] if settings.git_remote else []
    words += ["--api-key-env", KEY]
    container = {
        "name": "coder",
        "image": image,
        "command": words,
        "env": _environment(agent, settings),
        "resources": execution.resources or {},
        "volumeMounts": [
            {"name": "workspace", "mountPath": "/workspace"},
            {"name": "brought", "mountPath": "/foreman", "readOnly": True},
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"fsGroup": 100, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "workspace", "emptyDir": {}}, {"name": "brought", "downwardAPI": {"items": items}}],
        "containers": [container],
        **({"serviceAccountName": execution.service_account_name} if execution.service_account_name else {}),
    }


def _environment(agent: Agent, settings: CoderJobSettings) -> list[dict[str, Any]]:
    """Secrets by reference only: they are in no manifest. They are those of the Job's namespace."""
    found = [{"name": "HOME", "value": "/workspace"}]
    selector = key_of(agent.spec)
    if selector is not None:
        found.append(_secret(KEY, selector.name, selector.key, bool(selector.optional)))
    if settings.git_secret:
        found.append(_secret("GITHUB_TOKEN", settings.git_secret, settings.git_key, True))
    return found


def _secret(variable: str, name: str, key: str, optional: bool) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key, "optional": optional}}}
