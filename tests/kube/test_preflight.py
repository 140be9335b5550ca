"""At the door: a server that is away is waited for; whatever waiting does not mend is one line and an exit code."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from kube_certificates import certificate, openssl, serving_as
from kube_door import ALL, GROUP, NO_ENDPOINTS, NO_SUCH_PATH, REVIEWS, Command, Door, Ended, foreman, message
from kube_scripted import serving, status
from kubeconfigs import kubeconfig
from real_server import free_port

from foreman.election import LEASE_NAME
from foreman.kube.connection import Connection
from foreman.kube.preflight import NotAdmitted, preflight
from foreman.kube.process import Unusable
from foreman.kube.programs import agent_needs, operator_needs
from foreman.kube.runtime import AsyncioRuntime
from foreman.operator import OperatorOptions

OPERATOR = operator_needs(OperatorOptions(leader_elect=True))
AGENT = agent_needs("default", "n1")


def admitted(folder: Path, door: Door, needs=AGENT) -> list[str]:
    """What was asked of the door; raises what the preflight raises."""

    async def story() -> None:
        async with serving(door) as url:
            connection = await Connection.open(kubeconfig(folder, url))
            try:
                await preflight(connection, AsyncioRuntime(), needs)
            finally:
                await connection.close()

    asyncio.run(story())
    return door.asked


def refused(folder: Path, door: Door, needs=AGENT, error: type[Exception] = NotAdmitted) -> str:
    with pytest.raises(error) as caught:
        admitted(folder, door, needs)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("needs", [AGENT, OPERATOR, agent_needs(None, "n1")])
def test_who_has_all_it_needs_comes_in(tmp_path, needs):
    admitted(tmp_path, Door(), needs)


def test_missing_kinds_are_named_with_the_command_that_installs_them(tmp_path):
    names = ", ".join(f"{plural}.foreman.llmkube.dev" for plural in ("agents", "fleetnodes", "workloads"))
    told = refused(tmp_path, Door(serves={"agentictasks"}), OPERATOR)
    assert f"does not know {names}: install with" in told
    assert refused(tmp_path, Door(serves=())).endswith(
        "does not know agentictasks.foreman.llmkube.dev, fleetnodes.foreman.llmkube.dev: "
        "install with `foreman crds | kubectl apply -f -`"
    )


def test_a_kind_missing_behind_a_closed_discovery_is_found_by_listing(tmp_path):
    door = Door(serves={"fleetnodes"}, answers={GROUP: status(403, "no discovery", "Forbidden")})
    assert "does not know agentictasks.foreman.llmkube.dev: install" in refused(tmp_path, door)


def test_credentials_that_are_not_accepted(tmp_path):
    said = refused(tmp_path, Door(answers={"*": status(401, "Unauthorized", "Unauthorized")}))
    assert said.endswith(": the API server does not accept our credentials: Unauthorized")


def test_a_forbidden_list_is_told_in_the_servers_words(tmp_path):
    words = 'agentictasks.foreman.llmkube.dev is forbidden: User "a" cannot list resource "agentictasks"'
    door = Door(answers={f"{GROUP}/namespaces/default/agentictasks": status(403, words, "Forbidden")})
    assert refused(tmp_path, door) == f"missing permission: {words}"


def test_all_missing_permissions_are_named_at_once(tmp_path):
    door = Door(denies={"patch agentictasks/status", "create fleetnodes", "delete fleetnodes"})
    assert refused(tmp_path, door) == (
        'missing permission: patch agentictasks.foreman.llmkube.dev/status in namespace "default"; '
        "create fleetnodes.foreman.llmkube.dev"
    )


def test_rights_bound_to_a_name_are_asked_for_by_name(tmp_path):
    """A role may grant one lease and one node by resourceNames; the right to create cannot be bound so."""
    door = Door()
    admitted(tmp_path, door, [*OPERATOR, *AGENT])
    asked = {(each["verb"], each["resource"], each.get("name", "")) for each in door.reviewed}
    assert {("patch", "leases", LEASE_NAME), ("create", "leases", ""), ("get", "fleetnodes", "n1")} <= asked
    assert ("create", "fleetnodes", "n1") not in asked


def test_a_server_without_reviews_is_taken_at_its_lists(tmp_path):
    assert f"POST {REVIEWS}" in admitted(tmp_path, Door(answers={REVIEWS: NO_SUCH_PATH}))


def test_a_namespace_that_does_not_exist_is_the_users_mistake(tmp_path):
    said = refused(tmp_path, Door(), agent_needs("typo", "n1"), Unusable)
    assert said.startswith('namespace "typo" does not exist at http://127.0.0.1:')
    said = refused(tmp_path, Door(namespaces={"default"}), OPERATOR, Unusable)
    assert said.startswith('namespace "foreman-system" does not exist')


@pytest.mark.parametrize("answer", [status(403, "no", "Forbidden"), NO_SUCH_PATH])
def test_who_may_not_look_at_namespaces_is_believed(tmp_path, answer):
    admitted(tmp_path, Door(answers={"/api/v1/namespaces/default": answer}))


# as a user meets it


def run(folder: Path, door: Door, *words: str) -> Ended:
    async def story() -> Ended:
        async with serving(door) as url:
            return await foreman(*words, "--kubeconfig", kubeconfig(folder, url), *NO_ENDPOINTS)

    return asyncio.run(story())


@pytest.mark.parametrize("words", [("operator",), ("agent", "--fleet-node-name", "preflight-node")])
def test_a_process_that_is_not_admitted_ends_with_one_line_and_1(tmp_path, words):
    ended = run(tmp_path, Door(serves=()), *words)
    assert (ended.code, ended.out) == (1, [])
    assert len(ended.err) == 2, "where it starts, and why it ends"
    assert message(ended.last).startswith("ending: http://127.0.0.1:")
    assert "install with" in ended.last


def test_a_process_that_was_given_a_wrong_namespace_ends_with_2(tmp_path):
    ended = run(tmp_path, Door(), "agent", "--task-namespace", "typo", "--fleet-node-name", "preflight-other")
    assert (ended.code, ended.out) == (2, [])
    assert ended.last.startswith('foreman: namespace "typo" does not exist at http://127.0.0.1:')


@openssl
def test_an_expired_certificate_is_not_waited_out(tmp_path):
    cert, key = certificate(tmp_path, "expired", until="20200201000000Z")

    async def story() -> Ended:
        async with serving(Door(), serving_as(cert, key)) as url:
            path = kubeconfig(tmp_path, url, **{"certificate-authority": str(cert)})
            return await foreman("operator", "--kubeconfig", path, *NO_ENDPOINTS)

    ended = asyncio.run(story())
    assert (ended.code, len(ended.err)) == (1, 2)
    assert "ending: no secure connection to https://127.0.0.1:" in ended.last
    assert message(ended.last).endswith("its certificate is not valid: certificate has expired")


@openssl
def test_a_certificate_of_an_unknown_authority_is_not_waited_out(tmp_path):
    cert, key = certificate(tmp_path, "theirs")

    async def story() -> Ended:
        async with serving(Door(), serving_as(cert, key)) as url:
            return await foreman("operator", "--kubeconfig", kubeconfig(tmp_path, url), *NO_ENDPOINTS)

    ended = asyncio.run(story())
    assert (ended.code, len(ended.err)) == (1, 2)
    assert "its certificate is not valid: self-signed certificate" in ended.last


def test_a_server_that_is_away_is_waited_for_with_one_line(tmp_path):
    """It comes up later, on the same port, and then all goes its way: here to a missing kind."""

    async def story() -> Ended:
        port = free_port()
        path = kubeconfig(tmp_path, f"http://127.0.0.1:{port}")
        command = await Command.start("operator", "--kubeconfig", path, *NO_ENDPOINTS)
        await command.line("does not answer, trying on")
        async with serving(Door(serves=()), port=port):
            return await command.end()

    ended = asyncio.run(story())
    assert ended.code == 1
    said = [message(line) for line in ended.err]
    assert [line.partition(" at ")[0] for line in said[:3]] == [
        "starting foreman operator",
        "the API server",
        "the API server",
    ]
    assert said[1].endswith("connection refused")
    assert said[2].endswith("answers")
    assert len(said) == 4


@pytest.mark.parametrize("words", [("operator", "--leader-elect"), ("agent", "--fleet-node-name", "preflight-waiting")])
def test_who_waits_for_the_server_ends_when_told(tmp_path, words):
    async def story() -> Ended:
        path = kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}")
        command = await Command.start(*words, "--kubeconfig", path, *NO_ENDPOINTS)
        await command.line("does not answer, trying on")
        command.signal(signal.SIGTERM)
        return await command.end()

    ended = asyncio.run(story())
    assert ended.code == 0
    assert message(ended.last) == "ended as told"


def test_all_kinds_are_served_by_the_door():
    """Negative control of the fake itself."""
    assert {need.resource.partition(".")[0] for need in OPERATOR if "foreman" in need.resource} <= set(ALL)
