"""The Jobs client against a scripted API server: what it asks, and that the tail of a log is its tail."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from kube_scripted import serving, status

from foreman.cluster import AlreadyExists, NotFound
from foreman.kube.connection import Connection
from foreman.kube.jobs import KubeJobs


def against(tmp_path, handler, call):
    async def go():
        async with serving(handler) as server:
            config = tmp_path / "config"
            config.write_text(
                json.dumps(
                    {
                        "apiVersion": "v1",
                        "kind": "Config",
                        "current-context": "c",
                        "clusters": [{"name": "c", "cluster": {"server": server}}],
                        "users": [{"name": "c", "user": {"token": "t"}}],
                        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
                    }
                )
            )
            connection = await Connection.open(str(config))
            try:
                return await call(KubeJobs(connection))
            finally:
                await connection.close()

    return asyncio.run(go())


def test_create_get_delete(tmp_path):
    asked = []

    async def handler(request):
        body = await request.text()
        asked.append((request.method, request.path, json.loads(body or "{}").get("propagationPolicy", "")))
        return web.json_response({"kind": "Job", "metadata": {"name": "j"}})

    async def call(jobs):
        await jobs.create("ns", {"metadata": {"name": "j"}})
        job = await jobs.get("ns", "j")
        await jobs.delete("ns", "j")
        return job

    assert against(tmp_path, handler, call)["metadata"]["name"] == "j"
    base = "/apis/batch/v1/namespaces/ns/jobs"
    assert asked == [("POST", base, ""), ("GET", f"{base}/j", ""), ("DELETE", f"{base}/j", "Background")]


def test_errors_are_those_of_the_cluster(tmp_path):
    async def exists(request):
        return status(409, "there", "AlreadyExists")

    with pytest.raises(AlreadyExists):
        against(tmp_path, exists, lambda jobs: jobs.create("ns", {}))

    async def gone(request):
        return status(404)

    with pytest.raises(NotFound):
        against(tmp_path, gone, lambda jobs: jobs.get("ns", "j"))


@pytest.mark.parametrize(("exit_code", "container"), [(0, "gate"), (128, "clone")])
def test_the_log_tail(tmp_path, exit_code, container):
    lines = [f"line {i}\n" for i in range(20_000)]
    query = {}

    async def handler(request):
        if request.path.endswith("/log"):
            query.update(request.query)
            return web.Response(text="".join(lines))
        assert request.query["labelSelector"] == "job-name=j"
        state = {"terminated": {"exitCode": exit_code}}
        pods = [
            {
                "metadata": {"name": "new", "creationTimestamp": "2"},
                "spec": {"containers": [{"name": "gate"}]},
                "status": {"initContainerStatuses": [{"name": "clone", "state": state}]},
            },
            {"metadata": {"name": "old", "creationTimestamp": "1"}},
        ]
        return web.json_response({"items": pods})

    log = against(tmp_path, handler, lambda jobs: jobs.log_tail("ns", "j", 1000))
    assert log.endswith("line 19999\n")
    assert len(log) < 1100
    assert query["container"] == container
    assert "limitBytes" not in query
    assert int(query["tailLines"]) > 0


def test_jobs_are_listed_by_label(tmp_path):
    async def handler(request):
        assert (request.path, request.query["labelSelector"]) == ("/apis/batch/v1/namespaces/ns/jobs", "a=b,c=d")
        return web.json_response({"items": [{"metadata": {"name": "j"}}]})

    assert against(tmp_path, handler, lambda jobs: jobs.list("ns", "a=b,c=d")) == [{"metadata": {"name": "j"}}]


def test_a_job_without_a_pod(tmp_path):
    async def handler(request):
        return web.json_response({"items": []})

    with pytest.raises(NotFound, match="has no pod"):
        against(tmp_path, handler, lambda jobs: jobs.log_tail("ns", "j", 1000))
