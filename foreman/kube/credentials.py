"""Where the API server is and who we are there: a kubeconfig, or the service account of the pod we run in.

Both change while a process runs (tokens and certificates rotate, a tool rewrites the kubeconfig), so `load` may be called
again and again and always gives the present state. The order of search is client-go's: what was asked for, `KUBECONFIG`, the
pod's service account, `~/.kube/config`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from foreman.kube.logs import one_line

HOME_CONFIG = "~/.kube/config"
_MALFORMED = (ConfigException, yaml.YAMLError, ValueError)
# What the client's loader trips over when something else stands where it expects an object.
_SHAPELESS = (AttributeError, KeyError, TypeError, RecursionError)


class NoCluster(Exception):
    """There is no usable configuration; the message is one line that says what to do."""


class Credentials:
    """One source of configuration. `kubeconfig`: a path (several with ':' between them), None: search."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        self.context = context
        self.path = kubeconfig or os.environ.get("KUBECONFIG") or ("" if _in_pod() else HOME_CONFIG)
        self._loader: Any = None
        self._stamp: tuple[object, ...] = ()

    async def load(self) -> Configuration:
        """The configuration as it is now. Raises NoCluster."""
        configuration = Configuration()
        try:
            if self.path:
                await self._from_file(configuration)
            else:
                load_incluster_config(configuration, try_refresh_token=False)
        except OSError as error:
            raise NoCluster(f"cannot read {error.filename or self._named()}: {error.strerror or error}") from error
        except _MALFORMED as error:
            raise NoCluster(f"{self._named()}: {one_line(error)}") from error
        except _SHAPELESS as error:
            raise NoCluster(f"{self._named()}: is not a kubeconfig, or a part of it has the wrong type") from error
        return configuration

    async def _from_file(self, configuration: Configuration) -> None:
        """A loader is kept while its files are: it knows how long the answer of an exec plugin is good for."""
        stamp = self._stat()
        if not any(stamp):
            raise NoCluster(self._missing())
        if stamp != self._stamp or self._loader is None:
            self._loader = await load_kube_config(self.path, self.context, configuration, persist_config=False)
            self._stamp = stamp
        else:
            await self._loader.load_and_set(configuration)

    def _stat(self) -> tuple[object, ...]:
        files = [Path(each).expanduser() for each in self.path.split(os.pathsep) if each]
        return tuple((str(each), (found := each.stat()).st_mtime_ns, found.st_size) for each in files if each.is_file())

    def _missing(self) -> str:
        if self.path == HOME_CONFIG:
            return "no cluster to talk to: give --kubeconfig FILE, set KUBECONFIG, or try `foreman dev`"
        return f"no kubeconfig at {self.path}"

    def _named(self) -> str:
        return self.path or "the pod's service account"


def fingerprint(configuration: Configuration) -> str:
    """What a connection rests on besides the token: while this is the same, open connections stay good."""
    made = hashlib.sha256()
    for said in (configuration.host, configuration.verify_ssl, configuration.tls_server_name, configuration.proxy):
        made.update(f"{said}\n".encode())
    for path in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file):
        made.update(_content(path) + b"\n")
    return made.hexdigest()


def _content(path: str | None) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:
        return b""


def _in_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
