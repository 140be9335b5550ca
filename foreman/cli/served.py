"""What `foreman dev` and `foreman sim serve` have in common: a port, a kubeconfig, and what they tell on the terminal."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreman.api import FleetNodePhase, Phase

if TYPE_CHECKING:
    from sim.apiserver import ApiServer

REFRESH_SECONDS = 0.5
EXAMPLE = Path("deploy/examples/m2-stub-task.yaml")
_TASK = (
    '{"apiVersion":"foreman.llmkube.dev/v1alpha1","kind":"AgenticTask","metadata":{"generateName":"hello-"},'
    '"spec":{"kind":"freeform","payload":{"prompt":"say hello"}}}'
)


async def opened(opening: Coroutine[Any, Any, None], port: int) -> None:
    """Raises Unusable when the port cannot be had."""
    from foreman.kube.process import Unusable

    try:
        await opening
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Unusable(f"port {port} is in use: end what listens there, or choose another with --port") from error
        raise Unusable(f"cannot listen on port {port}: {error.strerror or error}") from error


def written(path: Path, server: str) -> Path:
    """The kubeconfig, written. Raises Unusable."""
    from foreman.kube.process import Unusable
    from sim.http.kubeconfig import write_kubeconfig

    try:
        return write_kubeconfig(path, server)
    except OSError as error:
        raise Unusable(f"cannot write the kubeconfig {path}: {error.strerror or error}") from error


def first_steps(url: str, kubeconfig: Path, restored: int = 0) -> None:
    """What to type next; one line where nobody reads along."""
    if not sys.stdout.isatty():
        print(f"serving {url} kubeconfig {kubeconfig}", flush=True)
        return
    found = f", {restored} objects restored" if restored else ""
    submit = f"kubectl apply -f {EXAMPLE}" if EXAMPLE.exists() else f"echo '{_TASK}' | kubectl create -f -"
    print(f"\nYour cluster is up: {url}{found}. In another terminal:\n")
    for line in (f"export KUBECONFIG={kubeconfig.resolve()}", submit, "kubectl get at -w", "kubectl get fleetnodes"):
        print(f"  {line}")
    print("\n^C ends it.\n", flush=True)


def tally(store: ApiServer) -> str:
    """The cluster in one line."""
    tasks = Counter(str(task.status.phase or "new") for task in store.tables["AgenticTask"].values())
    order = ["new", *(str(phase) for phase in Phase)]
    told = ", ".join(f"{tasks[phase]} {phase}" for phase in order if tasks[phase])
    nodes = store.tables["FleetNode"].values()
    ready = sum(node.status.phase is FleetNodePhase.READY for node in nodes)
    return f"nodes: {ready} of {len(nodes)} ready   tasks: {told or 'none yet'}"


class Screen:
    """One line at the bottom of a terminal that says how things stand; nothing where there is no terminal."""

    def __init__(self, line: Callable[[], str]) -> None:
        self.line = line
        self.shown = ""
        self.open = sys.stderr.isatty()

    async def run(self) -> None:
        while self.open:
            self._show(self.line())
            await asyncio.sleep(REFRESH_SECONDS)

    def _show(self, text: str) -> None:
        if text != self.shown:
            self.shown = text
            print(f"\r\033[K{text[:200]}", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.open:
            print("\r\033[K", end="", file=sys.stderr)
        print(text, file=sys.stderr, flush=True)
        self.shown = ""

    def close(self, text: str) -> None:
        if self.open:
            self.open = False
            print(f"\r\033[K{self.line()}   {text}", file=sys.stderr, flush=True)
