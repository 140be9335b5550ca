"""The kustomizations: every file they name is there, every file there is named, every patch has its target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests import BASE, DEPLOY, ROOT, Manifest, documents, kustomization, resolve

from foreman.api.crd import CRD_KINDS, crd_file_name

KUSTOMIZATIONS = sorted(path.parent for path in DEPLOY.rglob("kustomization.yaml"))
OVERLAYS = [each for each in KUSTOMIZATIONS if each.parent.name == "overlays"]
NOT_APPLIED = ("agents", "bare-metal", "examples")


def _relative(directory: Path) -> str:
    return directory.relative_to(ROOT).as_posix()


def _generated(said: dict[str, Any]) -> list[str]:
    return [each.partition("=")[2] or each for maps in said.get("configMapGenerator", []) for each in maps["files"]]


def named(directory: Path) -> list[Path]:
    """Every file the kustomization names, apart from other kustomizations."""
    said = kustomization(directory)
    entries = [
        *said.get("resources", []),
        *_generated(said),
        *(p["path"] for p in said.get("patches", []) if "path" in p),
    ]
    return [path for path in ((directory / entry).resolve() for entry in entries) if not path.is_dir()]


@pytest.mark.parametrize("directory", [*KUSTOMIZATIONS, ROOT / "crds"], ids=_relative)
def test_every_file_is_named_and_every_name_is_a_file(directory: Path) -> None:
    there = {path for path in directory.iterdir() if path.suffix in (".yaml", ".json")}
    assert set(named(directory)) == there - {directory / "kustomization.yaml"}


@pytest.mark.parametrize("directory", KUSTOMIZATIONS, ids=_relative)
def test_every_directory_it_takes_in_is_a_kustomization_and_none_above_it(directory: Path) -> None:
    """kustomize refuses a base that contains the overlay."""
    said = kustomization(directory)
    for entry in [*said.get("resources", []), *said.get("components", [])]:
        path = (directory / entry).resolve()
        assert path.is_file() or kustomization(path)
        assert path not in directory.parents


def test_every_manifest_belongs_to_a_kustomization() -> None:
    folders = {path.parent for path in DEPLOY.rglob("*.yaml") if path.relative_to(DEPLOY).parts[0] not in NOT_APPLIED}
    assert folders == set(KUSTOMIZATIONS)


def test_the_definitions_are_the_generated_files() -> None:
    assert set(named(ROOT / "crds")) == {ROOT / "crds" / crd_file_name(kind) for kind in CRD_KINDS}
    assert sum(each.kind == "CustomResourceDefinition" for each in BASE) == len(CRD_KINDS)


def test_the_base_needs_no_definitions_but_its_own() -> None:
    assert not any("monitoring.coreos.com" in each.object["apiVersion"] for each in BASE)


def _targets(patch: dict[str, Any], directory: Path) -> list[Manifest]:
    among = list(resolve(directory))
    if "target" in patch:
        kinds, name = patch["target"]["kind"].split("|"), patch["target"].get("name")
        return [each for each in among if each.kind in kinds and name in (None, each.name)]
    [body] = documents(directory / patch["path"]) if "path" in patch else [yaml.safe_load(patch["patch"])]
    return [
        each
        for each in among
        if each.object["kind"] == body["kind"] and each.object["metadata"] | body["metadata"] == each.object["metadata"]
    ]


@pytest.mark.parametrize("directory", OVERLAYS, ids=_relative)
def test_every_patch_has_its_target(directory: Path) -> None:
    said = kustomization(directory)
    for patch in said["patches"]:
        assert _targets(patch, directory), patch
    for replicas in said["replicas"]:
        assert any((each.kind, each.name) == ("Deployment", replicas["name"]) for each in resolve(directory))


@pytest.mark.parametrize("directory", OVERLAYS, ids=_relative)
def test_a_patched_container_is_the_one_of_the_base(directory: Path) -> None:
    """A container of another name would be added, not changed."""
    for patch in kustomization(directory)["patches"]:
        if "path" in patch:
            [body] = documents(directory / patch["path"])
            [target] = _targets(patch, directory)
            names = [
                {c["name"] for c in each["spec"]["template"]["spec"]["containers"]} for each in (body, target.object)
            ]
            assert names[0] == names[1]


def test_the_readme_names_every_folder_and_every_account_that_is_there() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for folder in (path.name for path in DEPLOY.iterdir() if path.is_dir()):
        assert f"{folder}/" in text
    for account in (each for each in BASE if each.kind in ("ServiceAccount", "Namespace")):
        assert account.name.removeprefix("foreman-") in text
