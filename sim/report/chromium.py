"""A headless Chromium that opens pages from files: for the tests of the page and for measuring it.

Debian's packages chromium and chromium-driver, driven by selenium; the paths are given, so that nothing is fetched.
FOREMAN_CHROMIUM and FOREMAN_CHROMEDRIVER name others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_FLAGS = (
    "--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --hide-scrollbars"
)
_NIGHT = "--blink-settings=preferredColorScheme=0"


class NoBrowser(Exception):
    """What is missing, in one line."""


@contextmanager
def chromium(width: int = 1280, height: int = 860, *, night: bool = False) -> Iterator[Chrome]:
    """A browser with a window of that size and a profile of its own; raises NoBrowser."""
    browser, driver = _programs()
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        raise NoBrowser("selenium is not installed: pip install 'llmkube-foreman[dev]'") from None
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with TemporaryDirectory(prefix="foreman-chromium-", ignore_cleanup_errors=True) as profile:
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        flags = [*_FLAGS.split(), f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        for flag in (*flags, *(["--no-sandbox"] if root else []), *([_NIGHT] if night else [])):
            options.add_argument(flag)
        running = webdriver.Chrome(options=options, service=Service(driver))
        try:
            # The window's frame counts in --window-size.
            running.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
            )
            yield running
        finally:
            running.quit()


def _programs() -> tuple[str, str]:
    browser = os.environ.get("FOREMAN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    driver = os.environ.get("FOREMAN_CHROMEDRIVER") or shutil.which("chromedriver")
    if not browser or not driver:
        missing = "chromium" if not browser else "chromedriver"
        raise NoBrowser(f"there is no {missing}: apt-get install chromium chromium-driver")
    return browser, driver
