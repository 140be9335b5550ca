"""The notebooks run from top to bottom, in a kernel of their own."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
KEPT = {"openb": "8521 tasks in 50 classes, 1523 nodes"}
"""Notebooks whose data is not in the repository are kept with their results, which say this; here they run on a sample."""
PATIENCE = 900
"""Seconds that a cell may take on a slow machine before it counts as hung."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_question_to_its_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOREMAN_OPENB", raising=False)
    notebook = nbformat.read(path, as_version=4)
    told = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    if path.stem in KEPT:
        assert KEPT[path.stem] in told
    else:
        assert not any(cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    assert notebook.cells[0].source.splitlines()[0].endswith("?")
    NotebookClient(
        notebook, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    assert any("Answer" in cell.source for cell in notebook.cells[-2:])
