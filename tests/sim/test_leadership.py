"""A former leader: last words are allowed, going on is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from foreman.api import Lease, LeaseSpec
from sim.checkers.leadership import LAST_WORDS, Leadership
from sim.selection import Change


class Elections:
    """What the check is told, and what it says."""

    def __init__(self) -> None:
        self.at = 0
        self.failed: list[str] = []
        court: Any = SimpleNamespace(
            now=lambda: self.at, exercised=lambda name: None, fail=lambda name, key, why: self.failed.append(name)
        )
        self.check = Leadership(court, None)  # type: ignore[arg-type]

    def elect(self, holder: str) -> None:
        lease = Lease(spec=LeaseSpec(holder_identity=holder))
        self.check.committed(Change(1, "patch", holder, "Lease", "lease", lease, lease, {}))

    def write(self, actor: str, after: int = 0) -> None:
        self.at += after
        self.check.committed(Change(1, "patch_status", actor, "AgenticTask", "default/t", None, None, {}))


@pytest.mark.parametrize(("after", "failed"), [(LAST_WORDS, []), (LAST_WORDS + 1, ["one-leader"])])
def test_a_former_leader_may_finish_what_is_on_its_way_and_no_more(after: int, failed: list[str]) -> None:
    elections = Elections()
    elections.elect("operator-0/1")
    elections.elect("operator-1/1")
    elections.write("operator-0/1", 3 * LAST_WORDS)
    elections.write("operator-0/1", after)
    elections.write("operator-1/1", LAST_WORDS)
    assert elections.failed == failed


def test_who_leads_again_may_write_again() -> None:
    elections = Elections()
    for holder in ("operator-0/1", "operator-1/1", "", "operator-0/1"):
        elections.elect(holder)
    elections.write("operator-0/1")
    elections.write("operator-0/1", 2 * LAST_WORDS)
    assert elections.failed == []
