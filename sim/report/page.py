"""The page: data, styles and scripts of page/ in one file that fetches nothing, whatever is in it.

The data is gzip in base64, so no name in it can end the element it stands in; the scripts put names on the page as text only. A
Content-Security-Policy allows the page's own script and style, by their checksums, and nothing else.
"""

from __future__ import annotations

import gzip
import html
import json
import os
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from sim.report.columns import columns_of
from sim.report.gathered import Gathered

SUFFIX = ".html"
SCRIPTS = (
    "decode.js", "words.js", "model.js", "view.js", "lanes.js", "paint.js", "marks.js", "arrows.js", "timeline.js",
    "pointer.js", "overview.js", "story.js", "tooltip.js", "filter.js", "table.js", "summary.js", "hash.js", "main.js",
)  # fmt: skip
"""In the order in which they are run."""
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'"
_PAGE = files("sim.report") / "page"


def checked(path: Path) -> None:
    """Raises ValueError or OSError when no report can be written there."""
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: a report is written to a file that ends in {SUFFIX}")
    if not path.parent.is_dir():
        raise FileNotFoundError(2, os.strerror(2))
    if path.is_dir():
        raise IsADirectoryError(21, os.strerror(21))
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(13, os.strerror(13))


def write(gathered: Gathered, path: Path) -> None:
    """The report as a file, whole or not at all. Raises OSError."""
    text = page(columns_of(gathered))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def page(columns: Mapping[str, Any]) -> str:
    """The HTML of the data."""
    style = _text("report.css")
    script = "".join(["(() => {\n'use strict';\n", *map(_text, SCRIPTS), "})();\n"])
    head = columns["head"]
    parts = {
        "POLICY": f"{_POLICY}; script-src '{_sum(script)}'; style-src '{_sum(style)}'",
        "TITLE": html.escape(f"{head['scenario']}, seed {head['seed']}"),
        "STYLE": style,
        "DATA": packed(columns),
        "SCRIPT": script,
    }
    made = _text("report.html")
    for name, text in parts.items():
        before, _, after = made.partition(f"@{name}@")
        made = f"{before}{text}{after}"
    return made


def packed(columns: Mapping[str, Any]) -> str:
    """The same data gives the same text: no time stands in it."""
    data = json.dumps(columns, separators=(",", ":"), ensure_ascii=False)
    return b64encode(gzip.compress(data.encode("utf-8", "replace"), 6, mtime=0)).decode()


def _text(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _sum(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
