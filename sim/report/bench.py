"""What a report of 10,000 tasks costs: to build, to keep, to open in Chromium."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sim.load import parse
from sim.report.chromium import NoBrowser, chromium
from sim.report.gathered import Gathered
from sim.report.page import write
from sim.result import result_of
from sim.trace import Trace
from sim.world import World

TASKS = 10_000
SCENARIO = f"""
name: ten-thousand
fleet: {{gpu: {{count: 100}}}}
workload: {{count: {TASKS}, arrivals: {{poisson: 95/s}}}}
executor: {{duration: 1s}}
until: 24h
"""
READY = "return performance.getEntriesByName('interactive').map((mark) => mark.startTime)[0]"
PATIENCE = 60.0
"""Seconds for a page to become ready."""


class Measured(NamedTuple):
    """Megabytes of the page, CPU seconds it took to build, and, the best of three, seconds until it was ready to be used;
    `why` that is not known."""

    size: float
    build: float
    opened: float | None
    why: str


def measured() -> Measured:
    with TemporaryDirectory() as folder:
        path = Path(folder, "report.html")
        gathered = Gathered()
        trace = Trace(gathered.put, "foreman sim run ten-thousand.yaml --seed 0")
        trace.end(result_of(World(parse(SCENARIO, "bench.yaml"), trace=trace).run()))
        started = time.process_time()
        write(gathered, path)
        build = time.process_time() - started
        try:
            opened, why = min(_opened(path)), ""
        except NoBrowser as error:
            opened, why = None, str(error)
        return Measured(path.stat().st_size / 1e6, build, opened, why)


def _opened(path: Path) -> Iterator[float]:
    """Seconds from the start of the navigation to the first mark of interactivity, each time."""
    from selenium.webdriver.support.ui import WebDriverWait

    for _ in range(3):
        with chromium() as browser:
            browser.get(path.as_uri())
            yield WebDriverWait(browser, PATIENCE).until(lambda driver: driver.execute_script(READY)) / 1000
