"""How a process ends: told once, told twice, by its own decision, by a bug. Real processes, real signals."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from foreman.kube import logs, process
from foreman.runtime import ProcessExit

logs.set_up("console", "info")

async def {body}

sys.exit(process.run(program))
"""
UNTIL_TOLD = """program(life):
    print("ready", flush=True)
    await life.stop.wait()
    print("draining", flush=True)
    {then}
"""


def start(body: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Exit code and the lines of the log."""
    _, err = process.communicate(timeout=60)
    return process.returncode, err.splitlines()


def heard(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{word}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_once_it_drains_and_ends_with_0(number):
    process = start(UNTIL_TOLD.format(then="await life.runtime.sleep(0.01)"))
    heard(process, "ready")
    process.send_signal(number)
    heard(process, "draining")
    code, log = ended(process)
    assert code == 0
    assert [line[17:].partition("  ")[0] for line in log] == [
        f"{number.name}: ending in order; a second signal ends at once",
        "ended as told",
    ]


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(signal.SIGTERM, signal.SIGTERM, 143), (signal.SIGINT, signal.SIGINT, 130), (signal.SIGTERM, signal.SIGINT, 130)],
)
def test_told_twice_it_ends_at_once(first, second, code):
    process = start(UNTIL_TOLD.format(then="await life.runtime.event().wait()"))
    heard(process, "ready")
    process.send_signal(first)
    heard(process, "draining")
    process.send_signal(second)
    assert ended(process)[0] == code


def test_told_twice_it_ends_even_when_its_loop_hangs():
    process = start(UNTIL_TOLD.format(then="\n    while True: pass"))
    heard(process, "ready")
    process.send_signal(signal.SIGTERM)
    heard(process, "draining")
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143


def test_its_own_decision_costs_one_line_and_1():
    code, log = ended(start("program(life):\n    raise ProcessExit('the watch\\nhas stalled')\n"))
    assert code == 1
    assert [line[9:] for line in log] == ["ERROR   ending: the watch has stalled  exit=1"]


def test_what_any_of_its_coroutines_raises_ends_it():
    body = """program(life):
    async def fails():
        raise ProcessExit("superseded")
    life.runtime.spawn(fails(), "part")
    await life.stop.wait()
"""
    code, log = ended(start(body))
    assert (code, len(log)) == (1, 1)
    assert "ending: superseded" in log[0]


def test_a_bug_comes_with_its_traceback_and_1():
    code, log = ended(start("program(life):\n    raise KeyError('oops')\n"))
    assert code == 1
    assert "ending because of a bug in foreman" in log[0]
    assert log[1] == "Traceback (most recent call last):"
    assert log[-1] == "KeyError: 'oops'"


def test_what_the_user_gave_wrong_is_for_the_command_line_to_say():
    body = "program(life):\n    raise process.Unusable('no such context')\n"
    code, log = ended(start(body))
    assert code == 1
    assert log[-1] == "foreman.kube.process.Unusable: no such context"


def test_what_is_to_be_closed_is_closed_when_nobody_uses_it_any_more():
    body = """program(life):
    used = life.runtime.event()
    life.closing.callback(lambda: print("closed", flush=True))

    async def uses():
        try:
            used.set()
            await life.runtime.event().wait()
        finally:
            print("let go", flush=True)

    life.runtime.spawn(uses(), "user")
    await used.wait()
"""
    process = start(body)
    heard(process, "let go")
    heard(process, "closed")
    assert ended(process)[0] == 0
