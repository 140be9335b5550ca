"""The image: made of what the wheel is made of, run by a user without a name, from a root file system it never writes to."""

from __future__ import annotations

import re
import shlex
import tomllib
from fnmatch import fnmatch

from manifests import DEPLOY, ROOT, pods

import foreman

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """(instruction, its argument), continued lines joined."""
    lines = [line for line in TEXT.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def stages() -> list[list[tuple[str, str]]]:
    split: list[list[tuple[str, str]]] = []
    for each in instructions():
        if each[0] == "FROM":
            split.append([])
        split[-1].append(each)
    return split


def copied() -> set[str]:
    """What the build stage takes from the context."""
    return {name for word, rest in stages()[0] if word == "COPY" for name in rest.split()[:-1]}


def test_every_stage_starts_from_a_slim_python_of_one_minor_version_that_the_project_allows() -> None:
    images = [re.match(r"python:3\.(\d+)-slim( AS \w+)?$", stage[0][1]) for stage in stages()]
    assert all(images)
    minors = {int(image[1]) for image in images if image}
    assert len(minors) == 1
    [minor] = minors
    assert f"Programming Language :: Python :: 3.{minor}" in PROJECT["project"]["classifiers"]


def test_the_build_takes_in_all_that_the_wheel_is_made_of_and_nothing_else() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    metadata = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert copied() == {*wheel, *metadata}
    assert all((ROOT / name).exists() for name in copied())


def test_the_context_has_what_the_build_takes_in() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied()
    assert not any(fnmatch(name, rule) for name in copied() for rule in rules[1:] if not rule.startswith("!"))


def test_it_runs_as_the_user_of_the_pods_without_a_shell() -> None:
    last = dict(stages()[-1])
    users = {pod.object["spec"]["template"]["spec"]["securityContext"]["runAsUser"] for pod in pods()}
    assert {int(last["USER"].partition(":")[0])} == users
    assert last["ENTRYPOINT"] == '["/opt/foreman/bin/foreman"]'
    assert not {"CMD", "SHELL", "RUN", "ADD"} & set(last)


def test_it_writes_nowhere_but_where_the_pods_let_it() -> None:
    env = dict(pair.split("=") for pair in shlex.split(dict(stages()[-1])["ENV"]))
    assert env["PYTHONDONTWRITEBYTECODE"] == "1"
    for pod in pods():
        [container] = pod.object["spec"]["template"]["spec"]["containers"]
        assert [mount["mountPath"] for mount in container["volumeMounts"]] == [env["HOME"]]


def test_the_commands_shown_name_this_version() -> None:
    for path in (DEPLOY / "Dockerfile", DEPLOY / "overlays/local/kustomization.yaml", DEPLOY / "README.md"):
        assert set(re.findall(r"\bforeman:(\d+\.\d+\.\d+)", path.read_text(encoding="utf-8"))) == {foreman.__version__}
