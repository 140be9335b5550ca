"""Every manifest under `deploy/`, found the way kustomize finds them, without kustomize: by walking the kustomizations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


class Manifest(NamedTuple):
    """One object as its file has it, before patches."""

    path: Path
    object: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.object["kind"]

    @property
    def name(self) -> str:
        return self.object["metadata"]["name"]

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.kind}/{self.name}"


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each is not None]


def kustomization(directory: Path) -> dict[str, Any]:
    [path] = [each for each in directory.iterdir() if each.stem.lower() == "kustomization"]
    [found] = documents(path)
    return found


def resolve(directory: Path) -> Iterator[Manifest]:
    """What the kustomization in `directory` takes in: its resources and components, down to the files."""
    said = kustomization(directory)
    for entry in [*said.get("resources", []), *said.get("components", [])]:
        path = (directory / entry).resolve()
        if path.is_dir():
            yield from resolve(path)
        else:
            yield from (Manifest(path, each) for each in documents(path))


BASE = list(resolve(DEPLOY))
MONITORING = list(resolve(DEPLOY / "components/monitoring"))
EVERYTHING = BASE + MONITORING


def of_kind(*kinds: str, among: list[Manifest] = EVERYTHING) -> list[Manifest]:
    return [each for each in among if each.kind in kinds]


def the(kind: str, name: str) -> dict[str, Any]:
    [found] = [each.object for each in EVERYTHING if (each.kind, each.name) == (kind, name)]
    return found


def pods() -> list[Manifest]:
    """Everything that makes pods."""
    return of_kind("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob")


def container(manifest: Manifest) -> dict[str, Any]:
    [found] = manifest.object["spec"]["template"]["spec"]["containers"]
    return found
