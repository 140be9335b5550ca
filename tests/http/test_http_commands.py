"""`foreman dev` and `foreman sim serve` as processes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from http_kit import MERGE, TASKS, task

FOREMAN = (sys.executable, "-m", "foreman.cli")
PATIENCE = 60


class Command:
    """A command that serves, once it has said where."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.kubeconfig = folder / "kubeconfig"
        command = [*FOREMAN, *arguments, "--port", "0", "--kubeconfig", str(self.kubeconfig)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
        assert self.process.stdout is not None
        said = self.process.stdout.readline().split()
        assert said[:1] == ["serving"], self.process.communicate()[1]
        self.url = said[1]

    def ask(self, method: str, path: str, body: Any = None, media: str = "application/json") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": media}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def until(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """The object once the condition holds, by watching it."""
        name = path.rpartition("/")[2]
        listed = f"{path.rpartition('/')[0]}?watch=1&fieldSelector=metadata.name%3D{name}&timeoutSeconds={PATIENCE}"
        with urllib.request.urlopen(self.url + listed, timeout=PATIENCE) as answer:
            for line in answer:
                obj = json.loads(line)["object"]
                if condition(obj):
                    return obj
        raise AssertionError(f"{path} did not come to that within {PATIENCE} s")

    def end(self, sign: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(sign)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


Start = Callable[..., Command]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Command] = []

    def make(*arguments: str) -> Command:
        started.append(Command(tmp_path, *arguments))
        return started[-1]

    yield make
    for command in started:
        command.process.kill()
        command.process.communicate()


def refusal(*arguments: str, folder: Path) -> str:
    done = subprocess.run([*FOREMAN, *arguments], capture_output=True, text=True, timeout=PATIENCE, cwd=folder)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def done(obj: Any) -> bool:
    return obj.get("status", {}).get("phase") == "Succeeded"


def test_a_task_runs_on_a_cluster_of_ones_own_and_outlives_it(start: Start, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    cluster = start("dev", "--agents", "1", "--stub-sleep", "10ms", "--data", data)
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == cluster.url
    cluster.ask("POST", TASKS, task("a"))
    ran = cluster.until(f"{TASKS}/a", done)
    assert (ran["status"]["assignedNode"], ran["status"]["verdict"]) == ("mac-1", "GO")
    cluster.process.kill()
    cluster.process.wait()
    again = start("dev", "--api-only", "--data", data)
    assert again.ask("GET", f"{TASKS}/a")["status"] == ran["status"]
    assert again.end() == (0, "")


def test_it_ends_in_order_with_a_task_running(start: Start, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    cluster = start("dev", "--agents", "1", "--stub-sleep", "1h", "--data", data)
    cluster.ask("POST", TASKS, task("a"))
    cluster.until(f"{TASKS}/a", lambda obj: obj.get("status", {}).get("phase") == "Running")
    assert cluster.end(signal.SIGTERM) == (0, "")
    status = start("dev", "--api-only", "--data", data).ask("GET", f"{TASKS}/a")["status"]
    assert (status["phase"], status["handbacks"], status["assignedNode"]) == ("Pending", 1, "")


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} is in use" in refusal("dev", "--port", port, folder=tmp_path)
        assert f"port {port} is in use" in refusal("sim", "serve", "m2-stub-task", "--port", port, folder=tmp_path)
    assert "text is not a database" in refusal("dev", "--data", "text", folder=tmp_path)
    assert "--policy: 'best' is none of" in refusal("dev", "--policy", "best", folder=tmp_path)
    assert "--stub-sleep" in refusal("dev", "--stub-sleep", "long", folder=tmp_path)
    assert "--speed: 0 is out of range" in refusal("sim", "serve", "m2-stub-task", "--speed", "0", folder=tmp_path)
    assert "nowhere" in refusal("sim", "serve", "nowhere", folder=tmp_path)


def test_a_scenario_can_be_served_to_its_end(tmp_path: Path) -> None:
    command = [*FOREMAN, "sim", "serve", "m2-stub-task", "--speed", "100000", "--exit", "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == "the scenario has ended: ok (exit code 0); 1 succeeded, 0 failed, 1 in all\n"


def test_one_can_take_part_in_a_simulation(start: Start) -> None:
    served = start("sim", "serve", "happy-path", "--speed", "1000", "--set", "workload.count=0")
    served.ask("POST", TASKS, task("mine"))
    ran = served.until(f"{TASKS}/mine", done)
    assert ran["metadata"]["creationTimestamp"].startswith("2026-01-01T"), "by the simulated clock"
    served.ask("PATCH", f"{TASKS}/mine", {"metadata": {"labels": {"x": "1"}}}, MERGE)
    assert served.ask("DELETE", f"{TASKS}/mine")["status"] == "Success"
    assert served.end()[0] == 0
