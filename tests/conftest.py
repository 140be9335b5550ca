"""Settings every test shares, and the servers that many of them need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from real_server import Missing, RealServer, original_crds
from real_server import real_server as serving

# Derandomised and untimed: a test that fails does so every time, on a busy machine as on an idle one.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Why tests were skipped, a line for each reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason}")


@pytest.fixture(scope="session")
def real_server() -> Iterator[RealServer]:
    """A real API server, or a skip that says why there is none."""
    try:
        with serving() as server:
            yield server
    except Missing as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def uncached_server() -> Iterator[RealServer]:
    try:
        with serving("--watch-cache=false") as server:
            yield server
    except Missing as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def original_server() -> Iterator[RealServer]:
    """A real API server that knows only the Go original's fields."""
    try:
        with serving(crds=original_crds) as server:
            yield server
    except Missing as why:
        pytest.skip(str(why))
