"""The tasks and Workloads that a command is given: by files (YAML or JSON, several documents), or by flags."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from foreman.api import PREFIX, Agent, AgenticTask, InvalidObject, ObjectMeta, Workload, from_wire, to_wire
from foreman.api.fields import fields_of
from foreman.api.meta import Model
from foreman.cli.flags import NAME, SUBDOMAIN_MAX, subdomain
from foreman.dispatching import Order

API_VERSION = f"{PREFIX}v1alpha1"


class BadManifest(Exception):
    """What was given is no task and no Workload; one line says where and why."""


def tasks_in(path: str, namespace: str | None) -> list[AgenticTask | Workload]:
    """The tasks and Workloads in a file ('-': stdin), each with its namespace. Raises BadManifest: file, document, field."""
    found: list[AgenticTask | Workload] = []
    for where, data in _documents(path):
        task = task_from(data, where)
        inside = task.metadata.namespace
        if inside and namespace and inside != namespace:
            raise BadManifest(f"{where}: metadata.namespace: is {inside}, but -n says {namespace}")
        found.append(placed_in(task, inside or namespace or "default"))
    if not found:
        raise BadManifest(f"{_named(path)}: holds no task")
    return found


def task_from(data: Any, where: str) -> AgenticTask | Workload:
    """The task or Workload in `data`; `where` is for messages. Unknown fields of its spec would do nothing: refused."""
    try:
        task = from_wire(data)
    except InvalidObject as error:
        raise BadManifest(f"{where}: {error}") from None
    if not isinstance(task, AgenticTask | Workload):
        told = f"{where}: kind: is {task.kind}, expected AgenticTask or Workload; kubectl apply -f is for the rest"
        raise BadManifest(told)
    for path in unknown_fields(type(task), {"spec": data["spec"]}):
        raise BadManifest(f"{where}: {path}: unknown field")
    if not task.metadata.name and not task.metadata.generate_name:
        raise BadManifest(f"{where}: metadata.name: Required value: name or generateName")
    _check_name(task.metadata, where)
    namespace = task.metadata.namespace
    if namespace and NAME.fullmatch(namespace) is None:
        raise BadManifest(
            f"{where}: metadata.namespace: {namespace!r} is not a valid name (a-z, 0-9 and -, at most 63)"
        )
    try:
        json.dumps(to_wire(task), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadManifest(f"{where}: is not UTF-8 text") from None
    return task


def agent_in(path: str) -> Agent:
    """The one Agent in a file. Raises BadManifest naming file, document and field."""
    found = [_agent(data, where) for where, data in _documents(path)]
    if len(found) != 1:
        raise BadManifest(
            f"{_named(path)}: holds {len(found) or 'no'} Agent{'s' if len(found) > 1 else ''}, expected one"
        )
    return found[0]


def _agent(data: Any, where: str) -> Agent:
    try:
        agent = from_wire(data)
    except InvalidObject as error:
        raise BadManifest(f"{where}: {error}") from None
    if not isinstance(agent, Agent):
        raise BadManifest(f"{where}: kind: is {agent.kind}, expected Agent")
    for path in unknown_fields(Agent, {"spec": data["spec"]}):
        raise BadManifest(f"{where}: {path}: unknown field")
    if not agent.metadata.name:
        raise BadManifest(f"{where}: metadata.name: Required value")
    _check_name(agent.metadata, where)
    return agent


def _check_name(meta: ObjectMeta, where: str) -> None:
    """Folders and branches are named after it, here as on a cluster, whose API server takes no other. Raises BadManifest."""
    name, field = (meta.name, "name") if meta.name else (meta.generate_name or "", "generateName")
    if not subdomain(name if meta.name else f"{name}0"):
        shown = name if len(name) <= SUBDOMAIN_MAX else f"{name[:20]}..."
        said = f"{shown!r} is not a valid name (a-z, 0-9, - and ., at most {SUBDOMAIN_MAX})"
        raise BadManifest(f"{where}: metadata.{field}: {said}")


def flagged(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec without what no flag has said."""
    said = {key: flagged(value) if isinstance(value, dict) else value for key, value in spec.items()}
    return {key: value for key, value in said.items() if value is not None and value != {}}


def from_flags(spec: Mapping[str, Any], name: str | None, prefix: str | None, namespace: str) -> AgenticTask:
    """The task that flags describe; without a name it gets a prefix to make one up from."""
    named = {"name": name} if name else {"generateName": prefix or f"{spec['kind']}-"}
    data = {
        "apiVersion": API_VERSION,
        "kind": "AgenticTask",
        "metadata": named,
        "spec": {"payload": {}, **spec},
    }
    task = task_from(data, "the flags")
    assert isinstance(task, AgenticTask)
    return placed_in(task, namespace)


def placed_in(task: Order, namespace: str) -> Order:
    """The task or Workload as one creates it: without what only a server may say."""
    meta = task.metadata
    own = ObjectMeta(
        name=meta.name,
        namespace=namespace,
        generate_name=meta.generate_name,
        labels=meta.labels,
        annotations=meta.annotations,
        owner_references=meta.owner_references,
        finalizers=meta.finalizers,
    )
    return cast(Order, task.evolve(metadata=own, status=type(task.status)()))


def unknown_fields(model: type[Model], data: Any, path: str = "") -> Iterator[str]:
    """Paths in `data` that `model` does not have."""
    fields = fields_of(model)
    for name, value in data.items() if isinstance(data, Mapping) else ():
        here = f"{path}.{name}" if path else str(name)
        field = fields.get(name)
        if field is None:
            yield here
        elif field.holds is not None and isinstance(value, list):
            for number, each in enumerate(value):
                yield from unknown_fields(field.holds, each, f"{here}[{number}]")
        elif field.holds is not None:
            yield from unknown_fields(field.holds, value, here)


def _documents(path: str) -> Iterator[tuple[str, Any]]:
    """(where, data) of each document that is not empty; the items of a List count as documents of their own."""
    if path == "-" and sys.stdin is None:
        raise BadManifest("stdin: is closed")
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except OSError as error:
        raise BadManifest(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadManifest(f"{_named(path)}: is not UTF-8 text") from None
    except RecursionError:
        raise BadManifest(f"{_named(path)}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadManifest(_malformed(path, error)) from None
    for number, data in enumerate(documents, 1):
        where = f"{_named(path)}: document {number}"
        if isinstance(data, dict) and isinstance(data.get("items"), list):
            yield from ((f"{where}: items[{place}]", each) for place, each in enumerate(data["items"]))
        else:
            yield where, data


def _malformed(path: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f":{mark.line + 1}" if mark is not None else ""
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{_named(path)}{line}: neither YAML nor JSON: {problem}"


def _named(path: str) -> str:
    return "stdin" if path == "-" else path
