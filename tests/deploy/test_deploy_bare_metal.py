"""Machines outside the cluster: the service files agree with the agent, and the script makes a least-privilege kubeconfig."""

from __future__ import annotations

import os
import plistlib
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests import DEPLOY, container, pods

import foreman
from foreman.agent.agent import GRACE_SECONDS
from foreman.agent.registrar import FAREWELL_SECONDS as SAYING_SO
from foreman.agent.watcher import FAREWELL_SECONDS as HANDING_BACK

HERE = DEPLOY / "bare-metal"
UNITS = ["foreman-agent.service", "foreman-agent.user.service"]
WORST = SAYING_SO + GRACE_SECONDS + HANDING_BACK
NAMED = {"kubeconfig": "", "accelerator": "", "task-namespace": "*", "grace": f"{GRACE_SECONDS:g}s"} | {
    "metrics-bind-address": "127.0.0.1:8083",
    "health-probe-bind-address": "127.0.0.1:8084",
}


def unit(name: str) -> dict[str, list[str]]:
    """'Section.Key' -> its values, continued lines joined."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in (HERE / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(f"{section}.{key}", []).append(value)
    return found


def plist() -> dict[str, Any]:
    return plistlib.loads((HERE / "dev.llmkube.foreman-agent.plist").read_bytes())


def flags(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (each.removeprefix("--").partition("=") for each in words)}


def commands() -> dict[str, list[str]]:
    units = {name: [w for w in unit(name)["Service.ExecStart"][0].split() if not w.startswith("$")] for name in UNITS}
    return {**units, "launchd": plist()["ProgramArguments"]}


@pytest.mark.parametrize("words", commands().values(), ids=commands())
def test_the_command_is_the_agent_of_the_daemon_set_on_loopback(words: list[str]) -> None:
    assert words[0].endswith("/bin/foreman")
    assert words[1] == "agent"
    said = flags(words[2:])
    assert set(said) <= set(NAMED)
    assert all(said[name] == value for name, value in NAMED.items() if value)
    [pod] = [each for each in pods() if each.name == "foreman-agent"]
    in_pod = flags(container(pod)["args"][1:])
    assert all(said[name] == in_pod[name] for name in ("task-namespace", "grace"))


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_comes_back_for_ever_and_is_given_time_to_drain(name: str) -> None:
    said = unit(name)
    assert (said["Service.Restart"], said["Service.RestartSec"]) == (["always"], ["30"])
    assert said["Unit.StartLimitIntervalSec"] == ["0"]
    assert (said["Service.KillSignal"], said["Service.KillMode"]) == (["SIGTERM"], ["mixed"])
    assert int(said["Service.TimeoutStopSec"][0]) > WORST
    assert said["Service.NoNewPrivileges"] == ["yes"]


def test_the_unit_of_the_machine_is_hardened() -> None:
    said = unit("foreman-agent.service")
    for key in (
        "DynamicUser",
        "ProtectHome",
        "PrivateTmp",
        "ProtectKernelTunables",
        "RestrictSUIDSGID",
        "LockPersonality",
    ):
        assert said[f"Service.{key}"] == ["yes"]
    assert said["Service.ProtectSystem"] == ["strict"]
    assert said["Service.CapabilityBoundingSet"] == [""]
    assert said["Service.LoadCredential"] == ["kubeconfig:/etc/foreman/kubeconfig"]


def test_launchd_keeps_it_alive_and_gives_it_time_to_drain() -> None:
    said = plist()
    assert said["KeepAlive"] is said["RunAtLoad"] is True
    assert said["ThrottleInterval"] == 30
    assert said["ExitTimeOut"] > WORST
    assert said["Umask"] == 0o077
    assert said["EnvironmentVariables"]["FLEET_NODE_NAME"] == "@NODE@"
    assert said["StandardOutPath"] == said["StandardErrorPath"]


def test_every_placeholder_is_replaced_by_the_command_that_is_shown() -> None:
    used = set(re.findall(r"@[A-Z]+@", (HERE / "dev.llmkube.foreman-agent.plist").read_text(encoding="utf-8")))
    shown = set(re.findall(r"s\|(@[A-Z]+@)\|", (HERE / "README.md").read_text(encoding="utf-8")))
    assert used == shown


def test_the_readme_names_this_version_and_files_that_are_there() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"llmkube_foreman-([\d.]+)-py3", text)) == {foreman.__version__}
    assert {path.name for path in HERE.iterdir() if path.name != "README.md"} <= set(re.findall(r"[\w.-]+", text))


# The script, against a kubectl that answers as a cluster would

KUBECTL = """#!/bin/sh
case "$*" in
  "get node known "*) echo node/known ;;
  "get node "*) ;;
  "apply -f -") cat >"$APPLIED" ;;
  "get secret "*) if [ -e "$APPLIED.asked" ]; then printf s3cret; else : >"$APPLIED.asked"; fi ;;
  *certificate-authority-data*) printf "$CA" ;;
  *cluster.server*) printf https://10.0.0.1:6443 ;;
  *) echo "unexpected: kubectl $*" >&2; exit 9 ;;
esac
"""


def script(tmp_path: Path, *words: str, ca: str = "Q0E=") -> subprocess.CompletedProcess[str]:
    for name, text in (("kubectl", KUBECTL), ("sleep", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "APPLIED": str(tmp_path / "applied"), "CA": ca}
    return subprocess.run([str(HERE / "kubeconfig.sh"), *words], env=env, capture_output=True, text=True, check=False)


def test_the_script_makes_an_account_and_prints_its_kubeconfig(tmp_path: Path) -> None:
    ended = script(tmp_path, "mac-1")
    assert ended.returncode == 0, ended.stderr
    account, secret = yaml.safe_load_all((tmp_path / "applied").read_text())
    assert account["metadata"] == {"name": "mac-1", "namespace": "foreman-agents"}
    assert secret["type"] == "kubernetes.io/service-account-token"
    assert secret["metadata"]["annotations"] == {"kubernetes.io/service-account.name": "mac-1"}
    said = yaml.safe_load(ended.stdout)
    [cluster], [context], [user] = said["clusters"], said["contexts"], said["users"]
    assert said["current-context"] == context["name"]
    assert context["context"] == {"cluster": cluster["name"], "user": "mac-1"}
    assert cluster["cluster"] == {"server": "https://10.0.0.1:6443", "certificate-authority-data": "Q0E="}
    assert user == {"name": "mac-1", "user": {"token": "s3cret"}}


def test_a_cluster_with_a_public_certificate_needs_no_authority(tmp_path: Path) -> None:
    [cluster] = yaml.safe_load(script(tmp_path, "mac-1", ca="").stdout)["clusters"]
    assert cluster["cluster"] == {"server": "https://10.0.0.1:6443"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "usage"),
        (["a", "b"], "usage"),
        (["Mac_1"], "no name for a node"),
        (["x" * 64], "no name for a node"),
        (["known"], "choose another name"),
    ],
    ids=lambda each: shlex.join(each)[:20] if isinstance(each, list) else "",
)
def test_the_script_refuses_in_one_line(tmp_path: Path, words: list[str], why: str) -> None:
    ended = script(tmp_path, *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert why in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "applied").exists()
