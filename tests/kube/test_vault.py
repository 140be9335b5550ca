"""What is read of Secrets and InferenceServices, and that an error never repeats what a Secret holds."""

from __future__ import annotations

import asyncio
import base64

import pytest

from foreman.cluster import Forbidden, Unavailable
from foreman.kube.connection import Reply
from foreman.kube.vault import KubeVault

KEY = base64.b64encode(b"abcd1234").decode()


class Door:
    def __init__(self, status, data):
        self.reply = Reply(status, 0.0, data)
        self.paths = []

    async def request(self, method, path, query=None):
        self.query = query
        self.paths.append((method, path))
        return self.reply


def read(status, data, what):
    door = Door(status, data)
    return asyncio.run(what(KubeVault(door))), door.paths


@pytest.mark.parametrize(
    ("status", "data", "value"),
    [
        (200, {"data": {"x": KEY}}, "abcd1234"),
        (200, {"data": {"y": KEY}}, None),
        (200, {"data": {"x": "%%%"}}, None),
        (200, {"data": {"x": base64.b64encode(b"\xff").decode()}}, None),
        (200, {}, None),
        (404, {}, None),
    ],
)
def test_a_secret(status, data, value):
    found, paths = read(status, data, lambda vault: vault.secret("team", "keys", "x"))
    assert found == value
    assert paths == [("GET", "/api/v1/namespaces/team/secrets/keys")]


@pytest.mark.parametrize(
    ("status", "data", "value"),
    [
        (200, {"status": {"endpoint": "http://x"}}, "http://x"),
        (200, {"status": {}}, ""),
        (200, {}, ""),
        (404, {}, None),
    ],
)
def test_an_inference_service(status, data, value):
    found, paths = read(status, data, lambda vault: vault.inference_service("team", "qwen"))
    assert found == value
    assert paths == [("GET", "/apis/inference.llmkube.dev/v1alpha1/namespaces/team/inferenceservices/qwen")]


READY, GONE = {"conditions": {"ready": True}}, {"conditions": {"ready": False}}


@pytest.mark.parametrize(
    ("slices", "port"),
    [
        ([{"endpoints": [READY], "ports": [{"port": 31080}]}], 31080),
        ([{"endpoints": [{}], "ports": [{"port": 31080}]}], 31080),
        ([{"endpoints": [GONE], "ports": [{"port": 1}]}, {"endpoints": [READY], "ports": [{"port": 2}]}], 2),
        ([{"endpoints": [GONE], "ports": [{"port": 1}]}], None),
        ([{"endpoints": [READY], "ports": [{}]}], None),
        ([{"endpoints": None, "ports": None}], None),
        ([], None),
    ],
)
def test_the_port_of_a_service(slices, port):
    found, paths = read(200, {"items": slices}, lambda vault: vault.service_port("team", "qwen"))
    assert found == port
    assert paths == [("GET", "/apis/discovery.k8s.io/v1/namespaces/team/endpointslices")]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Forbidden), (403, Forbidden), (500, Unavailable), (429, Unavailable)]
)
def test_a_refusal_tells_nothing_of_the_answer(status, kind):
    with pytest.raises(kind) as raised:
        read(status, {"data": {"x": KEY}}, lambda vault: vault.secret("team", "keys", "x"))
    assert KEY not in str(raised.value)
