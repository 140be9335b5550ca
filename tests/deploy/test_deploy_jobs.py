"""The rights to gates and Agents as Jobs: what the client asks for and nothing else, in a namespace that holds nothing else."""

from __future__ import annotations

import asyncio
import re

import pytest
from manifests import BASE, DEPLOY, documents
from rbac import Rbac

from foreman.kube.connection import Reply
from foreman.kube.jobs import KubeJobs

COMPONENT = documents(DEPLOY / "components/native-agent/rbac.yaml")
RBAC = Rbac([*(each.object for each in BASE), *COMPONENT])
AGENTS = ("system:serviceaccount:foreman-system:foreman-agent", "system:serviceaccount:foreman-agents:mac-1")
JOBS = "foreman-jobs"
PATH = re.compile(r"/(?:api/v1|apis/([^/]+)/[^/]+)/namespaces/([^/]+)/([a-z]+)(?:/([^/?]+))?(?:/([a-z]+))?")
LISTED, NAMED = {"GET": "list", "POST": "create"}, {"GET": "get", "DELETE": "delete"}


class Ear:
    """A connection that notes what is asked of it, in the API server's words."""

    def __init__(self):
        self.asked = set()

    def _note(self, method, path):
        group, namespace, resource, name, sub = PATH.fullmatch(path.partition("?")[0]).groups()
        verb = (NAMED if name else LISTED)[method]
        self.asked.add((verb, group or "", resource, sub or "", namespace, name or ""))

    async def request(self, method, path, query=None, body=None):
        self._note(method, path)
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "gate"}]}}
        return Reply(200, 0.0, {"items": [pod]})

    async def text(self, path, silence):
        self._note("GET", path)
        yield 200, b"log"


def asked():
    ear = Ear()
    jobs = KubeJobs(ear)

    async def go():
        await jobs.create(JOBS, {})
        await jobs.get(JOBS, "j")
        await jobs.list(JOBS, "a=b")
        await jobs.log_tail(JOBS, "j", 10)
        await jobs.delete(JOBS, "j")

    asyncio.run(go())
    return ear.asked


@pytest.mark.parametrize("agent", AGENTS)
def test_the_rights_suffice_there_and_nowhere_else(agent):
    for verb, group, resource, sub, namespace, name in asked():
        assert RBAC.authorize(agent, verb, group, resource, sub, namespace, name), (verb, resource)
        for other in ("default", "foreman-system", ""):
            assert not RBAC.authorize(agent, verb, group, resource, sub, other, name), (verb, resource, other)


def test_nothing_is_granted_that_is_not_asked():
    wanted = {(verb, f"{resource}/{sub}" if sub else resource) for verb, _, resource, sub, _, _ in asked()}
    [role] = [each for each in COMPONENT if each["kind"] == "Role"]
    granted = {(verb, resource) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert granted == wanted


def test_a_job_finds_no_identity_and_no_secret_of_ours_beside_it():
    """Who may make a Job there could use them all."""
    ours = {(each.kind, each.object["metadata"].get("namespace")) for each in BASE}
    assert not {kind for kind, namespace in ours if namespace == JOBS}
    [space] = [each for each in COMPONENT if each["kind"] == "Namespace"]
    assert space["metadata"]["name"] == JOBS
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"


@pytest.mark.parametrize(
    "call",
    [
        ("patch", "batch", "jobs", "", JOBS, "j"),
        ("create", "", "pods", "", JOBS, ""),
        ("create", "", "pods", "exec", JOBS, "p"),
        ("get", "", "secrets", "", JOBS, "foreman-git-credentials"),
        ("list", "", "secrets", "", JOBS, ""),
    ],
)
def test_what_nobody_needs_is_refused(call):
    assert not any(RBAC.authorize(agent, *call) for agent in AGENTS)
