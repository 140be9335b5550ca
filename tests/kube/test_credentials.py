"""Where the API server is and who we are there, and that both may change while a process runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kube_certificates import certificate, openssl, serving_as
from kube_scripted import Script, listing, serving, status
from kubeconfigs import kubeconfig

from foreman.cluster import Forbidden, Unavailable
from foreman.kube import connection as module
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from foreman.kube.credentials import Credentials, NoCluster


async def opened(path: str | None, context: str | None = None) -> str:
    connection = await Connection.open(path, context)
    await connection.close()
    return connection.server


def refusal(path: str | None, context: str | None = None) -> str:
    with pytest.raises(NoCluster) as caught:
        asyncio.run(opened(path, context))
    said = str(caught.value)
    assert "\n" not in said
    return said


# where it is


def test_the_flag_comes_before_the_environment(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    asked, other = kubeconfig(tmp_path / "a", "http://asked"), kubeconfig(tmp_path / "b", "http://other")
    monkeypatch.setenv("KUBECONFIG", other)
    assert asyncio.run(opened(asked)) == "http://asked"
    assert asyncio.run(opened(None)) == "http://other"


def test_the_environment_comes_before_the_pod(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "http://other"))
    assert asyncio.run(opened(None)) == "http://other"


def test_in_a_pod_the_service_account_counts(monkeypatch: Any) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert refusal(None) == "the pod's service account: Service token file does not exist."


def test_without_anything_it_says_what_to_do(tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refusal(None) == "no cluster to talk to: give --kubeconfig FILE, set KUBECONFIG, or try `foreman dev`"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "kubeconfig: is not a kubeconfig"),
        ("- a list\n", "kubeconfig: is not a kubeconfig"),
        ("[" * 5000, "kubeconfig: is not a kubeconfig"),
        ("{", "kubeconfig: while parsing"),
        ("clusters: []\n", "Expected key current-context"),
    ],
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    assert said in refusal(str(path))


def test_a_file_or_context_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "none")) == f"no kubeconfig at {tmp_path / 'none'}"
    path = kubeconfig(tmp_path, "http://x")
    assert "Expected object with name nowhere" in refusal(path, "nowhere")
    assert "File does not exists" in refusal(kubeconfig(tmp_path, "https://x", **{"certificate-authority": "/none"}))


def test_certificates_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("not a certificate")
    path = kubeconfig(tmp_path, "https://x", **{"certificate-authority": str(tmp_path / "ca.crt")})
    assert refusal(path).startswith(f"cannot use the certificates of {path}: ")


# who we are


def bearer(*accepted: str) -> Any:
    """A server that knows these tokens, and what it was shown."""
    shown: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        shown.append(request.headers.get("Authorization", ""))
        if shown[-1].removeprefix("Bearer ") in accepted:
            return listing()
        return status(401, "Unauthorized", "Unauthorized")

    return answer, shown


def test_a_token_that_was_refused_is_read_again_at_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    answer, shown = bearer("new")

    async def story() -> None:
        async with serving(answer) as url:
            connection = await Connection.open(kubeconfig(tmp_path, url, {"tokenFile": str(token)}))
            token.write_text("new")
            await KubeCluster(connection).list("AgenticTask")
            await connection.close()

    asyncio.run(story())
    assert shown == ["Bearer old", "Bearer new"]


def test_a_token_is_read_again_before_it_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    answer, shown = bearer("old", "new")

    async def story() -> None:
        async with serving(answer) as url:
            connection = await Connection.open(kubeconfig(tmp_path, url, {"tokenFile": str(token)}))
            cluster = KubeCluster(connection)
            await cluster.list("AgenticTask")
            token.write_text("new")
            await cluster.list("AgenticTask")
            monkeypatch.setattr(module, "RELOAD_SECONDS", 0.0)
            await cluster.list("AgenticTask")
            await connection.close()

    asyncio.run(story())
    assert shown == ["Bearer old", "Bearer old", "Bearer new"]


def test_a_token_that_stays_wrong_is_refused_after_two_tries(tmp_path: Path) -> None:
    answer, shown = bearer("other")

    async def story() -> None:
        async with serving(answer) as url:
            connection = await Connection.open(kubeconfig(tmp_path, url, {"token": "mine"}))
            with pytest.raises(Forbidden, match="does not accept our credentials: Unauthorized"):
                await KubeCluster(connection).list("AgenticTask")
            await connection.close()

    asyncio.run(story())
    assert len(shown) == 2


def test_a_kubeconfig_that_vanishes_leaves_what_is_known(tmp_path: Path, monkeypatch: Any) -> None:
    script = Script(listing())

    async def story() -> None:
        async with serving(script) as url:
            path = kubeconfig(tmp_path, url)
            connection = await Connection.open(path)
            monkeypatch.setattr(module, "RELOAD_SECONDS", 0.0)
            os.unlink(path)
            await KubeCluster(connection).list("AgenticTask")
            await connection.close()

    asyncio.run(story())
    assert len(script.asked) == 1


def test_an_exec_plugin_is_asked_once_while_its_answer_is_good(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    until = '"expirationTimestamp": "2999-01-01T00:00:00Z"'
    said = f'{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "t", {until}}}}}'
    plugin.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked\ncat <<'EOT'\n{said}\nEOT\n")
    plugin.chmod(0o755)
    execute = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}

    async def story() -> list[Any]:
        credentials = Credentials(kubeconfig(tmp_path, "http://x", {"exec": execute}))
        return [(await credentials.load()).api_key for _ in range(3)]

    assert asyncio.run(story()) == [{"BearerToken": "Bearer t"}] * 3
    assert (tmp_path / "asked").read_text() == "asked\n"


# certificates


@openssl
def test_a_new_certificate_authority_is_taken_in(tmp_path: Path, monkeypatch: Any) -> None:
    """The server's certificate is replaced, and the file that vouches for it: connections made after that use the new one."""
    old, new = certificate(tmp_path, "old"), certificate(tmp_path, "new")
    authority = tmp_path / "ca.crt"
    authority.write_bytes(old[0].read_bytes())
    script = Script(listing())

    async def story() -> None:
        async with serving(script, serving_as(*old)) as url:
            path = kubeconfig(tmp_path, url, **{"certificate-authority": str(authority)})
            connection = await Connection.open(path)
            cluster = KubeCluster(connection)
            await cluster.list("AgenticTask")
        port = int(url.rpartition(":")[2])
        async with serving(script, serving_as(*new), port):
            with pytest.raises(Unavailable, match="certificate verify failed"):
                await cluster.list("AgenticTask")
            authority.write_bytes(new[0].read_bytes())
            monkeypatch.setattr(module, "RELOAD_SECONDS", 0.0)
            await cluster.list("AgenticTask")
        await connection.close()

    asyncio.run(story())
    assert len(script.asked) == 2


@openssl
def test_an_expired_certificate_is_called_that(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "expired", until="20200201000000Z")
    script = Script(listing())

    async def story() -> None:
        async with serving(script, serving_as(cert, key)) as url:
            connection = await Connection.open(kubeconfig(tmp_path, url, **{"certificate-authority": str(cert)}))
            with pytest.raises(Unavailable, match="certificate has expired"):
                await KubeCluster(connection).list("AgenticTask")
            await connection.close()

    asyncio.run(story())
