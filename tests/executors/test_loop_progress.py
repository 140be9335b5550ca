"""The progress monitor, case by case: what it puts up with, warns of, and ends."""

from __future__ import annotations

import pytest

from foreman.api import StuckLoopDetection
from foreman.executors.loop.limits import Limits
from foreman.executors.loop.progress import Progress, deed, step, withheld
from foreman.executors.loop.shell import writes

LIMITS = Limits()
EDIT = deed("write_file", {"path": "a"}, False)
FAILED_EDIT = deed("str_replace", {"path": "a"}, True)


def read(n):
    return deed("read_file", {"path": str(n)}, False)


def look(n):
    return deed("web", {"n": n}, False)


def shell(command):
    return deed("bash", {"command": command}, False)


def walk(turns, limits=LIMITS, context=1000):
    """(turn, signal, end) of each advice, up to the first that ends it; `turns`: deeds, or lists of them."""
    progress, advices = Progress(), []
    for number, deeds in enumerate(turns, 1):
        tokens = context(number) if callable(context) else context
        progress, advice = step(progress, deeds if isinstance(deeds, list) else [deeds], tokens, limits)
        if advice.signal:
            advices.append((number, advice.signal, advice.end))
        if advice.end:
            break
    return advices


def stuck(**fields):
    return Limits(stuck=StuckLoopDetection(**fields))


@pytest.mark.parametrize(
    ("turns", "advices"),
    [
        ([look(1)] * 4, []),
        ([look(1)] * 5, [(5, "repeated-call", False)]),
        ([look(1)] * 6, [(5, "repeated-call", False), (6, "repeated-call", True)]),
        ([look(1), look(2)] * 5, [(9, "repeated-call", False), (10, "repeated-call", False)]),
        ([[look(1)] * 5], [(1, "repeated-call", False)]),
        # recovery after the nudge: something else, then an edit, then the same call is new again
        ([*[look(1)] * 5, look(2), look(3)], [(5, "repeated-call", False)]),
        ([*[look(1)] * 5, EDIT, *[look(1)] * 4], [(5, "repeated-call", False)]),
        ([*[look(1)] * 5, look(2), look(1)], [(5, "repeated-call", False), (7, "repeated-call", True)]),
        # the same test after every edit is no loop (#898)
        ([shell("make test"), EDIT] * 10, []),
        # an edit that failed is none
        ([*[look(1)] * 4, FAILED_EDIT, look(1)], [(6, "repeated-call", False)]),
    ],
)
def test_repeated_calls(turns, advices):
    assert walk(turns) == advices


@pytest.mark.parametrize(
    ("turns", "advices"),
    [
        ([look(n) for n in range(14)], []),
        ([look(n) for n in range(15)], [(15, "edit-free", False)]),
        ([look(n) for n in range(99)], [(15, "edit-free", False), (18, "edit-free", True)]),
        ([*[look(n) for n in range(17)], EDIT], [(15, "edit-free", False)]),
        ([*[look(n) for n in range(16)], EDIT, *[look(n) for n in range(14)]], [(15, "edit-free", False)]),
        ([*[look(n) for n in range(16)], FAILED_EDIT, look(99)], [(15, "edit-free", False), (18, "edit-free", True)]),
        # distinct reads allow more, but not without end, and re-reads do not (#1116)
        ([*[read(0)], *[look(n) for n in range(14)]], [(15, "edit-free", False)]),
        ([*[read(n) for n in range(3)], *[look(n) for n in range(14)]], [(17, "edit-free", False)]),
        ([read(n) for n in range(26)], [(23, "edit-free", False), (26, "edit-free", True)]),
        ([*[read(n % 3) for n in range(12)], *[look(n) for n in range(5)]], [(17, "edit-free", False)]),
        ([EDIT, *[look(n) for n in range(14)]], []),
    ],
)
def test_turns_without_an_edit(turns, advices):
    assert walk(turns) == advices


def test_a_reviewer_is_not_expected_to_edit():
    assert walk([look(n) for n in range(60)], Limits(edits_expected=False)) == []


def test_writes_of_the_shell_count_twenty_times_without_a_real_edit():
    turns = [shell(f"echo {n} > f") for n in range(60)]
    assert walk(turns) == [(35, "edit-free", False), (38, "edit-free", True)]
    assert walk([*turns[:20], EDIT, *turns[:20]]) == []


@pytest.mark.parametrize(
    ("context", "advices"),
    [
        (89_999, []),
        (90_000, [(1, "context-soft-cap", False), (2, "context-soft-cap", True)]),
        (lambda n: 95_000 if n in (1, 3) else 1, [(1, "context-soft-cap", False), (3, "context-soft-cap", False)]),
        (140_000, [(1, "context-hard-cap", True)]),
        (lambda n: 90_000 if n == 1 else 150_000, [(1, "context-soft-cap", False), (2, "context-hard-cap", True)]),
    ],
)
def test_caps_on_the_context(context, advices):
    assert walk([EDIT] * 4, context=context) == advices


def test_an_edit_does_not_disarm_the_soft_cap():
    assert walk([look(1), EDIT], context=90_000)[-1] == (2, "context-soft-cap", True)


def test_caps_come_before_edits_and_edits_before_repetition():
    turns = [look(1)] * 9
    both = stuck(repeated_tool_threshold=3, edit_free_turns_limit=3, context_soft_cap=100)
    assert walk(turns[:3], both, context=lambda n: 100 if n == 3 else 1) == [(3, "context-soft-cap", False)]
    assert walk(turns[:3], stuck(repeated_tool_threshold=3, edit_free_turns_limit=3)) == [(3, "edit-free", False)]


def test_a_zero_switches_a_check_off():
    assert walk([look(1)] * 90, stuck(), context=10**9) == []


def test_the_forcing_phase_takes_tools_away():
    assert withheld(Progress(), True) == ()
    assert withheld(Progress(forcing=True), False) == ("grep", "bash")
    assert withheld(Progress(forcing=True), True) == ("grep", "bash", "read_file")


@pytest.mark.parametrize(
    "command",
    [
        "echo x > a", "echo x >> a", "cat a|tee b", "sed -i s/a/b/ f", "sed -i.bak s/a/b/ f", "sed -n -i p f",
        "git apply p.diff", "FOO=1 patch -p1 < x", "cd src && rm a", "make test; mv a b", "/bin/cp a b", "perl -pi -e s/a/b/ f",
        "python gen.py &> out.txt", "true\ntouch a", "cat <<EOF > f\nx\nEOF",
    ],
)  # fmt: skip
def test_what_writes(command):
    assert writes(command)


@pytest.mark.parametrize(
    "command",
    [
        "grep -rn writer src", "go test ./... 2>&1", "make test > /dev/null", "ls 2>/dev/null", "sed -n 1,5p f", "git log",
        "git diff > /dev/null", "cat tee", "echo 'a > b'", "echo \"rm -rf\"", "python -m unittest", "", "echo 'open",
        "git grep mv", "find . -name 'patch*'",
    ],
)  # fmt: skip
def test_what_does_not_write(command):
    assert not writes(command)
