"""The gate as one shell script, the same in a Job and in a process: run in a clone, it ends at the first check that fails."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from foreman.api.gate import GateCommands
from foreman.executors.gate.presets import patterns_of_tests
from foreman.executors.gate.request import GateRequest

ORDER = ("format", "lint", "build", "test", "codegen_check")

_HEAD = """\
set -u
export HOME="${HOME:-/tmp}" CI=true
git config --global --add safe.directory '*' 2>/dev/null || true
fail() { echo "== gate: $1 FAILED: $2"; exit 1; }
check() { # NAME COMMAND
  echo "== gate: $1: $2"
  sh -c "$2" </dev/null
  code=$?
  [ $code -eq 127 ] && fail "$1" "a command is missing (exit code 127): is it in the image or on this node?"
  [ $code -eq 0 ] || fail "$1" "exit code $code"
  echo "== gate: $1 ok"
}
"""

_CLEAN = """\
[ -z "$(git status --porcelain --untracked-files=no)" ] || {
  git status --porcelain --untracked-files=no; git diff | head -n 200
  fail codegen "generated files are not up to date: run it and commit what it changes"
}
"""

_BITE = """\
echo "== gate: bite: the tests must fail without the change"
from=$(git merge-base HEAD {base}) || fail bite "no common ancestor with the base branch"
git diff --name-only --no-renames "$from" HEAD -- {sources} {tests_out} >"$TMP/changed"
if [ ! -s "$TMP/changed" ]; then echo "== gate: bite skipped: no production code was changed"
elif git diff --quiet "$from" HEAD -- {tests_in}; then fail bite "production code was changed and no test"
else
  while IFS= read -r path; do
    if [ -n "$(git ls-tree "$from" -- "$path")" ]; then git checkout -q "$from" -- "$path"; else rm -f -- "$path"; fi
  done <"$TMP/changed"
  if sh -c {test} </dev/null >"$TMP/bite.log" 2>&1; then
    tail -n 50 "$TMP/bite.log"; git reset -q --hard HEAD
    fail bite "the tests pass without the change: they do not test it"
  fi
  git reset -q --hard HEAD
  echo "== gate: bite ok"
fi
"""


class NothingToRun(ValueError):
    """The profile has no command at all: passing would mean nothing."""


def script(request: GateRequest) -> str:
    """Raises NothingToRun."""
    commands = request.profile.commands or GateCommands()
    checks = list(_checks(commands))
    if not checks:
        raise NothingToRun("the gate profile has no command to run; give gateProfile.language or gateProfile.commands")
    parts = [_HEAD, *checks]
    if request.bite and commands.test:
        parts.append(_bite(request, commands.test))
    return "\n".join([*parts, 'echo "== gate: all checks passed"', ""])


def _checks(commands: GateCommands) -> Iterator[str]:
    for name in ORDER:
        command = getattr(commands, name)
        if not command:
            continue
        yield f"check {name.removesuffix('_check')} {shlex.quote(_strict(command))}"
        if name == "codegen_check":
            yield _CLEAN


def _strict(command: str) -> str:
    """gofmt -l only lists what is badly formatted and ends with 0 all the same: a list is a failure."""
    if command.split()[:2] != ["gofmt", "-l"]:
        return command
    return f'listed=$({command}) || exit; echo "$listed"; [ -z "$listed" ]'


def _bite(request: GateRequest, test: str) -> str:
    patterns = patterns_of_tests(request.profile)
    sources = [f":(glob)**/*{extension}" for extension in request.profile.source_extensions] or [":(glob)**"]
    return 'TMP=$(mktemp -d) || fail bite "no place for temporary files"\n' + _BITE.format(
        base=shlex.quote(f"origin/{request.base}" if request.base else "origin/HEAD"),
        sources=" ".join(map(shlex.quote, sources)),
        tests_out=" ".join(shlex.quote(f":(exclude,glob){each}") for each in patterns),
        tests_in=" ".join(shlex.quote(f":(glob){each}") for each in patterns),
        test=shlex.quote(test),
    )


def summary(log: str, passed: bool, code: int | None = None) -> str:
    """One line of what the script said: the check that failed, or that all passed."""
    if passed:
        return "all gate checks passed"
    failed = [line for line in log.splitlines() if line.startswith("== gate: ") and " FAILED: " in line]
    if failed:
        return failed[-1].removeprefix("== gate: ")[:280]
    return "one or more gate checks failed" + (f" (exit code {code})" if code is not None else "")
