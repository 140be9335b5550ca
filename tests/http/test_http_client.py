"""The official client, asynchronous half, over the simulator's API server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from http_kit import Site, task
from kubernetes.aio import client, watch
from kubernetes.aio.client import ApiClient, ApiException, Configuration

PLACE = {"group": "foreman.llmkube.dev", "version": "v1alpha1", "namespace": "default", "plural": "agentictasks"}


def using(site: Site, work: Callable[[ApiClient], Awaitable[Any]]) -> Any:
    async def talk() -> Any:
        async with ApiClient(Configuration(host=site.server.url)) as api:
            return await work(api)

    return site.run(talk())


def test_custom_objects(site: Site) -> None:
    async def work(api: ApiClient) -> Any:
        custom = client.CustomObjectsApi(api)
        made = await custom.create_namespaced_custom_object(**PLACE, body=task("a"))
        patched = await custom.patch_namespaced_custom_object(**PLACE, name="a", body={"spec": {"priority": 3}})
        status = await custom.patch_namespaced_custom_object_status(
            **PLACE, name="a", body={"status": {"phase": "Pending"}}
        )
        stale = {**made, "metadata": {**made["metadata"], "labels": {"x": "1"}}}
        with pytest.raises(ApiException) as conflict:
            await custom.replace_namespaced_custom_object(**PLACE, name="a", body=stale)
        listed = await custom.list_namespaced_custom_object(**PLACE, field_selector="status.phase=Pending")
        await custom.delete_namespaced_custom_object(**PLACE, name="a")
        with pytest.raises(ApiException) as gone:
            await custom.get_namespaced_custom_object(**PLACE, name="a")
        return patched, status, conflict.value.status, listed, gone.value.status

    patched, status, conflict, listed, gone = using(site, work)
    assert (patched["spec"]["priority"], status["status"]["phase"]) == (3, "Pending")
    assert [each["metadata"]["name"] for each in listed["items"]] == ["a"]
    assert (conflict, gone) == (409, 404)


def test_a_watch(site: Site) -> None:
    site.create("a")
    site.create("b")

    async def work(api: ApiClient) -> Any:
        custom = client.CustomObjectsApi(api)
        async with watch.Watch() as watching:
            listing = custom.list_namespaced_custom_object
            return [
                (event["type"], event["object"]["metadata"]["name"])
                async for event in watching.stream(listing, **PLACE, timeout_seconds=1)
            ]

    assert using(site, work) == [("ADDED", "a"), ("ADDED", "b")]


def test_leases(site: Site) -> None:
    async def work(api: ApiClient) -> Any:
        leases = client.CoordinationV1Api(api)
        spec = client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=15)
        body = client.V1Lease(metadata=client.V1ObjectMeta(name="lead"), spec=spec)
        made = await leases.create_namespaced_lease("default", body)
        made.spec.lease_transitions = 1
        return await leases.replace_namespaced_lease("lead", "default", made)

    replaced = using(site, work)
    assert (replaced.spec.holder_identity, replaced.spec.lease_transitions) == ("me", 1)


def test_configmaps_and_the_version(site: Site) -> None:
    async def work(api: ApiClient) -> Any:
        core = client.CoreV1Api(api)
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "1"})
        await core.create_namespaced_config_map("default", body)
        listed = await core.list_namespaced_config_map("default")
        version = await client.VersionApi(api).get_code()
        return listed.items[0].data, version.git_version

    assert using(site, work) == ({"a": "1"}, "v1.36.4")
