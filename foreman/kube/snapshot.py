"""Reading a live cluster for an account: the snapshot, the record of a task that is gone, and what the API's Events say."""

from __future__ import annotations

import json
from typing import Any, cast

from foreman.api import Agent, AgenticTask, ConfigMap, FleetNode, InvalidObject, KubeEvent, parse
from foreman.api.meta import Resource
from foreman.cluster import Cluster, ClusterError, NotFound
from foreman.decide.account import News
from foreman.decide.snapshot import Snapshot
from foreman.kube.events import CLUSTER_SCOPED_NAMESPACE, NO_SUCH_API


async def read_snapshot(cluster: Cluster, wall: int) -> Snapshot:
    """All tasks, nodes and Agents, each kind as of one moment. Raises what the cluster raises."""
    tasks = await cluster.list("AgenticTask")
    nodes = await cluster.list("FleetNode")
    agents = await cluster.list("Agent")
    return Snapshot(
        wall,
        cast("tuple[AgenticTask, ...]", tasks.items),
        cast("tuple[FleetNode, ...]", nodes.items),
        cast("tuple[Agent, ...]", agents.items),
    )


async def recorded(cluster: Cluster, namespace: str, name: str) -> AgenticTask | None:
    """The task as its audit record keeps it, or None: there is no record, or none that we may read."""
    try:
        record = cast(ConfigMap, await cluster.get("ConfigMap", f"foreman-audit-{name}", namespace))
        kept = json.loads(record.data["audit.json"])
        return task_of(kept, record.metadata.creation_timestamp)
    except (ClusterError, InvalidObject, KeyError, TypeError, ValueError):
        return None


def task_of(record: dict[str, Any], recorded_at: int | None) -> AgenticTask:
    """The task that an audit record describes. Raises KeyError, InvalidObject. It does not say when it was created."""
    data = {"metadata": record["task"], "spec": record["spec"], "status": record.get("status", {})}
    return parse(AgenticTask, data)


async def events_about(cluster: Cluster, obj: Resource) -> tuple[News, ...]:
    """Kubernetes Events about the object, oldest first; none where we may not read them."""
    namespace = obj.metadata.namespace or CLUSTER_SCOPED_NAMESPACE
    fields = {"involvedObject.kind": obj.kind, "involvedObject.name": obj.metadata.name}
    try:
        listing = await cluster.list("Event", namespace=namespace, fields=fields)
    except ClusterError:
        return ()
    # A namesake that was deleted has Events of its own.
    told = cast("tuple[KubeEvent, ...]", listing.items)
    ours = [each for each in told if each.involved_object.uid in ("", obj.metadata.uid)]
    return tuple(sorted((_news(each) for each in ours), key=lambda news: news.at or 0))


def _news(event: KubeEvent) -> News:
    at = event.last_timestamp or event.first_timestamp or event.metadata.creation_timestamp
    times = f" ({event.count} times)" if event.count > 1 else ""
    return News(at, event.source.component or event.reporting_component or "event", event.reason, event.message + times)


async def present(cluster: Cluster, namespace: str, name: str) -> AgenticTask | None:
    """The task, or None when there is no task of that name."""
    return cast("AgenticTask | None", await present_of(cluster, "AgenticTask", namespace, name))


async def present_of(cluster: Cluster, kind: str, namespace: str, name: str) -> Resource | None:
    """The same for any kind that has namespaces."""
    try:
        return await cluster.get(kind, name, namespace)
    except NotFound as error:
        if kind_is_missing(error):
            raise
        return None


def kind_is_missing(error: NotFound) -> bool:
    """Whether it is not the object but its kind that the server does not know."""
    return any(words in str(error) for words in (NO_SUCH_API, "404 page not found"))
