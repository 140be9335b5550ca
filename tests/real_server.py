"""A real Kubernetes API server on loopback, for tests.

Where it comes from, in this order: the cluster that the kubeconfig in FOREMAN_TEST_KUBECONFIG names; `etcd`, `kube-apiserver`
in KUBEBUILDER_ASSETS; `etcd` and `crdserver` in FOREMAN_KUBE_ASSETS. Without one of these there is none, and what needs it is
skipped. What is started here has its own data directory and free ports, and is ended here.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from kubeconfigs import kubeconfig

CRDS = Path(__file__).resolve().parents[1] / "crds"
TOKEN = "foreman-test"
READY_SECONDS = 60.0
MISSING = "no real API server: set FOREMAN_KUBE_ASSETS, KUBEBUILDER_ASSETS or FOREMAN_TEST_KUBECONFIG"
LEASE = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "leases.coordination.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, stand-in for the built-in type in tests"},
    },
    "spec": {
        "group": "coordination.k8s.io",
        "scope": "Namespaced",
        "names": {"plural": "leases", "singular": "lease", "kind": "Lease", "listKind": "LeaseList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "holderIdentity": {"type": "string"},
                                    "leaseDurationSeconds": {"type": "integer", "format": "int32"},
                                    "acquireTime": {"type": "string", "format": "date-time"},
                                    "renewTime": {"type": "string", "format": "date-time"},
                                    "leaseTransitions": {"type": "integer", "format": "int32"},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


class RealServer(NamedTuple):
    """`kubeconfig`: path of a file that gives all rights. `etcd`: URL of its etcd, '' when it is not ours."""

    kubeconfig: str
    etcd: str


class Missing(Exception):
    """There is no real server to be had; the message says why."""


def assets() -> tuple[Path, str] | None:
    """The directory of the binaries and the server's name among them."""
    for variable, server in (("KUBEBUILDER_ASSETS", "kube-apiserver"), ("FOREMAN_KUBE_ASSETS", "crdserver")):
        folder = os.environ.get(variable)
        for found in (Path(folder), Path(folder) / "bin") if folder else ():
            if (found / "etcd").is_file() and (found / server).is_file():
                return found, server
    return None


OURS = {
    "agentictasks": {
        "spec": ("retryPolicy",),
        "status": ("attempt", "failures", "handbacks", "holder", "retryAfter", "strikes", "supervised"),
    },
    "fleetnodes": {"spec": ("slots",), "status": ("instance",)},
}
"""What we have added to the original's CRDs, by plural."""


def our_crds() -> list[Any]:
    """The CRDs that ship."""
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(CRDS.glob("*_*.yaml"))]


def original_crds() -> list[Any]:
    """The same with the fields of the Go original only: nothing of ours, no selectable fields."""
    crds = our_crds()
    for crd in crds:
        (version,) = crd["spec"]["versions"]
        version.pop("selectableFields", None)
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        for part, names in OURS.get(crd["spec"]["names"]["plural"], {}).items():
            for name in names:
                del properties[part]["properties"][name]
    return crds


@contextmanager
def real_server(*flags: str, crds: Callable[[], list[Any]] = our_crds) -> Iterator[RealServer]:
    """The server with `crds` in it. `flags` go to a server that is started here. Raises Missing."""
    given = os.environ.get("FOREMAN_TEST_KUBECONFIG")
    if given:
        if flags or crds is not our_crds:
            raise Missing("the cluster that FOREMAN_TEST_KUBECONFIG names is taken as it is")
        yield RealServer(given, "")
        return
    found = assets()
    if found is None:
        raise Missing(MISSING)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="foreman-real-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        etcd = start_etcd(found[0] / "etcd", folder, stack)
        port = free_port()
        command = server_command(found[0] / found[1], etcd, port, folder)
        start([*command, *flags], folder / "server.log", stack)
        authority = folder / "certs" / "apiserver.crt"
        wait_until_ready(f"https://127.0.0.1:{port}", authority, folder / "server.log")
        extra = [] if found[1] == "kube-apiserver" else [LEASE]
        install_crds(f"https://127.0.0.1:{port}", authority, crds() + extra)
        trusted = {"certificate-authority": str(authority)}
        yield RealServer(kubeconfig(folder, f"https://127.0.0.1:{port}", {"token": TOKEN}, **trusted), etcd)


def start_etcd(binary: Path, folder: Path, stack: ExitStack) -> str:
    client, peer = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    options = {
        "data-dir": folder / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "log-level": "warn",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    start([str(binary), "--unsafe-no-fsync", *arguments], folder / "etcd.log", stack)
    return client


def server_command(binary: Path, etcd: str, port: int, folder: Path) -> list[str]:
    command = [str(binary), f"--etcd-servers={etcd}", f"--secure-port={port}", f"--cert-dir={folder / 'certs'}"]
    if binary.name == "crdserver":
        return [*command, f"--token={TOKEN}"]
    (folder / "tokens").write_text(f"{TOKEN},foreman-test,0,system:masters\n")
    key = folder / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    return [
        *command,
        "--bind-address=127.0.0.1",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://localhost",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={folder / 'tokens'}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
    ]


def start(command: list[str], log: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL)
    stack.callback(end, process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(server: str, authority: Path, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(server + path, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Authorization", f"Bearer {TOKEN}")
    request.add_header("Content-Type", "application/json")
    try:
        context = ssl.create_default_context(cafile=str(authority))
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else text
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait_until_ready(server: str, authority: Path, log: Path) -> None:
    limit = time.monotonic() + READY_SECONDS
    while time.monotonic() < limit:
        try:
            if call(server, authority, "GET", "/readyz")[0] == 200:
                return
        except (OSError, ssl.SSLError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the API server did not become ready:\n{log.read_text()[-2000:]}")


def install_crds(server: str, authority: Path, crds: list[Any]) -> None:
    for crd in crds:
        status, said = call(server, authority, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        assert status in (201, 409), said
    for crd in crds:
        spec = crd["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        limit = time.monotonic() + READY_SECONDS
        while call(server, authority, "GET", path)[0] != 200:
            assert time.monotonic() < limit, f"{path} is not served"
            time.sleep(0.1)
