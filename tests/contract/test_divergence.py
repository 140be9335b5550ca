"""The simulator's API server against a real one: the same random requests, and not one answer that differs."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from arms import clear_tasks
from dialogue import Answer, Ask, Dialogue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubeconfigs import kubeconfig

from foreman.kube.connection import MERGE_PATCH, Connection
from sim.apiserver import ApiServer
from sim.http.serve import Server

GROUP = "foreman.llmkube.dev/v1alpha1"
TASKS = "/namespaces/NS/agentictasks"
JSON_PATCH = "application/json-patch+json"
_numbers = itertools.count()

names = st.sampled_from(["a", "b", "c"])
versions = st.sampled_from(["", "", "now", "now", "old", "wrong", "bad"])
uids = st.sampled_from(["", "", "", "now", "old", "wrong"])


def some(*choices: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(choices)


payloads = some({}, {"repo": "o/r", "issue": 3}, {"issue": 0}, {"prompt": "x", "unheard": {"of": 1}}, None, "text", [1])
capabilities = some(
    {}, {"minRAMGB": 4}, {"minRAMGB": -1}, {"accelerator": "cuda"}, {"accelerator": "abacus"}, {"roles": ["a", 1]}
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "kind": some("freeform", "freeform", "verify", "poem", 7, None),
        "payload": payloads,
        "requiredCapability": capabilities,
        "timeoutSeconds": some(0, 60, -5, 2**31, 1.5, "60", None),
        "priority": some(0, 5, -5, "high", 2**40),
        "dependsOn": some([], ["a"], ["a", None], "a", None),
        "retryPolicy": some({}, {"maxAttempts": 0}, {"maxAttempts": 3, "backoffSeconds": 1}),
        "unknown": some(1, {"deep": []}),
        "mcpEnabled": some(True, "yes", None),
    },
)
good_specs = st.just({"kind": "freeform", "payload": {}})
strings = some("x", "y", "", "not valid!", "x" * 64)
metas = st.fixed_dictionaries(
    {},
    optional={
        "labels": some(
            {}, {"x": "1"}, {"x": "2", "y": "1"}, {"x": None}, {"bad key!": "1"}, {"x": "no spaces"}, {"x": 1}, None
        ),
        "annotations": some({}, {"k": "v"}, {"k": None}, {"k": 1}),
        "finalizers": some([], ["foreman.llmkube.dev/f"], ["nodomain"], ["a.b/c", "a.b/d"], None),
        "generation": some(7),
        "uid": some("mine"),
        "creationTimestamp": some("2020-01-01T00:00:00Z", None),
    },
)
statuses = st.fixed_dictionaries(
    {},
    optional={
        "phase": some("Pending", "Scheduled", "Running", "Paused", "", None),
        "assignedNode": some("n1", "n2", "", None, 3),
        "attempt": some(0, 1, -1, None),
        "holder": some("me", None),
        "claimedAt": some("2026-01-01T00:00:00Z", "yesterday", None, 5),
        "strikes": some({}, {"n1": 1}, {"n1": None, "n2": 2}, {"n1": "one"}, None),
        "result": some({"free": [1, {"form": None}]}, {"free": None}, None, "text"),
        "conditions": some(
            [],
            [
                {
                    "type": "A",
                    "status": "True",
                    "reason": "r",
                    "message": "m",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ],
            [{"type": "A", "status": "Perhaps", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            [{"status": "True"}],
            None,
        ),
        "stray": some(1),
    },
)


def body(name: Any, spec: Any, meta: Any, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "NS", **meta} if isinstance(meta, dict) else meta
    return {"apiVersion": GROUP, "kind": "AgenticTask", "metadata": metadata, "spec": spec, **more}


creates = st.builds(
    lambda name, spec, meta, more: Ask("POST", TASKS, body(name, spec, meta, **more)),
    names,
    good_specs | specs,
    st.just({}) | metas,
    some({}, {}, {"status": {"phase": "Running"}}, {"stray": 1}),
)
malformed = st.builds(
    lambda made: Ask("POST", TASKS, made),
    some(
        body("a", None, {}),
        body("a", {"kind": "freeform", "payload": {}}, "text"),
        body("A_B", {"kind": "freeform", "payload": {}}, {}),
        body("", {"kind": "freeform", "payload": {}}, {}),
        body("a" * 260, {"kind": "freeform", "payload": {}}, {}),
        {**body("a", {"kind": "freeform", "payload": {}}, {}), "kind": "FleetNode"},
        {**body("a", {"kind": "freeform", "payload": {}}, {}), "apiVersion": "foreman.llmkube.dev/v2"},
        {"metadata": {"name": "a"}},
        body("a", {"kind": "freeform", "payload": {}}, {"namespace": "elsewhere"}),
        {},
        [1],
    ),
)
reads = st.builds(lambda name, below: Ask("GET", f"{TASKS}/{name}{below}"), names, some("", "", "/status", "/scale"))
lists = st.builds(
    lambda query: Ask("GET", TASKS, query=tuple(sorted(query.items()))),
    st.fixed_dictionaries(
        {},
        optional={
            "labelSelector": some("x=1", "x!=1", "x in (1,2)", "!x", "x", "x=1,y=1", "x notin (1)", "===", "x in"),
            "fieldSelector": some(
                "status.phase=Pending",
                "status.assignedNode=n1",
                "status.assignedNode!=",
                "metadata.name=a",
                "spec.kind=x",
                "=,",
            ),
            "limit": some("1", "2", "0", "many"),
        },
    ),
)
patches = st.builds(
    lambda name, meta, spec, version, uid: Ask(
        "PATCH",
        f"{TASKS}/{name}",
        {**({"metadata": meta} if meta else {}), **({"spec": spec} if spec else {})},
        MERGE_PATCH,
        version=version,
        uid=uid,
    ),
    names,
    metas,
    specs,
    versions,
    uids,
)
status_patches = st.builds(
    lambda name, status, more, version: Ask(
        "PATCH", f"{TASKS}/{name}/status", {"status": status, **more}, MERGE_PATCH, version=version
    ),
    names,
    statuses,
    some({}, {}, {"spec": {"priority": 9}}, {"metadata": {"labels": {"sneaked": "in"}}}),
    versions,
)
json_patches = st.builds(
    lambda name, operations: Ask("PATCH", f"{TASKS}/{name}", operations, JSON_PATCH),
    names,
    some(
        [{"op": "replace", "path": "/spec/priority", "value": 3}],
        [{"op": "add", "path": "/metadata/labels", "value": {"x": "1"}}],
        [{"op": "remove", "path": "/spec/priority"}],
        [{"op": "test", "path": "/spec/kind", "value": "verify"}],
        [{"op": "add", "path": "/spec/dependsOn/-", "value": "z"}],
        [{"op": "jump", "path": "/spec"}],
        {"op": "replace"},
    ),
)
puts = st.builds(
    lambda name, spec, meta, version, below: Ask(
        "PUT", f"{TASKS}/{name}{below}", body(name, spec, meta, status={"phase": "Running"}), version=version
    ),
    names,
    good_specs | specs,
    st.just({}) | metas,
    versions,
    some("", "", "/status"),
)
deletes = st.builds(
    lambda name, version, uid: Ask("DELETE", f"{TASKS}/{name}", version=version, uid=uid), names, versions, uids
)
odd = some(
    Ask("PATCH", f"{TASKS}/a", {"spec": {}}, "application/strategic-merge-patch+json"),
    Ask("PATCH", f"{TASKS}/a", [1], MERGE_PATCH),
    Ask("POST", f"{TASKS}/a", {}),
    Ask("PUT", TASKS, {}),
    Ask("GET", "/namespaces/NS/poems"),
    Ask("GET", "/agentictasks/a"),
    Ask("GET", "/namespaces/NS/fleetnodes"),
    Ask("DELETE", TASKS, query=(("labelSelector", "x=1"),)),
    Ask("GET", TASKS, query=(("resourceVersion", "abc"),)),
    Ask("GET", TASKS, query=(("watch", "true"), ("resourceVersion", "abc"))),
)
asks = (
    creates
    | creates
    | malformed
    | reads
    | lists
    | patches
    | status_patches
    | status_patches
    | json_patches
    | puts
    | deletes
    | odd
)


class Pair(NamedTuple):
    """A simulated and a real server, and the loop both clients live on."""

    runner: asyncio.Runner
    simulated: Connection
    real: Connection


@pytest.fixture(scope="module")
def pair(real_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    runner = asyncio.Runner()
    server = Server(ApiServer(lambda: int(time.time())))
    runner.run(server.start())
    simulated = runner.run(Connection.open(kubeconfig(tmp_path_factory.mktemp("sim"), server.url)))
    real = runner.run(Connection.open(real_server.kubeconfig))
    yield Pair(runner, simulated, real)
    for connection in (simulated, real):
        runner.run(connection.close())
    runner.run(server.stop())
    runner.close()


async def talk(connection: Connection, namespace: str, sequence: list[Ask]) -> tuple[list[Answer], list[Any]]:
    """The answers to the sequence, and then what a watch over all of it has to say."""
    dialogue = Dialogue(connection, namespace)
    reply = await connection.request("GET", f"/apis/{GROUP}/namespaces/{namespace}/agentictasks")
    answers = [await dialogue.ask(ask) for ask in sequence]
    last = body("zz-last", {"kind": "freeform", "payload": {}}, {})
    assert (await dialogue.ask(Ask("POST", TASKS, last))).code == 201
    events = await dialogue.watched(TASKS, reply.data["metadata"]["resourceVersion"], "zz-last")
    await clear_tasks(connection, namespace)
    return answers, events


def told(answer: Answer) -> Any:
    """What of an answer must agree: everything of an object; of a refusal the code, the reason and the fields named."""
    said = answer.body
    if answer.code < 400 or not isinstance(said, dict):
        return answer
    causes = (said.get("details") or {}).get("causes") or []
    return answer.code, said.get("reason"), sorted({str(cause.get("field")) for cause in causes})


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(asks, min_size=1, max_size=12))
def test_no_answer_differs(pair: Pair, sequence: list[Ask]) -> None:
    namespace = f"diverge-{next(_numbers)}-{time.time_ns()}"
    ours, our_events = pair.runner.run(talk(pair.simulated, namespace, sequence))
    real, real_events = pair.runner.run(talk(pair.real, namespace, sequence))
    for ask, mine, theirs in zip(sequence, ours, real, strict=True):
        assert told(mine) == told(theirs), f"{ask}\nsimulated: {mine}\nreal:      {theirs}"
    assert our_events == real_events
